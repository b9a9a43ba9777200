/** The end of the copy road: the spool is replayed until it is short, then the table is handed over. */
import { parseLsn, type Lsn } from '../core/lsn.ts';
import { MirrorError } from '../core/errors.ts';
import { formatTableName } from '../core/table-name.ts';
import {
  nextTableState,
  type CopySnapshot,
  type TableFailure,
  type TableRecord,
} from '../core/table-state.ts';
import { dropSpool, writeTableState } from '../postgres/ledger.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { EMIT_MARK } from '../sql/copy.ts';
import { rowsMissing } from '../stream/applier.ts';
import { replayBatch, type ReplayOptions } from '../stream/replay.ts';
import { loadTarget } from '../stream/target.ts';
import { parseVisibility } from '../stream/visibility.ts';
import { openReplica, type CopyRunOptions } from './table-run.ts';

const PASS_POLL_MS = 20;
/** Little enough to be replayed while the stream waits: a blink. Both below one replay batch. */
const HANDOVER_MAX_BYTES = 256 * 1024;
const HANDOVER_MAX_TRANSACTIONS = 500;

/** From CatchingUp to Live. Throws MirrorError; the ledger says how far the replay came. */
export async function catchUp(options: CopyRunOptions, record: TableRecord): Promise<TableRecord> {
  if (record.state.phase !== 'CatchingUp')
    throw new Error(`cannot catch up from ${record.state.phase}`);
  const { snapshot } = record.state;
  options.onStep('CatchingUp');
  let missing = await replayUntilShort(options, record, snapshot);
  if (snapshot !== undefined) {
    await waitUntilPassed(options, parseLsn(snapshot.lsn));
    missing += await replayUntilShort(options, record, snapshot);
  }
  options.onStep('HandingOver');
  return handOver(options, record, { snapshot, missing });
}

/** Returns how many rows to change were not in the table. */
async function replayUntilShort(
  options: CopyRunOptions,
  record: TableRecord,
  snapshot: CopySnapshot | undefined,
): Promise<number> {
  await using session = await openReplica(options, 'replayer');
  const replay = await replayOptions(options, session, { record, snapshot });
  let missing = 0;
  for (;;) {
    options.signal.throwIfAborted();
    const { rows, bytes, missingRows } = await session.transaction(async () =>
      replayBatch(session, options.owner, replay),
    );
    missing += missingRows;
    options.log.debug({ rows, bytes, missingRows }, 'spool replayed');
    if (rows < HANDOVER_MAX_TRANSACTIONS && bytes < HANDOVER_MAX_BYTES) return missing;
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
  sofar: { readonly snapshot: CopySnapshot | undefined; readonly missing: number },
): Promise<TableRecord> {
  return options.follower.atBoundary(async (session) => {
    const replay = await replayOptions(options, session, { record, snapshot: sofar.snapshot });
    let { missing } = sofar;
    for (let rows = -1; rows !== 0;) {
      const result = await replayBatch(session, options.owner, replay);
      missing += result.missingRows;
      rows = result.rows;
    }
    await dropSpool(session, record.id);
    const diverged = missing > 0 ? divergence(options, record, missing) : undefined;
    const state = nextTableState(record.state, {
      type: 'handedOver',
      ...(diverged === undefined ? {} : { diverged }),
    });
    const observed = record.state.phase === 'CatchingUp' ? record.state.run?.generation : undefined;
    await writeTableState(session, options.owner, record.id, {
      state,
      ...(observed ? { observed } : {}),
    });
    const changed: TableRecord = { ...record, state, observed: observed ?? record.observed };
    return { result: changed, changed: [changed] };
  });
}

function divergence(options: CopyRunOptions, record: TableRecord, missing: number): TableFailure {
  const error: MirrorError = rowsMissing(formatTableName(record.destination), missing);
  const { code, message, hint } = error;
  return { code, message, hint, since: options.clock.now().toISOString(), attempts: 1 };
}

async function replayOptions(
  options: CopyRunOptions,
  session: Session,
  {
    record,
    snapshot,
  }: { readonly record: TableRecord; readonly snapshot: CopySnapshot | undefined },
): Promise<ReplayOptions> {
  const target = await loadTarget(session, record.destination, options.table.excludeColumns);
  const copied = snapshot && {
    visibility: parseVisibility(snapshot.visible),
    lsn: parseLsn(snapshot.lsn),
  };
  return { tableId: record.id, target, copied };
}
