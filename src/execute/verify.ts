/**
 * Compares one Live table with its source, at one point of the source's history, while both go on: a
 * source snapshot is taken, the stream is brought to exactly what it sees, both are read.
 */
import { isDeepStrictEqual } from 'node:util';
import { compareTables, type Comparison } from '../copy/checksum.ts';
import { copiedColumns } from '../copy/columns.ts';
import { checkpoint } from '../core/checkpoint.ts';
import { MirrorError } from '../core/errors.ts';
import type { Connection } from '../core/mirror.ts';
import type { TableShape } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { Verification } from '../core/verification.ts';
import { writeVerification } from '../postgres/ledger.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { EMIT_MARK, SELECT_SNAPSHOT, SELECT_VIEW_TIME } from '../sql/copy.ts';
import { atBoundary, recordOf, type CopyRunOptions } from './table-run.ts';

/** Snapshots that are taken until one can be met. On a busy source most can. */
const TRIES = 20;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 2_000;
/** How long the stream waits for one of our round trips: the others' changes go before a check. */
const MAX_HOLD_MS = 5_000;
/** The view is fixed by the first statement, not by this. */
const BEGIN_VIEW = 'begin transaction isolation level repeatable read, read only';

/**
 * Writes what was found to the ledger; a difference is a result, not an error. Undefined when the table is
 * not the copy any more that was compared. Throws MirrorError when it could not be compared.
 */
export async function runVerify(options: CopyRunOptions): Promise<TableRecord | undefined> {
  options.onStep('Verifying');
  const begun = recordOf(options);
  const { observed: generation } = begun;
  if (generation === undefined) return undefined;
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    options.signal.throwIfAborted();
    const found = await tryToCompare(options);
    if (found !== undefined) {
      checkpoint('compared', options.table.source);
      return writeDown(options, begun, { ...found, generation });
    }
    const waitMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
    await options.clock.sleep(waitMs, options.signal);
  }
  throw new MirrorError(
    'SnapshotLost',
    `${formatTableName(options.table.source)}: none of ${TRIES} source snapshots could be compared`,
    {
      hint: 'The table is truncated or rewritten again and again, or its transactions wait long for a standby; it is tried again.',
    },
  );
}

/** Undefined when the snapshot could not be met, or one of the tables was emptied under it. */
async function tryToCompare(
  options: CopyRunOptions,
): Promise<Omit<Verification, 'generation'> | undefined> {
  const { mirror, table, follower } = options;
  // One for each try: what listens to it goes with it.
  const signal = AbortSignal.any([options.signal]);
  await using source = await openView(mirror.name, mirror.source, signal);
  await using destination = await openView(mirror.name, mirror.destination, signal);
  let lsn = '';
  let checkedAt = '';
  return await follower.meetSnapshot({
    source: table.source,
    signal,
    take: async () => {
      if (lsn !== '') await restart(source);
      const row = await firstStatement(source, SELECT_SNAPSHOT);
      lsn = row['lsn'] ?? '';
      return { visible: row['visible'] ?? '', lsn };
    },
    hurry: async () => {
      await using writer = await openSession(mirror.source, {
        mirror: mirror.name,
        role: 'observer',
        signal,
      });
      await writer.query(EMIT_MARK);
    },
    arrive: async () => {
      checkedAt = (await firstStatement(destination, SELECT_VIEW_TIME))['at'] ?? '';
    },
    compare: async () => {
      const found = await compareTables({
        source: { session: source, table: table.source },
        destination: { session: destination, table: table.destination },
        columns: copiedColumns(options.source, table).map(({ name }) => name),
        key: keyOf(options.source),
      });
      return found && toVerification(found, lsn, checkedAt);
    },
    giveWay: () => destination.destroy(),
  });
}

/** A session in a transaction whose view is still to be fixed, cut when the run is told to stop. */
async function openView(
  mirror: string,
  connection: Connection,
  signal: AbortSignal,
): Promise<Session> {
  const role = 'verifier';
  const session = await openSession(connection, { mirror, role, readOnly: true, signal });
  signal.addEventListener('abort', () => session.destroy(), { once: true });
  try {
    await session.query(BEGIN_VIEW);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

async function restart(session: Session): Promise<void> {
  await session.query('rollback');
  await session.query(BEGIN_VIEW);
}

/** One round trip, for which the stream waits: it is cut off when it takes long. */
async function firstStatement(
  session: Session,
  text: string,
): Promise<Record<string, string | null>> {
  const late = setTimeout(() => session.destroy(), MAX_HOLD_MS);
  try {
    return (await session.query(text))[0] ?? {};
  } finally {
    clearTimeout(late);
  }
}

/** The primary key, or what the source tells its rows apart by; empty when only all columns do. */
function keyOf({ constraints, replicaIdentity }: TableShape): readonly string[] {
  const primary = constraints.find(({ kind }) => kind === 'primary key');
  if (primary !== undefined) return primary.columns;
  return replicaIdentity.kind === 'index' ? replicaIdentity.columns : [];
}

function toVerification(
  { rows, destinationRows, difference }: Comparison,
  lsn: string,
  checkedAt: string,
): Omit<Verification, 'generation'> {
  return {
    result: difference === undefined ? 'Match' : 'Mismatch',
    rows,
    destinationRows,
    lsn,
    checkedAt,
    ...(difference === undefined ? {} : { message: difference }),
  };
}

/** At a commit boundary, so that the stream's record and the ledger's say the same. */
async function writeDown(
  options: CopyRunOptions,
  begun: TableRecord,
  verification: Verification,
): Promise<TableRecord | undefined> {
  const { follower, owner, table, log } = options;
  const written = await atBoundary(options, async (session) => {
    const record = follower.recordOf(table.source);
    const isSameCopy =
      record?.id === begun.id &&
      record.state.phase === 'Live' &&
      isDeepStrictEqual(record.observed, begun.observed);
    if (!isSameCopy) return { result: undefined };
    await writeVerification(session, owner, record.id, verification);
    const changed = { ...record, verification };
    return { result: changed, changed: [changed] };
  });
  if (written === undefined) return undefined;
  checkpoint('verified', table.source);
  const { result, rows, destinationRows } = verification;
  // Without the keys that differ: they are a piece of a row.
  log[result === 'Match' ? 'info' : 'warn']({ result, rows, destinationRows }, 'compared');
  return written;
}
