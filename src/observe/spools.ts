/** What the spools of a mirror take at the destination. For people only: nothing is planned by it. */
import { MirrorError } from '../core/errors.ts';
import { formatTableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { Session } from '../postgres/session.ts';
import { SELECT_SPOOL_SIZES } from '../sql/spool.ts';
import { number, text } from './read.ts';

/** A size is read under a lock on the table, which the stream may hold for as long as a transaction takes. */
const SET_SHORT_LOCK_TIMEOUT = /* sql */ `set local lock_timeout = '100ms'`;

/**
 * Bytes with indexes, by formatTableName(source); none for a table without a spool. Undefined when one
 * of them is locked just now.
 */
export async function observeSpools(
  session: Session,
  tables: readonly TableRecord[],
): Promise<ReadonlyMap<string, number> | undefined> {
  const spooling = tables.filter(
    ({ state }) => state.phase !== 'Live' && state.phase !== 'Pending',
  );
  if (spooling.length === 0) return new Map();
  const keys = new Map(spooling.map(({ id, source }) => [id, formatTableName(source)]));
  try {
    const rows = await session.transaction(async () => {
      await session.query(SET_SHORT_LOCK_TIMEOUT);
      return session.query(SELECT_SPOOL_SIZES, [`{${[...keys.keys()].join(',')}}`]);
    });
    const found = rows.filter((row) => row['bytes'] !== null);
    return new Map(found.map((row) => [keys.get(text(row, 'id')) ?? '', number(row, 'bytes')]));
  } catch (error) {
    if (error instanceof MirrorError && error.code === 'LockTimeout') return undefined;
    throw error;
  }
}
