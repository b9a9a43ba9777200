/**
 * A table's spool: its raw changes in source order until they are replayed. One table each, so that
 * ending one is a DROP (no bloat, nothing left over) and never touches another's. Replay moves a
 * position in the ledger instead of deleting rows.
 */
import { quoteIdent } from './quote.ts';

function spoolTable(tableId: string): string {
  return `bunnydb.${quoteIdent(`spool_${tableId}`)}`;
}

/** An empty spool, whatever was there. */
export function createSpoolSql(tableId: string): readonly string[] {
  const table = spoolTable(tableId);
  return [
    `drop table if exists ${table}`,
    `create table ${table} (seq bigint generated always as identity primary key, xid bigint not null, ` +
      `commit_lsn pg_lsn not null, changes int not null, data bytea not null)`,
    // Raw protocol bytes of small rows hardly compress; the time is better spent streaming.
    `alter table ${table} alter column data set storage external`,
  ];
}

/** What it takes on the disk, in bytes; null when there is none. */
export function selectSpoolSizeSql(tableId: string): string {
  return `select pg_catalog.pg_total_relation_size(pg_catalog.to_regclass('${spoolTable(tableId)}')) as bytes`;
}

/** The same for each of $1, the ids of tables. */
export const SELECT_SPOOL_SIZES = /* sql */ `
select id, pg_total_relation_size(to_regclass('bunnydb.' || quote_ident('spool_' || id))) as bytes
from unnest($1::bigint[]) as id`;

export function dropSpoolSql(tableId: string): string {
  return `drop table if exists ${spoolTable(tableId)}`;
}

/** Columns in the order that encodeEntry writes them. */
export function copyIntoSpoolSql(tableId: string): string {
  return `copy ${spoolTable(tableId)} (xid, commit_lsn, changes, data) from stdin (format binary)`;
}

/** One replay batch after $1: at most $3 rows, and no more than $2 bytes unless one row alone has more. */
export function selectSpoolBatchSql(tableId: string): string {
  return `
select seq, xid, commit_lsn, encode(data, 'hex') as data
from (
  select seq, xid, commit_lsn, data, sum(octet_length(data)) over (order by seq) - octet_length(data) as before
  from (select seq, xid, commit_lsn, data from ${spoolTable(tableId)} where seq > $1 order by seq limit $3) as next
) as sized
where before < $2
order by seq`;
}
