import type { ColumnShape } from '../core/observed.ts';
import type { Row, Session } from '../postgres/session.ts';
import { flag, groupByOid, list, number, oidArray, optionalText, text } from './read.ts';

/**
 * Types below it are the same in every server of one major version: FirstUnpinnedObjectId of
 * access/transam.h. Those up to 16383 are made by initdb, in an order that may differ.
 */
const FIRST_UNPINNED_OID = 12_000;

/**
 * What a generated column reads is written at the column itself (up to 14) or at its expression (from 15).
 * A NOT NULL that is NOT VALID (from 18) does not keep nulls out.
 */
const SELECT_COLUMNS = /* sql */ `
select a.attrelid::text as oid,
  a.attname::text as name,
  a.attnum::text as attnum,
  format_type(a.atttypid, a.atttypmod) as type,
  format_type(a.atttypid, -1) as base_type,
  a.atttypid::text as type_oid,
  a.attnotnull and not exists (
    select 1 from pg_constraint n
    where n.conrelid = a.attrelid and n.contype = 'n' and n.conkey[1] = a.attnum and not n.convalidated
  ) as not_null,
  t.typtype = 'd' and t.typdefault is null and exists (
    with recursive domains as (
      select t.typnotnull as strict, t.typbasetype as base
      union all
      select b.typnotnull, b.typbasetype from domains join pg_type b on b.oid = domains.base
      where b.typtype = 'd'
    )
    select 1 from domains where strict
  ) as strict_domain,
  pg_get_expr(d.adbin, d.adrelid) as default_expression,
  a.attgenerated::text as generated,
  a.attidentity::text as identity,
  case when a.attcollation <> t.typcollation then format('%I.%I', cn.nspname, co.collname) end as collation,
  case when a.attgenerated <> '' then (
    select json_agg(distinct r.attname)
    from pg_depend p
    join pg_attribute r on r.attrelid = p.refobjid and r.attnum = p.refobjsubid
    where p.refclassid = 'pg_class'::regclass and p.refobjid = a.attrelid
      and p.refobjsubid > 0 and p.refobjsubid <> a.attnum
      and (
        p.classid = 'pg_attrdef'::regclass and p.objid = d.oid
        or p.classid = 'pg_class'::regclass and p.objid = a.attrelid and p.objsubid = a.attnum
      )
  ) end as touches
from pg_attribute a
join pg_type t on t.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_collation co on co.oid = a.attcollation
left join pg_namespace cn on cn.oid = co.collnamespace
where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
order by a.attrelid, a.attnum`;

const GENERATED: Readonly<Record<string, ColumnShape['generated']>> = {
  s: 'stored',
  v: 'virtual',
};
const IDENTITY: Readonly<Record<string, ColumnShape['identity']>> = {
  a: 'always',
  d: 'by default',
};

/** The columns of those tables, in attnum order. */
export async function observeColumns(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlyMap<number, ColumnShape[]>> {
  return groupByOid(await session.query(SELECT_COLUMNS, [oidArray(oids)]), toColumn);
}

function toColumn(row: Row): ColumnShape {
  const typeOid = number(row, 'type_oid');
  return {
    name: text(row, 'name'),
    attnum: number(row, 'attnum'),
    type: text(row, 'type'),
    baseType: text(row, 'base_type'),
    typeOid,
    // A built-in type is made of built-in ones only.
    builtIn: typeOid < FIRST_UNPINNED_OID,
    notNull: flag(row, 'not_null'),
    ...(flag(row, 'strict_domain') ? { strictDomain: true } : {}),
    defaultExpression: optionalText(row, 'default_expression'),
    generated: GENERATED[text(row, 'generated')] ?? 'no',
    identity: IDENTITY[text(row, 'identity')] ?? 'no',
    collation: optionalText(row, 'collation'),
    touches: list(row, 'touches'),
  };
}
