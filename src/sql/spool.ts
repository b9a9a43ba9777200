/** The spool's statements: raw changes of one table, in source order, until they are replayed. */

/** Columns in the order that the spool's COPY rows are written in. */
export const COPY_INTO_SPOOL = /* sql */ `
copy bunnydb.spool (table_id, xid, commit_lsn, changes, data) from stdin (format binary)`;

/** One replay batch; the bytes bound the batch, and one row always comes. */
export const SELECT_SPOOL_BATCH = /* sql */ `
select seq, xid, encode(data, 'hex') as data
from (
  select seq, xid, data, sum(octet_length(data)) over (order by seq) - octet_length(data) as before
  from (select seq, xid, data from bunnydb.spool where table_id = $1 and seq > $2 order by seq limit $4) as next
) as sized
where before < $3
order by seq`;

export const DELETE_SPOOL_THROUGH = /* sql */ `delete from bunnydb.spool where table_id = $1 and seq <= $2`;

export const DELETE_SPOOL = /* sql */ `delete from bunnydb.spool where table_id = $1`;

export const SELECT_SPOOL_SIZE = /* sql */ `
select count(*) as rows, coalesce(sum(changes), 0) as changes, coalesce(sum(octet_length(data)), 0) as bytes
from bunnydb.spool
where table_id = $1`;
