/** How a table's changes are written from now on, and what has to be true before the first of them is. */
import { MirrorError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { formatTableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import {
  isWritten,
  newlyStale,
  streamedExclusions,
  type StreamedMirror,
  unwrittenColumns,
} from '../plan/exclusions.ts';
import { writeStaleColumns, type Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import { letBeNullSql, SELECT_NEEDING_VALUES } from '../sql/mend.ts';
import { quoteTable } from '../sql/quote.ts';
import { routeOf } from './route.ts';
import { loadTarget, type ApplyTarget } from './target.ts';

/** How long the ALTER that lets a column be NULL may wait for readers, and writers behind it. */
const LOCK_TIMEOUT_MS = 200;

/** Only tables that are written to live need their target; one that is gone is found when its first change comes. */
export async function targetFor(
  session: Session,
  mirror: StreamedMirror,
  record: TableRecord,
): Promise<ApplyTarget | undefined> {
  if (!routeOf(record.state).live) return undefined;
  const columns = unwrittenColumns(streamedExclusions(mirror, record), record);
  try {
    return await loadTarget(session, record.destination, columns);
  } catch (error) {
    if (error instanceof MirrorError && error.code === 'TableMissing') return undefined;
    throw error;
  }
}

/** True when the two files leave out other columns of the table. */
export function isWrittenOtherwise(
  before: StreamedMirror,
  after: StreamedMirror,
  record: TableRecord,
): boolean {
  const columnsOf = (mirror: StreamedMirror): string =>
    JSON.stringify(streamedExclusions(mirror, record).excludeColumns);
  return columnsOf(before) !== columnsOf(after);
}

export interface Leaving {
  readonly mirror: StreamedMirror;
  readonly owner: Owner;
  readonly log: Log;
}

/**
 * In the transaction from which on the stream goes by that file: columns that are left out anew are written
 * down, for they are as they were then whatever the file says later, and may be NULL. Returns the record.
 */
export async function leaveOut(
  session: Session,
  { mirror, owner, log }: Leaving,
  record: TableRecord,
): Promise<TableRecord> {
  if (!isWritten(record)) return record;
  const columns = newlyStale(streamedExclusions(mirror, record), record);
  if (columns.length === 0) return record;
  const staleColumns = [...(record.staleColumns ?? []), ...columns];
  await writeStaleColumns(session, owner, record.id, staleColumns);
  const table = formatTableName(record.source);
  log.info({ table, columns }, 'columns are not written any more');
  await letBeNull(session, record, columns).catch((error: unknown) => {
    if (!session.usable) throw error;
    log.warn({ table, err: error }, 'a column stays NOT NULL: rows without it wait for the copy');
  });
  return { ...record, staleColumns };
}

/** A row that comes without a value for them would be refused. */
async function letBeNull(
  session: Session,
  { destination }: TableRecord,
  columns: readonly string[],
): Promise<void> {
  const values = [quoteTable(destination), JSON.stringify(columns)];
  const needing = (await session.query(SELECT_NEEDING_VALUES, values)).map(
    (row) => row['attname'] ?? '',
  );
  if (needing.length === 0) return;
  await session.query('savepoint nullable');
  try {
    await session.query(`set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
    await session.query(letBeNullSql(destination, needing));
    await session.query('set local lock_timeout to default');
  } catch (error) {
    if (session.usable) await session.query('rollback to savepoint nullable');
    throw error;
  }
  await session.query('release savepoint nullable');
}
