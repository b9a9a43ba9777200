/** Statements of the first copy and of every resync. */
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteTable } from './quote.ts';

export type CopyFormat = 'binary' | 'text';

export interface CopySource {
  readonly table: TableName;
  readonly columns: readonly string[];
  /** A partitioned root is read whole; anything else without its inheritance children. */
  readonly partitioned: boolean;
  readonly format: CopyFormat;
}

export interface Blocks {
  readonly fromBlock: number;
  readonly toBlock: number | undefined;
}

/** COPY … TO STDOUT of one range of pages; no range for a partitioned root, which has no pages. */
export function copyOutSql(source: CopySource, blocks: Blocks | undefined): string {
  const columns = source.columns.map(quoteIdent).join(', ');
  const from = `from ${source.partitioned ? '' : 'only '}${quoteTable(source.table)}`;
  const where = blocks === undefined ? '' : rangeSql(blocks);
  return `copy (select ${columns} ${from}${where}) to stdout (format ${source.format})`;
}

/** COPY … FROM STDIN of the same columns. */
export function copyInSql(
  table: TableName,
  columns: readonly string[],
  format: CopyFormat,
): string {
  return `copy ${quoteTable(table)} (${columns.map(quoteIdent).join(', ')}) from stdin (format ${format})`;
}

function rangeSql({ fromBlock, toBlock }: Blocks): string {
  const bounds = [
    ...(fromBlock === 0 ? [] : [`ctid >= '(${fromBlock},0)'::tid`]),
    ...(toBlock === undefined ? [] : [`ctid < '(${toBlock},0)'::tid`]),
  ];
  return bounds.length === 0 ? '' : ` where ${bounds.join(' and ')}`;
}

/**
 * The table as one source snapshot sees it: compared before and after the copy (TRAPS 25). A
 * partitioned one has its rows in the files of its partitions.
 */
export const SELECT_HEAP = /* sql */ `
select c.relfilenode || coalesce((
    select string_agg(leaf.relfilenode::text, ',' order by leaf.oid)
    from pg_catalog.pg_inherits as child
    join pg_catalog.pg_class as leaf on leaf.oid = child.inhrelid
    where c.relkind = 'p' and child.inhrelid in (select relid from pg_catalog.pg_partition_tree(c.oid))
  ), '') as relfilenode, pg_catalog.pg_relation_size(c.oid) as heap_bytes, c.reltuples as estimated_rows,
  (select string_agg(a.attname || ':' || a.attnum || ':' || a.atttypid, ',' order by a.attnum)
   from pg_catalog.pg_attribute as a
   where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) as columns
from pg_catalog.pg_class as c
where c.oid = pg_catalog.to_regclass($1)`;

/**
 * The snapshot is taken before the functions run, so the insert position is behind everything it sees,
 * flushed or not.
 */
export const EXPORT_SNAPSHOT = /* sql */ `
select pg_catalog.pg_export_snapshot() as id, pg_catalog.pg_current_snapshot() as visible,
  pg_catalog.pg_current_wal_insert_lsn() as lsn`;

/** The same for a session that keeps its snapshot to itself. */
export const SELECT_SNAPSHOT = /* sql */ `
select pg_catalog.pg_current_snapshot() as visible, pg_catalog.pg_current_wal_insert_lsn() as lsn`;

/** Fixes what a repeatable read transaction sees; the time is before that, in microseconds. */
export const SELECT_VIEW_TIME = /* sql */ `
select to_char(statement_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as at`;

/**
 * A transaction of its own in the WAL, so that the stream has a commit to reach on a quiet source.
 * Transactional: another would not move the slot (TRAPS 18).
 */
export const EMIT_MARK = /* sql */ `select pg_catalog.pg_logical_emit_message(true, 'bunnydb', '') as lsn`;

/**
 * Transactions that have written their commit record and wait for a standby: in the WAL, in no snapshot
 * yet. A role that is not shown what others wait for has to take every open one for such.
 */
export const SELECT_WAITING_FOR_STANDBY = /* sql */ `
select a.backend_xid::text as xid
from pg_catalog.pg_stat_activity as a
where a.wait_event = 'SyncRep' and a.backend_xid is not null
union
select (open.xid::text::numeric % 4294967296)::text
from pg_catalog.pg_snapshot_xip(pg_catalog.pg_current_snapshot()) as open (xid)
where current_setting('synchronous_standby_names') <> ''
  and not pg_catalog.pg_has_role('pg_read_all_stats', 'usage')`;
