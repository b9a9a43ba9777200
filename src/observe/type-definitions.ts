import type { TableName } from '../core/table-name.ts';
import type { Row, Session } from '../postgres/session.ts';
import type { TypeDefinition } from '../sql/type-ddl.ts';
import { number, oidArray, optionalText, tableName, text } from './read.ts';

/** One type of one database that is not built in. */
export interface UserType {
  readonly oid: number;
  readonly name: TableName;
  /** Its own extension, when one made it. */
  readonly extension: string | undefined;
  /** Undefined for base types and the row types of tables. */
  readonly definition: TypeDefinition | undefined;
  /** `array` and `multirange` come with the type that they are of. */
  readonly kind: TypeDefinition['kind'] | 'array' | 'multirange' | 'base' | 'row';
  /** Types that have to be there before it. */
  readonly parts: readonly number[];
}

/** FirstNormalObjectId of access/transam.h: what users made is at or above it. */
const FIRST_NORMAL_OID = 16_384;

/** What is inside an extension's type is the extension's business. */
const SELECT_TYPES = /* sql */ `
with recursive closure (oid) as (
  select root from unnest($1::oid[]) as root where root >= ${FIRST_NORMAL_OID}
  union
  select part.oid
  from closure
  join pg_type t on t.oid = closure.oid
  cross join lateral (
    select e.oid from pg_type e where e.typarray = t.oid
    union all
    select t.typbasetype where t.typtype = 'd'
    union all
    select a.atttypid from pg_attribute a
    where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    union all
    select r.rngsubtype from pg_range r where r.rngtypid = t.oid
    union all
    select r.rngtypid from pg_range r where r.rngmultitypid = t.oid
  ) part
  where part.oid >= ${FIRST_NORMAL_OID} and not exists (
    select 1 from pg_depend d
    where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e'
  )
)
select t.oid::text as oid,
  n.nspname::text as schema,
  t.typname::text as name,
  case
    when exists (select 1 from pg_type e where e.typarray = t.oid) then 'array'
    when t.typtype = 'c' and (select c.relkind from pg_class c where c.oid = t.typrelid) <> 'c' then 'row'
    when t.typtype = 'c' then 'composite'
    when t.typtype = 'd' then 'domain'
    when t.typtype = 'e' then 'enum'
    when t.typtype = 'r' then 'range'
    when t.typtype = 'm' then 'multirange'
    else 'base'
  end as kind,
  (
    select x.extname::text
    from pg_depend d
    join pg_extension x on x.oid = d.refobjid
    where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.refclassid = 'pg_extension'::regclass
      and d.deptype = 'e'
  ) as extension,
  (
    select json_agg(part.oid::text)
    from (
      select e.oid from pg_type e where e.typarray = t.oid
      union all
      select t.typbasetype where t.typtype = 'd'
      union all
      select a.atttypid from pg_attribute a
      where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
      union all
      select r.rngsubtype from pg_range r where r.rngtypid = t.oid
      union all
      select r.rngtypid from pg_range r where r.rngmultitypid = t.oid
    ) part
  ) as parts,
  case t.typtype
    when 'e' then json_build_object('labels', (
      select json_agg(l.enumlabel order by l.enumsortorder) from pg_enum l where l.enumtypid = t.oid
    ))
    when 'd' then json_build_object(
      'base', format_type(t.typbasetype, t.typtypmod),
      'collation', (
        select format('%I.%I', cn.nspname, co.collname)
        from pg_type b, pg_collation co
        join pg_namespace cn on cn.oid = co.collnamespace
        where b.oid = t.typbasetype and co.oid = t.typcollation and t.typcollation <> b.typcollation
      ),
      'notNull', t.typnotnull,
      'default', pg_get_expr(t.typdefaultbin, 0),
      'checks', coalesce((
        select json_agg(json_build_object('name', k.conname, 'definition', pg_get_constraintdef(k.oid)) order by k.conname)
        from pg_constraint k where k.contypid = t.oid and k.contype = 'c'
      ), '[]')
    )
    when 'c' then json_build_object('attributes', coalesce((
      select json_agg(json_build_object(
        'name', a.attname,
        'type', format_type(a.atttypid, a.atttypmod),
        'collation', case when a.attcollation <> b.typcollation then format('%I.%I', cn.nspname, co.collname) end
      ) order by a.attnum)
      from pg_attribute a
      join pg_type b on b.oid = a.atttypid
      left join pg_collation co on co.oid = a.attcollation
      left join pg_namespace cn on cn.oid = co.collnamespace
      where a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
    ), '[]'))
    when 'r' then (
      select json_build_object(
        'subtype', format_type(r.rngsubtype, null),
        'opclass', format('%I.%I', opn.nspname, op.opcname),
        'collation', case when r.rngcollation <> b.typcollation then format('%I.%I', cn.nspname, co.collname) end,
        'canonical', nullif(r.rngcanonical::oid, 0)::regproc::text,
        'difference', nullif(r.rngsubdiff::oid, 0)::regproc::text,
        'multirange', json_build_object('schema', mn.nspname, 'name', m.typname)
      )
      from pg_range r
      join pg_type b on b.oid = r.rngsubtype
      join pg_opclass op on op.oid = r.rngsubopc
      join pg_namespace opn on opn.oid = op.opcnamespace
      join pg_type m on m.oid = r.rngmultitypid
      join pg_namespace mn on mn.oid = m.typnamespace
      left join pg_collation co on co.oid = r.rngcollation
      left join pg_namespace cn on cn.oid = co.collnamespace
      where r.rngtypid = t.oid
    )
  end as definition
from closure
join pg_type t on t.oid = closure.oid
join pg_namespace n on n.oid = t.typnamespace
order by n.nspname, t.typname`;

/** Those types and all that they are made of, without the built-in ones. */
export async function observeUserTypes(
  session: Session,
  roots: readonly number[],
): Promise<UserType[]> {
  if (!roots.some((oid) => oid >= FIRST_NORMAL_OID)) return [];
  return (await session.query(SELECT_TYPES, [oidArray(roots)])).map(toUserType);
}

const SELECT_TYPE_OIDS = /* sql */ `
select t.oid::text as oid
from json_to_recordset($1::json) as w (schema text, name text)
join pg_namespace n on n.nspname = w.schema
join pg_type t on t.typnamespace = n.oid and t.typname = w.name`;

/** The types that have those names. */
export async function observeTypesByName(
  session: Session,
  names: readonly TableName[],
): Promise<UserType[]> {
  if (names.length === 0) return [];
  const rows = await session.query(SELECT_TYPE_OIDS, [JSON.stringify(names)]);
  return observeUserTypes(
    session,
    rows.map((row) => number(row, 'oid')),
  );
}

function toUserType(row: Row): UserType {
  const kind = text(row, 'kind') as UserType['kind'];
  const definition = optionalText(row, 'definition');
  const describes =
    kind === 'enum' || kind === 'domain' || kind === 'composite' || kind === 'range';
  return {
    oid: number(row, 'oid'),
    name: tableName(row),
    extension: optionalText(row, 'extension'),
    kind,
    definition:
      describes && definition !== undefined
        ? ({ ...(JSON.parse(definition) as object), kind } as TypeDefinition)
        : undefined,
    parts: (JSON.parse(row['parts'] ?? '[]') as string[]).map(Number),
  };
}
