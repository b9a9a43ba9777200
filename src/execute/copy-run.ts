/**
 * One table down the copy road, first copy and resync alike: spool, empty, snapshot, rows, keys and
 * indexes, replay, hand over. It runs beside the loop while every other table streams on. Each step can
 * be found again from the ledger: a run that ends anywhere is taken up or started anew by the next plan.
 */
import { copyTable, type CopyProgress } from '../copy/copy-table.ts';
import { SourceSnapshot } from '../copy/snapshot.ts';
import type { Clock } from '../core/clock.ts';
import { MirrorError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { parseLsn, type Lsn } from '../core/lsn.ts';
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { TableShape } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import {
  nextTableState,
  type CopyRun,
  type CopySnapshot,
  type TableEvent,
  type TableRecord,
} from '../core/table-state.ts';
import {
  createSpool,
  dropSpool,
  fenceTable,
  writeTableState,
  type Owner,
} from '../postgres/ledger.ts';
import { writeAsReplica } from '../postgres/replica-role.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { copyFormat, copiedColumns } from '../copy/columns.ts';
import { EMIT_MARK } from '../sql/copy.ts';
import { quoteTable } from '../sql/quote.ts';
import type { Follower } from '../stream/follow.ts';
import { replayBatch, type ReplayOptions } from '../stream/replay.ts';
import { loadTarget } from '../stream/target.ts';
import { parseVisibility, type Visibility } from '../stream/visibility.ts';
import { emptyTable } from './empty-table.ts';
import { buildIndexes, buildKeys } from './constraints.ts';

/** Where a run is, for the status file and for the log. */
export type CopyStep =
  | 'Waiting'
  | 'Preparing'
  | 'Copying'
  | 'Indexing'
  | 'CatchingUp'
  | 'HandingOver';

export interface CopyRunOptions {
  readonly mirror: Mirror;
  readonly table: MirrorTable;
  readonly source: TableShape;
  /** Majors of both servers: the binary format is used only between equal ones. */
  readonly sameMajor: boolean;
  readonly owner: Owner;
  readonly follower: Follower;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onStep: (step: CopyStep) => void;
  readonly onProgress: (progress: CopyProgress) => void;
}

/** How long a snapshot is retried that does not see what was applied already. */
const SNAPSHOT_RETRY_MS = 100;
const SNAPSHOT_TRIES = 600;
const PASS_POLL_MS = 20;
/** Little enough to be replayed while the stream waits: a blink. Both below one replay batch. */
const HANDOVER_MAX_BYTES = 256 * 1024;
const HANDOVER_MAX_TRANSACTIONS = 500;

/** The whole road. Throws MirrorError; the table's state in the ledger says how far it came. */
export async function runCopy(options: CopyRunOptions, run: CopyRun): Promise<TableRecord> {
  options.onStep('Preparing');
  const { record, mark } = await startSpooling(options, run);
  const snapshot = await makeCopy(options, record, mark);
  options.signal.throwIfAborted();
  const copied = await moveTo(options, record, { type: 'rowsCopied', snapshot });
  return catchUp(options, copied);
}

/** Empty target, rows, keys and indexes. Returns what the copy's snapshot sees. */
async function makeCopy(
  options: CopyRunOptions,
  record: TableRecord,
  mark: number,
): Promise<CopySnapshot> {
  const { mirror, table, source, log } = options;
  await using writer = await openReplica(options, 'writer');
  await emptyTable(writer, options.owner, record);
  options.onStep('Copying');
  const snapshot = await copyRows(options, record, mark);
  options.onStep('Indexing');
  await buildKeys({ mirror, destination: writer, log }, table, source);
  if (mirror.replicateIndexes)
    await buildIndexes({ mirror, destination: writer, log }, table, source);
  // Fresh statistics, or the replay's first plans would scan the table for each change.
  await writer.query(`analyze ${quoteTable(table.destination)}`);
  return snapshot;
}

/** The end of the road alone: for a table that failed while Live, or whose rows were there already. */
export async function runReplay(options: CopyRunOptions): Promise<TableRecord> {
  const record = recordOf(options);
  return catchUp(
    options,
    record.state.phase === 'Failed'
      ? await moveTo(options, record, { type: 'replayStarted' })
      : record,
  );
}

/** From this commit boundary on every change of the table is in its spool; up to the mark none is. */
async function startSpooling(
  options: CopyRunOptions,
  run: CopyRun,
): Promise<{ record: TableRecord; mark: number }> {
  return options.follower.atBoundary(async (session) => {
    const record = recordOf(options);
    await createSpool(session, options.owner, record.id);
    const state = nextTableState(record.state, { type: 'copyStarted', run });
    await writeTableState(session, options.owner, record.id, { state });
    const changed = { ...record, state };
    const mark = options.follower.appliedMark();
    return { result: { record: changed, mark }, changed: [changed] };
  });
}

async function moveTo(
  options: CopyRunOptions,
  record: TableRecord,
  event: TableEvent,
): Promise<TableRecord> {
  return options.follower.atBoundary(async (session) => {
    const state = nextTableState(record.state, event);
    await writeTableState(session, options.owner, record.id, { state });
    const changed = { ...record, state };
    return { result: changed, changed: [changed] };
  });
}

/** Returns what the copy's snapshot sees. */
async function copyRows(
  options: CopyRunOptions,
  record: TableRecord,
  mark: number,
): Promise<CopySnapshot> {
  const { mirror, table, source } = options;
  await using snapshot = await takeSnapshot(options, mark);
  await using catalog = await openSession(mirror.source, {
    mirror: mirror.name,
    role: 'observer',
    readOnly: true,
  });
  const columns = copiedColumns(source, table);
  const rows = await copyTable({
    snapshot,
    source: table.source,
    target: table.destination,
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
    const snapshot = await SourceSnapshot.take(options.mirror);
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

async function catchUp(options: CopyRunOptions, record: TableRecord): Promise<TableRecord> {
  if (record.state.phase !== 'CatchingUp')
    throw new Error(`cannot catch up from ${record.state.phase}`);
  const { snapshot } = record.state;
  const visibility = snapshot === undefined ? undefined : parseVisibility(snapshot.visible);
  options.onStep('CatchingUp');
  await replayUntilShort(options, record, visibility);
  if (snapshot !== undefined) {
    await waitUntilPassed(options, parseLsn(snapshot.lsn));
    await replayUntilShort(options, record, visibility);
  }
  options.onStep('HandingOver');
  return handOver(options, record, visibility);
}

async function replayUntilShort(
  options: CopyRunOptions,
  record: TableRecord,
  visibility: Visibility | undefined,
): Promise<void> {
  await using session = await openReplica(options, 'replayer');
  const replay = await replayOptions(options, session, record, visibility);
  for (;;) {
    options.signal.throwIfAborted();
    const { rows, bytes, missingRows } = await session.transaction(async () =>
      replayBatch(session, options.owner, replay),
    );
    options.log.debug({ rows, bytes, missingRows }, 'spool replayed');
    if (rows < HANDOVER_MAX_TRANSACTIONS && bytes < HANDOVER_MAX_BYTES) return;
  }
}

/**
 * Waits until the stream is past everything that the copy's snapshot sees. A quiet source gives it
 * nothing to pass by: a mark in the WAL does.
 */
async function waitUntilPassed(
  { mirror, follower, clock, signal }: CopyRunOptions,
  lsn: Lsn,
): Promise<void> {
  if (follower.progress().appliedLsn >= lsn) return;
  await using source = await openSession(mirror.source, { mirror: mirror.name, role: 'observer' });
  await source.query(EMIT_MARK);
  while (follower.progress().appliedLsn < lsn) {
    signal.throwIfAborted();
    follower.throwIfEnded();
    await clock.sleep(PASS_POLL_MS, signal);
  }
}

/** Between two transactions of the stream: the rest is replayed, the table is Live, its spool is gone. */
async function handOver(
  options: CopyRunOptions,
  record: TableRecord,
  visibility: Visibility | undefined,
): Promise<TableRecord> {
  return options.follower.atBoundary(async (session) => {
    const replay = await replayOptions(options, session, record, visibility);
    while ((await replayBatch(session, options.owner, replay)).rows > 0);
    await dropSpool(session, record.id);
    const state = nextTableState(record.state, { type: 'handedOver' });
    const observed = record.state.phase === 'CatchingUp' ? record.state.run?.generation : undefined;
    await writeTableState(session, options.owner, record.id, {
      state,
      ...(observed ? { observed } : {}),
    });
    const changed: TableRecord = { ...record, state, observed: observed ?? record.observed };
    return { result: changed, changed: [changed] };
  });
}

async function replayOptions(
  options: CopyRunOptions,
  session: Session,
  record: TableRecord,
  visibility: Visibility | undefined,
): Promise<ReplayOptions> {
  const target = await loadTarget(session, record.destination, options.table.excludeColumns);
  return { tableId: record.id, target, visibility };
}

async function openReplica(
  options: CopyRunOptions,
  role: 'writer' | 'copier' | 'replayer',
): Promise<Session> {
  const session = await openSession(options.mirror.destination, {
    mirror: options.mirror.name,
    role,
  });
  try {
    await writeAsReplica(session);
    // Building an index takes as long as it takes: told to stop, the connection is cut.
    options.signal.addEventListener('abort', () => session.destroy(), { once: true });
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

function recordOf(options: CopyRunOptions): TableRecord {
  const record = options.follower.recordOf(options.table.source);
  if (!record) throw new Error(`the stream does not know ${formatTableName(options.table.source)}`);
  return record;
}
