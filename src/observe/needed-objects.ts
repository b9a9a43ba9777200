/** What a table's definition at the source calls and names besides types and tables, and what of it the destination lacks. */
import type { NeededObject } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { Row, Session } from '../postgres/session.ts';
import { groupByOid, list, number, oidArray, optionalText, tableName, text } from './read.ts';

/**
 * Functions, operators, collations, operator classes and text search configurations by the column, constraint
 * or index that needs them; and the types that only an expression names. What every server has is in no
 * pg_depend (FirstUnpinnedObjectId). Up to 14 a generated column needs things itself, from 15 on its expression does.
 */
const SELECT_NEEDED = /* sql */ `
with part (table_oid, kind, name, classid, objid, objsubid) as (
  select a.attrelid, 'column', a.attname, 'pg_class'::regclass, a.attrelid, a.attnum::int
  from pg_attribute a
  where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped
  union all
  select d.adrelid, 'column', a.attname, 'pg_attrdef'::regclass, d.oid, 0
  from pg_attrdef d
  join pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum
  where d.adrelid = any ($1::oid[])
  union all
  select k.conrelid, 'constraint', k.conname, 'pg_constraint'::regclass, k.oid, 0
  from pg_constraint k
  where k.conrelid = any ($1::oid[]) and k.contype in ('c', 'p', 'u', 'x')
  union all
  select i.indrelid, case when k.oid is null then 'index' else 'constraint' end, coalesce(k.conname, x.relname),
    'pg_class'::regclass, i.indexrelid, 0
  from pg_index i
  join pg_class x on x.oid = i.indexrelid
  left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
  where i.indrelid = any ($1::oid[])
), used as (
  select distinct part.table_oid, part.kind, part.name, c.relname as catalog, d.refclassid, d.refobjid
  from part
  join pg_depend d on d.classid = part.classid and d.objid = part.objid and d.objsubid = part.objsubid
  join pg_class c on c.oid = d.refclassid
  where c.relnamespace = 'pg_catalog'::regnamespace and c.relname in (
    'pg_proc', 'pg_operator', 'pg_collation', 'pg_opclass', 'pg_ts_config', 'pg_ts_dict', 'pg_type'
  )
)
select used.table_oid::text as oid, used.kind, used.name::text as name, used.catalog::text as catalog,
  format('%s %s', named.type, named.identity) as object,
  to_json(address.object_names) as path,
  case when used.catalog = 'pg_type' then used.refobjid::text end as type_oid,
  (
    select x.extname::text
    from pg_depend e
    join pg_extension x on x.oid = e.refobjid
    where e.classid = used.refclassid and e.objid = used.refobjid and e.refclassid = 'pg_extension'::regclass
      and e.deptype = 'e'
  ) as extension
from used
cross join lateral pg_identify_object(used.refclassid, used.refobjid, 0) named
cross join lateral pg_identify_object_as_address(used.refclassid, used.refobjid, 0) address
where named.identity is not null and address.object_names is not null
order by used.table_oid, used.kind, used.name, named.identity`;

/** Of the source. `typeOid`: it is a type, which can be made where it is missing. */
export interface SourceObject extends NeededObject {
  readonly typeOid: number | undefined;
  readonly catalog: string;
  readonly objectName: string;
}

/** By the oid of the table. */
export async function observeNeededObjects(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlyMap<number, SourceObject[]>> {
  if (oids.length === 0) return new Map();
  return groupByOid(await session.query(SELECT_NEEDED, [oidArray(oids)]), toSourceObject);
}

function toSourceObject(row: Row): SourceObject {
  const path = list(row, 'path');
  return {
    object: text(row, 'object'),
    schema: path.at(-2) ?? '',
    objectName: path.at(-1) ?? '',
    extension: optionalText(row, 'extension'),
    neededBy: {
      kind: text(row, 'kind') as NeededObject['neededBy']['kind'],
      name: text(row, 'name'),
    },
    typeOid: optionalText(row, 'type_oid') === undefined ? undefined : number(row, 'type_oid'),
    catalog: text(row, 'catalog'),
  };
}

/** By name and arguments, as both servers write them. A collation may be there for another encoding. */
const SELECT_PRESENT = /* sql */ `
select distinct w.object
from json_to_recordset($1::json) as w (catalog text, schema text, name text, object text)
join pg_namespace n on n.nspname = w.schema
cross join lateral (
  select 'pg_proc'::regclass as classid, o.oid
  from pg_proc o where w.catalog = 'pg_proc' and o.pronamespace = n.oid and o.proname = w.name
  union all
  select 'pg_operator'::regclass, o.oid
  from pg_operator o where w.catalog = 'pg_operator' and o.oprnamespace = n.oid and o.oprname = w.name
  union all
  select 'pg_collation'::regclass, o.oid
  from pg_collation o
  where w.catalog = 'pg_collation' and o.collnamespace = n.oid and o.collname = w.name
    and o.collencoding in (-1, (select encoding from pg_database where datname = current_database()))
  union all
  select 'pg_opclass'::regclass, o.oid
  from pg_opclass o where w.catalog = 'pg_opclass' and o.opcnamespace = n.oid and o.opcname = w.name
  union all
  select 'pg_ts_config'::regclass, o.oid
  from pg_ts_config o where w.catalog = 'pg_ts_config' and o.cfgnamespace = n.oid and o.cfgname = w.name
  union all
  select 'pg_ts_dict'::regclass, o.oid
  from pg_ts_dict o where w.catalog = 'pg_ts_dict' and o.dictnamespace = n.oid and o.dictname = w.name
) found
cross join lateral pg_identify_object(found.classid, found.oid, 0) named
where format('%s %s', named.type, named.identity) = w.object`;

/** Those of the source's that the destination has none of; types are compared elsewhere. */
export async function observeMissingObjects(
  session: Session,
  needed: readonly SourceObject[],
): Promise<(one: SourceObject) => boolean> {
  const wanted = needed
    .filter(({ typeOid }) => typeOid === undefined)
    .map(({ catalog, schema, objectName: name, object }) => ({ catalog, schema, name, object }));
  const rows =
    wanted.length === 0 ? [] : await session.query(SELECT_PRESENT, [JSON.stringify(wanted)]);
  const present = new Set(rows.map((row) => text(row, 'object')));
  return ({ typeOid, object }) => typeOid === undefined && !present.has(object);
}

/** The row type of a table and the array of a type make room for a new table's; all others do not. */
const SELECT_TAKEN = /* sql */ `
select w.schema, w.name, format('a type (%s)', format_type(t.oid, null)) as taken
from json_to_recordset($1::json) as w (schema text, name text)
join pg_namespace n on n.nspname = w.schema
join pg_type t on t.typnamespace = n.oid and t.typname = w.name
where not exists (select from pg_type e where e.typarray = t.oid)
union all
select w.schema, w.name, 'an index'
from json_to_recordset($1::json) as w (schema text, name text)
join pg_namespace n on n.nspname = w.schema
join pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relkind in ('i', 'I')`;

/** What has the name of a table that is not there, and keeps it from being made; by formatTableName. */
export async function observeTakenNames(
  session: Session,
  missing: readonly TableName[],
): Promise<ReadonlyMap<string, string>> {
  if (missing.length === 0) return new Map();
  const rows = await session.query(SELECT_TAKEN, [JSON.stringify(missing)]);
  return new Map(rows.map((row) => [formatTableName(tableName(row)), text(row, 'taken')]));
}
