import type { ObservedPublication, PartialMember } from '../core/observed.ts';
import type { Row, Session } from '../postgres/session.ts';
import { flag, groupByOid, list, number, oidArray, tableName, text } from './read.ts';

/** What can be told of a publication without opening its tables. */
export type PublicationSettings = Omit<ObservedPublication, 'tables' | 'partial'>;

const SELECT_PUBLICATION_SETTINGS = /* sql */ `
select oid::text as oid, xmin::text as xmin, pubowner::text as owner, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot
from pg_publication
where pubname = $1`;

/**
 * The view has what is published through schemas and FOR ALL TABLES, but for a partitioned table without
 * publish_via_partition_root only its leaves; the members themselves are added.
 */
const SELECT_PUBLISHED_TABLES = /* sql */ `
select n.nspname::text as schema, c.relname::text as name, c.oid::text as oid
from pg_publication_tables t
join pg_namespace n on n.nspname = t.schemaname
join pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
where t.pubname = $1
union
select n.nspname::text, c.relname::text, c.oid::text
from pg_publication p
join pg_publication_rel m on m.prpubid = p.oid
join pg_class c on c.oid = m.prrelid
join pg_namespace n on n.oid = c.relnamespace
where p.pubname = $1
order by 1, 2`;

/** The columns prqual and prattrs are there from 15 on; as JSON they may be missing. */
const SELECT_PARTIAL_MEMBERS = /* sql */ `
select n.nspname::text as schema,
  c.relname::text as name,
  member.row ->> 'prqual' is not null as row_filter,
  (
    select json_agg(a.attname order by a.attnum)
    from jsonb_array_elements_text(
      case jsonb_typeof(member.row -> 'prattrs') when 'array' then member.row -> 'prattrs' end
    ) as listed (attnum)
    join pg_attribute a on a.attrelid = c.oid and a.attnum = listed.attnum::int2
  ) as columns
from pg_publication p
join pg_publication_rel m on m.prpubid = p.oid
cross join lateral (select to_jsonb(m) as row) member
join pg_class c on c.oid = m.prrelid
join pg_namespace n on n.oid = c.relnamespace
where p.pubname = $1 and (member.row ->> 'prqual' is not null or member.row ->> 'prattrs' is not null)
order by 1, 2`;

/**
 * A table that is taken out and put back, or gets another filter or column list, has a new row, and so has
 * a schema; its settings leave them alone. What publishes a partition is its ancestors' too. Rows of
 * pg_publication_namespace, which is there from 15 on, by what they depend on. Takes no lock on a table.
 */
const SELECT_MEMBERSHIPS = /* sql */ `
with wanted as (
  select w.oid, w.oid as relid from unnest($2::oid[]) as w (oid)
  union
  select w.oid, a.relid::oid
  from unnest($2::oid[]) as w (oid)
  cross join lateral pg_partition_ancestors(w.oid) as a (relid)
)
select w.oid::text as oid, 'table ' || m.oid as way
from wanted w
join pg_publication_rel m on m.prrelid = w.relid
join pg_publication p on p.oid = m.prpubid
where p.pubname = $1
union
select w.oid::text, 'schema ' || d.objid
from wanted w
join pg_class c on c.oid = w.relid
join pg_depend n on n.refclassid = 'pg_namespace'::regclass and n.refobjid = c.relnamespace
join pg_depend d on d.classid = n.classid and d.objid = n.objid
join pg_publication p on d.refclassid = 'pg_publication'::regclass and d.refobjid = p.oid
where p.pubname = $1 and d.classid = to_regclass('pg_catalog.pg_publication_namespace')
union
select w.oid::text, 'all ' || p.oid
from wanted w
cross join pg_publication p
where p.pubname = $1 and p.puballtables
order by 1, 2`;

/** How the publication has each of those tables, by their oid; empty: not at all. */
export async function observeMemberships(
  session: Session,
  publication: string,
  oids: readonly number[],
): Promise<(oid: number) => readonly string[]> {
  const rows =
    oids.length === 0 ? [] : await session.query(SELECT_MEMBERSHIPS, [publication, oidArray(oids)]);
  const ways = groupByOid(rows, (row) => text(row, 'way'));
  return (oid) => ways.get(oid) ?? [];
}

/** The publication of that name, whoever made it; undefined when there is none. */
export async function observePublication(
  session: Session,
  name: string,
): Promise<ObservedPublication | undefined> {
  const settings = await observePublicationSettings(session, name);
  if (!settings) return undefined;
  const tables = await session.query(SELECT_PUBLISHED_TABLES, [name]);
  return {
    ...settings,
    tables: tables.map((table) => ({ ...tableName(table), oid: number(table, 'oid') })),
    partial: (await session.query(SELECT_PARTIAL_MEMBERS, [name])).map(toPartialMember),
  };
}

/** The same without its members: takes no lock on a table. */
export async function observePublicationSettings(
  session: Session,
  name: string,
): Promise<PublicationSettings | undefined> {
  const [row] = await session.query(SELECT_PUBLICATION_SETTINGS, [name]);
  return (
    row && {
      identity: { oid: text(row, 'oid'), xmin: text(row, 'xmin'), owner: text(row, 'owner') },
      allTables: flag(row, 'puballtables'),
      viaPartitionRoot: flag(row, 'pubviaroot'),
      operations: ['insert', 'update', 'delete', 'truncate'].filter((operation) =>
        flag(row, `pub${operation}`),
      ),
    }
  );
}

function toPartialMember(row: Row): PartialMember {
  return {
    table: tableName(row),
    rowFilter: flag(row, 'row_filter'),
    columns: row['columns'] === null ? undefined : list(row, 'columns'),
  };
}
