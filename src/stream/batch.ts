/**
 * Carries out what a batch does, inside the caller's transaction. Two ways: all together, which is
 * fast and stops at the first error; or table by table under savepoints, where a table that fails is
 * given back with its changes while the others go on.
 */
import { classify, driverCode, type ErrorCode, MirrorError } from '../core/errors.ts';
import { formatTableName } from '../core/table-name.ts';
import type { Session } from '../postgres/session.ts';
import { deleteAllSql, truncateSql } from '../sql/apply.ts';
import { applyChanges } from './apply.ts';
import type { RowChange } from './fold.ts';
import type { RoutedTable, Work } from './router.ts';
import { writeSpool, type SpoolEntry } from './spool.ts';
import type { ApplyTarget } from './target.ts';

/** Reported when rows to change or delete were not there. */
export type OnMissingRows = (table: RoutedTable, rows: number) => void;

export interface FailedTable {
  readonly table: RoutedTable;
  readonly error: MirrorError;
  /** What could not be applied. */
  readonly entries: readonly SpoolEntry[];
}

/** Everything or nothing: the caller rolls back when it throws. */
export async function applyTogether(
  session: Session,
  work: Work,
  onMissingRows: OnMissingRows,
): Promise<void> {
  for (const segment of work.segments) {
    if (segment.tag === 'truncate') {
      await truncateTargets(session, segment.tables.map(targetOf));
      continue;
    }
    for (const [table, changes] of segment.tables) {
      const { missingRows } = await applyChanges(session, targetOf(table), changes);
      if (missingRows > 0) onMissingRows(table, missingRows);
    }
  }
  await writeSpool(session, work.spool);
}

/**
 * A table whose changes cannot be applied is given back with them, for the caller to spool; the rest
 * is applied.
 */
export async function applyApart(
  session: Session,
  work: Work,
  onMissingRows: OnMissingRows,
): Promise<FailedTable[]> {
  const failed: FailedTable[] = [];
  for (const [table, entries] of work.live) {
    await session.query('savepoint one_table');
    try {
      const missingRows = await applyEntries(session, targetOf(table), entries);
      if (missingRows > 0) onMissingRows(table, missingRows);
      await session.query('release savepoint one_table');
    } catch (thrown) {
      const error = classify(thrown);
      if (!isTablesOwn(error) || !session.usable) throw error;
      await session.query('rollback to savepoint one_table');
      await session.query('release savepoint one_table');
      failed.push({ table, error, entries });
    }
  }
  await writeSpool(session, work.spool);
  return failed;
}

/** Changes of one table in source order, truncates among them. Returns how many rows were not there. */
export async function applyEntries(
  session: Session,
  target: ApplyTarget,
  entries: readonly Pick<SpoolEntry, 'changes'>[],
): Promise<number> {
  let missing = 0;
  let rows: RowChange[] = [];
  const flush = async (): Promise<void> => {
    missing += (await applyChanges(session, target, rows)).missingRows;
    rows = [];
  };
  for (const { changes } of entries) {
    for (const change of changes) {
      if (change.tag !== 'truncate') {
        rows.push(change);
        continue;
      }
      // What was changed before it is gone with it.
      rows = [];
      await truncateTargets(session, [target]);
    }
  }
  await flush();
  return missing;
}

/** A foreign key from a table that is not truncated with them refuses TRUNCATE; CASCADE is never the answer. */
async function truncateTargets(session: Session, targets: readonly ApplyTarget[]): Promise<void> {
  await session.query('savepoint truncating');
  try {
    await session.query(truncateSql(targets));
  } catch (error) {
    if (driverCode((error as Error).cause) !== FEATURE_NOT_SUPPORTED) throw error;
    await session.query('rollback to savepoint truncating');
    for (const target of targets) await session.query(deleteAllSql(target));
  }
  await session.query('release savepoint truncating');
}

const FEATURE_NOT_SUPPORTED = '0A000';

function targetOf(table: RoutedTable): ApplyTarget {
  if (!table.target)
    throw new MirrorError(
      'TableMissing',
      `destination table ${formatTableName(table.record.destination)} does not exist`,
    );
  return table.target;
}

/** Errors that are not one table's: nothing could be applied to any other either. */
const MIRROR_WIDE: ReadonlySet<ErrorCode> = new Set([
  'ConnectionFailed',
  'AuthenticationFailed',
  'DatabaseMissing',
  'TooManyConnections',
  'DiskFull',
  'ReadOnly',
  'NotOwner',
]);

/** True when the error says something of the one table that was written. */
export function isTablesOwn(error: MirrorError): boolean {
  return !MIRROR_WIDE.has(error.code);
}
