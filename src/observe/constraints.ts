import type { ConstraintShape, IndexShape } from '../core/observed.ts';
import type { Row, Session } from '../postgres/session.ts';
import { flag, groupByOid, list, oidArray, text } from './read.ts';
import { TornLook } from './torn-look.ts';

/** Not-null constraints ('n', from 18) are a column's business, foreign keys have their own file. */
const SELECT_CONSTRAINTS = /* sql */ `
select con.conrelid::text as oid,
  con.conname::text as name,
  con.contype::text as kind,
  pg_get_constraintdef(con.oid) as definition,
  con.convalidated as validated,
  case when con.contype <> 'c' then (
    select json_agg(a.attname order by k.position)
    from unnest(con.conkey) with ordinality as k (attnum, position)
    join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.attnum
  ) end as columns,
  (
    select json_agg(a.attname order by a.attnum)
    from pg_attribute a
    where a.attrelid = con.conrelid and a.attnum > 0 and (
      a.attnum = any (con.conkey)
      or a.attnum = any (i.indkey::int2[])
      or exists (
        select 1 from pg_depend d
        where d.refclassid = 'pg_class'::regclass and d.refobjid = con.conrelid and d.refobjsubid = a.attnum
          and (
            d.classid = 'pg_constraint'::regclass and d.objid = con.oid
            or d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
          )
      )
    )
  ) as touches,
  case when con.contype in ('p', 'u') and not i.indisexclusion then pg_get_indexdef(i.indexrelid) end as index,
  case when x.oid is not null then format('CREATE UNIQUE INDEX %I ON %s%I.%I ', x.relname,
    case when x.relkind = 'I' then 'ONLY ' else '' end, n.nspname, c.relname) end as index_prefix
from pg_constraint con
join pg_class c on c.oid = con.conrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_index i on i.indexrelid = con.conindid
left join pg_class x on x.oid = i.indexrelid
where con.conrelid = any ($1::oid[]) and con.contype in ('p', 'u', 'c', 'x')
order by con.conrelid, array_position(array['p', 'u', 'x', 'c'], con.contype::text), con.conname`;

const CONSTRAINT_KINDS: Readonly<Record<string, ConstraintShape['kind']>> = {
  p: 'primary key',
  u: 'unique',
  x: 'exclusion',
  c: 'check',
};

/** Primary keys, unique, exclusion and check constraints of those tables, in that order. */
export async function observeConstraints(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlyMap<number, ConstraintShape[]>> {
  return groupByOid(await session.query(SELECT_CONSTRAINTS, [oidArray(oids)]), toConstraint);
}

function toConstraint(row: Row): ConstraintShape {
  const kind = CONSTRAINT_KINDS[text(row, 'kind')];
  if (!kind) throw new Error(`unknown constraint type ${text(row, 'kind')}`);
  return {
    name: text(row, 'name'),
    kind,
    definition: text(row, 'definition'),
    columns: list(row, 'columns'),
    touches: list(row, 'touches'),
    validated: flag(row, 'validated'),
    indexDefinition:
      row['index'] === null
        ? undefined
        : withoutPrefix(text(row, 'index'), text(row, 'index_prefix')),
  };
}

/** pg_get_indexdef prints ON ONLY for the index of a partitioned table. */
const SELECT_INDEXES = /* sql */ `
select i.indrelid::text as oid,
  x.relname::text as name,
  i.indisunique as is_unique,
  i.indisvalid and i.indisready and i.indislive as valid,
  pg_get_indexdef(i.indexrelid) as index,
  format('CREATE %sINDEX %I ON %s%I.%I ', case when i.indisunique then 'UNIQUE ' else '' end, x.relname,
    case when x.relkind = 'I' then 'ONLY ' else '' end, n.nspname, c.relname) as index_prefix,
  (
    select json_agg(a.attname order by a.attnum)
    from pg_attribute a
    where a.attrelid = i.indrelid and a.attnum > 0 and (
      a.attnum = any (i.indkey::int2[])
      or exists (
        select 1 from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
          and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid = a.attnum
      )
    )
  ) as touches
from pg_index i
join pg_class x on x.oid = i.indexrelid
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
where i.indrelid = any ($1::oid[]) and not exists (
  select 1 from pg_constraint con
  where con.conindid = i.indexrelid and con.conrelid = i.indrelid and con.contype in ('p', 'u', 'x')
)
order by i.indrelid, x.relname`;

/** The indexes of those tables that no constraint owns, by name. */
export async function observeIndexes(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlyMap<number, IndexShape[]>> {
  return groupByOid(await session.query(SELECT_INDEXES, [oidArray(oids)]), (row) => ({
    name: text(row, 'name'),
    unique: flag(row, 'is_unique'),
    valid: flag(row, 'valid'),
    definition: withoutPrefix(text(row, 'index'), text(row, 'index_prefix')),
    touches: list(row, 'touches'),
  }));
}

/**
 * Takes off what is known to be there. Anything else must not go on: the table was moved meanwhile, so that the
 * definition has its new name, or it is a PostgreSQL that prints in another way.
 */
export function withoutPrefix(definition: string, ...prefixes: readonly string[]): string {
  const prefix = prefixes.find((candidate) => definition.startsWith(candidate));
  if (prefix === undefined)
    throw new TornLook(`expected ${JSON.stringify(prefixes[0])} at the start of: ${definition}`);
  return definition.slice(prefix.length);
}
