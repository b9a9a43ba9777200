/**
 * One table down the copy road, first copy and resync alike: spool and empty, snapshot, rows, keys and
 * indexes, replay, hand over. It runs beside the loop while every other table streams on. Each step can
 * be found again from the ledger: a run that ends anywhere is taken up or started anew by the next plan.
 */
import { copyFormat, copiedColumns } from '../copy/columns.ts';
import { copyTable } from '../copy/copy-table.ts';
import { SourceSnapshot } from '../copy/snapshot.ts';
import { checkpoint } from '../core/checkpoint.ts';
import { MirrorError } from '../core/errors.ts';
import type { Mend } from '../core/mend.ts';
import {
  nextTableState,
  type CopyRun,
  type CopySnapshot,
  type FilledTable,
  type TableRecord,
} from '../core/table-state.ts';
import { observeMemberships } from '../observe/publication.ts';
import { createSpool, fenceTable, writeSourceOid, writeTableState } from '../postgres/ledger.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { parseVisibility } from '../stream/visibility.ts';
import { catchUp } from './catch-up.ts';
import { finishTarget, mendOf } from './copy-target.ts';
import { emptyTable, prepareEmptying } from './empty-table.ts';
import { untilLocked } from './lock-tables.ts';
import { sleepOutsideWindow } from './outside-window.ts';
import { createShadow } from './shadow.ts';
import {
  atBoundary,
  moveTo,
  openDestination,
  openReplica,
  readFilled,
  recordOf,
  targetOf,
  type CopyRunOptions,
} from './table-run.ts';

/** How long a snapshot is retried that does not see what was applied already. */
const SNAPSHOT_RETRY_MS = 100;
const SNAPSHOT_TRIES = 600;

/** The whole road. Throws MirrorError; the table's state in the ledger says how far it came. */
export async function runCopy(options: CopyRunOptions, run: CopyRun): Promise<TableRecord> {
  options.onStep('Preparing');
  const published = { ...run, memberships: await readMemberships(options) };
  const begun =
    run.strategy === 'swap'
      ? await beginBeside(options, published)
      : await beginInPlace(options, published);
  checkpoint('emptied', begun.record.source);
  const snapshot = await makeCopy(options, begun);
  options.signal.throwIfAborted();
  const copied = await moveTo(options, { type: 'rowsCopied', snapshot });
  checkpoint('catching-up', copied.source);
  return catchUp(options, copied);
}

/** The end of the road alone: for a table that failed while Live, or whose rows were there already. */
export async function runReplay(options: CopyRunOptions): Promise<TableRecord> {
  const record = recordOf(options);
  return catchUp(
    options,
    record.state.phase === 'Failed' ? await moveTo(options, { type: 'replayStarted' }) : record,
  );
}

/** Read before the first change is spooled: who takes the table out of the publication after it is seen. */
async function readMemberships({
  mirror,
  source,
  signal,
}: CopyRunOptions): Promise<readonly string[]> {
  await using catalog = await openSession(mirror.source, {
    mirror: mirror.name,
    role: 'observer',
    readOnly: true,
    signal,
  });
  const { oid } = source;
  return (await observeMemberships(catalog, mirror.publication.name, [oid]))(oid);
}

/** A copy that has an empty target. */
interface Begun extends Spooling {
  readonly mend: Mend;
}

/**
 * One transaction, as soon as the locks are there and a maintenance window is open: the table is empty, and its
 * changes go to the spool. Until then it is Live as before, and nothing has begun.
 */
async function beginInPlace(options: CopyRunOptions, run: CopyRun): Promise<Begun> {
  return untilLocked(options, async () => {
    for (;;) {
      if (await sleepOutsideWindow(options)) continue;
      await using session = await openDestination(options, 'writer');
      const { destination } = recordOf(options);
      const mend = await mendOf(options, session, recordOf(options));
      const emptying = await prepareEmptying(session, destination, mend);
      const spooling = await startSpooling(options, run, async (streamSession) => {
        await emptyTable(streamSession, options.owner, destination, emptying);
        return readFilled(streamSession, destination, options.destination);
      });
      return { ...spooling, mend };
    }
  });
}

