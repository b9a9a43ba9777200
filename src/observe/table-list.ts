import type { TableShape } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { Session } from '../postgres/session.ts';
import { optionalText, tableName } from './read.ts';
import { observeShapes } from './shapes.ts';

/** What a database has that a mirror file could name. */
export interface TableList {
  /** Sorted by schema and name. Foreign tables among them; partitions are not. */
  readonly tables: readonly TableShape[];
  readonly partitions: readonly Partition[];
}

export interface Partition {
  readonly name: TableName;
  readonly root: TableName;
}

/** Not the server's own, nor temporary ones, those of extensions, or what bunnydb made for itself: its schemas bear a comment. */
const SELECT_TABLES = /* sql */ `
select n.nspname::text as schema, c.relname::text as name,
  rn.nspname::text as root_schema, r.relname::text as root_name
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
left join pg_class r on c.relispartition and r.oid = pg_partition_root(c.oid)
left join pg_namespace rn on rn.oid = r.relnamespace
where c.relkind in ('r', 'p', 'f') and c.relpersistence <> 't'
  and n.nspname <> 'information_schema' and not starts_with(n.nspname, 'pg_')
  and not starts_with(coalesce(obj_description(n.oid, 'pg_namespace'), ''), 'bunnydb: ')
  and not exists (
    select from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
  )
order by n.nspname, c.relname`;

/** All tables of a database, as a source sees them. */
export async function observeTableList(session: Session): Promise<TableList> {
  const rows = await session.query(SELECT_TABLES);
  const isPartition = (row: (typeof rows)[number]): boolean =>
    optionalText(row, 'root_name') !== undefined;
  const names = rows.filter((row) => !isPartition(row)).map(tableName);
  const wanted = names.map((name) => ({ name }));
  const shapes = await observeShapes(session, wanted, 'source');
  return {
    tables: names.flatMap((name) => shapes.get(formatTableName(name)) ?? []),
    partitions: rows.filter(isPartition).map((row) => ({
      name: tableName(row),
      root: tableName({ schema: row['root_schema'] ?? null, name: row['root_name'] ?? null }),
    })),
  };
}
