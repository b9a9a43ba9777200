import type { ObservedPublication } from '../core/observed.ts';
import type { Session } from '../postgres/session.ts';
import { flag, tableName } from './read.ts';

const SELECT_PUBLICATION = /* sql */ `
select puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot
from pg_publication
where pubname = $1`;

/**
 * The view has what is published through schemas and FOR ALL TABLES, but for a partitioned table without
 * publish_via_partition_root only its leaves; the members themselves are added.
 */
const SELECT_PUBLISHED_TABLES = /* sql */ `
select schemaname::text as schema, tablename::text as name
from pg_publication_tables
where pubname = $1
union
select n.nspname::text, c.relname::text
from pg_publication p
join pg_publication_rel m on m.prpubid = p.oid
join pg_class c on c.oid = m.prrelid
join pg_namespace n on n.oid = c.relnamespace
where p.pubname = $1
order by 1, 2`;

/** The publication of that name, whoever made it; undefined when there is none. */
export async function observePublication(
  session: Session,
  name: string,
): Promise<ObservedPublication | undefined> {
  const [row] = await session.query(SELECT_PUBLICATION, [name]);
  if (!row) return undefined;
  const tables = await session.query(SELECT_PUBLISHED_TABLES, [name]);
  return {
    tables: tables.map(tableName),
    allTables: flag(row, 'puballtables'),
    viaPartitionRoot: flag(row, 'pubviaroot'),
    operations: ['insert', 'update', 'delete', 'truncate'].filter((operation) =>
      flag(row, `pub${operation}`),
    ),
  };
}
