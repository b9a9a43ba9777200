/**
 * Locks that others queue behind: all of them within a moment, or none, and whoever is in the way is
 * named. Between two tries everybody goes on.
 */
import { driverCode, MirrorError } from '../core/errors.ts';
import type { TableName } from '../core/table-name.ts';
import type { Row, Session } from '../postgres/session.ts';
import {
  lockAgainstVacuumSql,
  lockAllSql,
  type LockList,
  SELECT_BLOCKERS,
  setTimeoutsSql,
} from '../sql/swap-lock.ts';
import type { CopyRunOptions } from './table-run.ts';

/** How long one try may make others wait behind it. Below any deadlock_timeout in use. */
export const LOCK_TIMEOUT_MS = 200;
/** Nobody waits behind this lock but a vacuum. Longer than it takes one to give way. */
const VACUUM_LOCK_TIMEOUT_MS = 3_000;
const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 10_000;

/** In one order for all who lock several. */
export function inLockOrder(tables: readonly TableName[]): TableName[] {
  return tables.toSorted((a, b) => compare(a.schema, b.schema) || compare(a.name, b.name));
}

function compare(a: string, b: string): number {
  return Number(a > b) - Number(a < b);
}

/**
 * In a transaction of its own: a vacuum of the server's that works on one of them gives way, which it
 * does not for a lock that is given up before deadlock_timeout. Throws LockTimeout, with who is in the
 * way, when another kind of maintenance holds one.
 */
export async function letVacuumGiveWay(session: Session, locks: LockList): Promise<void> {
  try {
    await session.transaction(async () => {
      await session.query(`set local lock_timeout = ${VACUUM_LOCK_TIMEOUT_MS}`);
      await session.query(lockAgainstVacuumSql(locks.tables));
    });
  } catch (error) {
    throw isLockFailure(error)
      ? await lockTimeout(session, locks, { cause: error, readersToo: false })
      : error;
  }
}

/** ACCESS EXCLUSIVE, in the caller's transaction, whose lock_timeout is LOCK_TIMEOUT_MS from then on. */
export async function lockAll(session: Session, locks: LockList): Promise<void> {
  const limits = { lock: LOCK_TIMEOUT_MS, statement: LOCK_TIMEOUT_MS };
  await session.run(
    [
      ...setTimeoutsSql(limits),
      lockAllSql(locks),
      ...setTimeoutsSql({ ...limits, statement: 0 }),
    ].join(';\n'),
  );
}

/**
 * Work that takes those locks, in the caller's transaction. When it did not get them it throws LockTimeout
 * with who is in the way; the transaction is then to be rolled back.
 */
export async function namingBlockers<T>(
  session: Session,
  locks: LockList,
  work: () => Promise<T>,
): Promise<T> {
  await session.query('savepoint bunnydb_locks');
  try {
    return await work();
  } catch (error) {
    if (!isLockFailure(error)) throw error;
    await session.query('rollback to savepoint bunnydb_locks');
    throw await lockTimeout(session, locks, { cause: error, readersToo: true });
  }
}

/** Tries until the locks come, less and less often; what is in the way is in the status meanwhile. */
export async function untilLocked<T>(
  options: Pick<CopyRunOptions, 'clock' | 'log' | 'signal' | 'onWaiting'>,
  work: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    options.signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof MirrorError && error.code === 'LockTimeout')) throw error;
      options.log.debug({ tries, message: error.message }, 'waits for a lock');
      options.onWaiting({ tries, waitsFor: error.message });
    }
    await options.clock.sleep(retryMs(tries, Math.random()), options.signal);
  }
}

/** The wait after the n-th try in a row (from 1). */
function retryMs(tries: number, random: number): number {
  const base = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(tries - 1, 10));
  return base * (0.75 + random / 2);
}

/** lock_timeout, a deadlock, statement_timeout. */
const LOCK_FAILURES = ['55P03', '40P01', '57014'];

function isLockFailure(error: unknown): error is MirrorError {
  return error instanceof MirrorError && LOCK_FAILURES.includes(driverCode(error.cause) ?? '');
}

async function lockTimeout(
  session: Session,
  { views, tables }: LockList,
  failure: { readonly cause: MirrorError; readonly readersToo: boolean },
): Promise<MirrorError> {
  const wanted = JSON.stringify([...views, ...tables]);
  const rows = await session.query(SELECT_BLOCKERS, [wanted, !failure.readersToo]);
  const who = rows.map(describeBlocker).join('; ');
  const message = who === '' ? 'a lock was held that is free again' : `waits for ${who}`;
  return new MirrorError('LockTimeout', message, { cause: failure.cause });
}

function describeBlocker(row: Row): string {
  const { relation, pid, user, application, seconds } = row;
  if (pid === null || pid === undefined) return `a prepared transaction on ${relation}`;
  const named = application ? `, ${application}` : '';
  const since = seconds ? `, in a transaction for ${seconds} s` : '';
  return `process ${pid} (${user}${named}${since}) on ${relation}`;
}