/** The table is read and fed as before; what an earlier run left of a shadow goes, and there is an empty one. */
async function beginBeside(options: CopyRunOptions, run: CopyRun): Promise<Begun> {
  const spooling = await startSpooling(options, run, async () => undefined);
  await using session = await openReplica(options, 'writer');
  const mend = await mendOf(options, session, spooling.record);
  await createShadow(session, options.owner, spooling.record, mend);
  return { ...spooling, mend };
}

/** From a commit boundary on every change of the table is in its spool; up to the mark none is. */
interface Spooling {
  readonly record: TableRecord;
  readonly mark: number;
}

/** `prepare` is part of that transaction; it tells what is filled in place. */
async function startSpooling(
  options: CopyRunOptions,
  run: CopyRun,
  prepare: (session: Session) => Promise<FilledTable | undefined>,
): Promise<Spooling> {
  const spooling = await atBoundary<Spooling>(options, async (session) => {
    const filled = await prepare(session);
    const record = recordOf(options);
    await createSpool(session, options.owner, record.id);
    await writeSourceOid(session, options.owner, record.id, options.source.oid);
    const begun = filled === undefined ? run : { ...run, filled };
    const state = nextTableState(record.state, { type: 'copyStarted', run: begun });
    await writeTableState(session, options.owner, record.id, { state });
    const changed = { ...record, state, sourceOid: options.source.oid };
    const mark = options.follower.appliedMark();
    return { result: { record: changed, mark }, changed: [changed] };
  });
  checkpoint('spooling', spooling.record.source);
  return spooling;
}

/** Rows, keys and indexes. Returns what the copy's snapshot sees. */
async function makeCopy(
  options: CopyRunOptions,
  { record, mark, mend }: Begun,
): Promise<CopySnapshot> {
  await using writer = await openReplica(options, 'writer');
  options.onStep('Copying');
  const snapshot = await copyRows(options, record, mark);
  checkpoint('rows-copied', record.source);
  options.onStep('Indexing');
  await finishTarget(options, writer, { record, mend });
  checkpoint('keys-built', record.source);
  return snapshot;
}

/** Returns what the copy's snapshot sees. */
async function copyRows(
  options: CopyRunOptions,
  record: TableRecord,
  mark: number,
): Promise<CopySnapshot> {
  const { mirror, table, source } = options;
  await using snapshot = await takeSnapshot(options, mark);
  checkpoint('snapshot-taken', record.source);
  await using catalog = await openSession(mirror.source, {
    mirror: mirror.name,
    role: 'observer',
    readOnly: true,
    signal: options.signal,
  });
  const columns = copiedColumns(source, table);
  const rows = await copyTable({
    snapshot,
    source: table.source,
    target: targetOf(record),
    columns: columns.map(({ name }) => name),
    partitioned: source.kind === 'partitioned',
    format: copyFormat(columns, options.sameMajor),
    rowsPerPartition: mirror.snapshot.rowsPerPartition,
    maxWorkers: mirror.snapshot.maxParallelWorkers,
    openWriter: async () => openReplica(options, 'copier'),
    catalog,
    fence: async (writer) => fenceTable(writer, options.owner, record.id),
    onProgress: options.onProgress,
    signal: options.signal,
  });
  options.log.info({ rows }, 'rows copied');
  return snapshot.seen;
}

/**
 * A snapshot that sees every transaction that was applied before the spool began. One that committed
 * but still waits for a synchronous standby is in the WAL and in no snapshot: take another until it is (TRAPS 23).
 * What came after the mark is spooled and need not be seen: with a busy source some of it always is not.
 */
async function takeSnapshot(options: CopyRunOptions, mark: number): Promise<SourceSnapshot> {
  for (let attempt = 0; attempt < SNAPSHOT_TRIES; attempt += 1) {
    options.signal.throwIfAborted();
    const snapshot = await SourceSnapshot.take(options.mirror, options.signal);
    const visibility = parseVisibility(snapshot.seen.visible);
    if (!options.follower.hasAppliedUnseenBy(visibility, mark)) return snapshot;
    await snapshot.session.close();
    await options.clock.sleep(SNAPSHOT_RETRY_MS, options.signal);
  }
  throw new MirrorError(
    'SnapshotLost',
    'no source snapshot saw every transaction that was applied; is a synchronous standby down?',
  );
}
