/** The end of the copy road: the spool is replayed until it is short, then the table is handed over. */
import { parseLsn, type Lsn } from '../core/lsn.ts';
import { isSwapping, type TableRecord } from '../core/table-state.ts';
import { openSession } from '../postgres/session.ts';
import { EMIT_MARK } from '../sql/copy.ts';
import { handOver, handOverBySwap } from './hand-over.ts';
import { replayUntilShort, type Replay } from './spool-replay.ts';
import { type CopyRunOptions } from './table-run.ts';

const PASS_POLL_MS = 20;

/** From CatchingUp to Live. Throws MirrorError; the ledger says how far the replay came. */
export async function catchUp(options: CopyRunOptions, record: TableRecord): Promise<TableRecord> {
  if (record.state.phase !== 'CatchingUp')
    throw new Error(`cannot catch up from ${record.state.phase}`);
  const replay: Replay = { record, snapshot: record.state.snapshot, missing: 0 };
  options.onStep('CatchingUp');
  await replayUntilShort(options, replay);
  if (replay.snapshot !== undefined) {
    await waitUntilPassed(options, parseLsn(replay.snapshot.lsn));
    await replayUntilShort(options, replay);
  }
  options.onStep('HandingOver');
  return isSwapping(record) ? handOverBySwap(options, replay) : handOver(options, replay);
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
  await using source = await openSession(mirror.source, {
    mirror: mirror.name,
    role: 'observer',
    signal,
  });
  await source.query(EMIT_MARK);
  while (follower.progress().appliedLsn < lsn) {
    signal.throwIfAborted();
    follower.throwIfEnded();
    await clock.sleep(PASS_POLL_MS, signal);
  }
}
