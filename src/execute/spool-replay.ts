/** Brings the target of a run up to the stream: its spool, batch by batch, and the rest at a boundary. */
import { checkpoint } from '../core/checkpoint.ts';
import { parseLsn } from '../core/lsn.ts';
import type { CopySnapshot, TableRecord } from '../core/table-state.ts';
import type { Session } from '../postgres/session.ts';
import { replayBatch, type ReplayOptions } from '../stream/replay.ts';
import { loadTarget } from '../stream/target.ts';
import { parseVisibility } from '../stream/visibility.ts';
import { openReplica, targetOf, type CopyRunOptions } from './table-run.ts';

/** Little enough to be replayed while the stream waits: a blink. Both below one replay batch. */
const HANDOVER_MAX_BYTES = 256 * 1024;
const HANDOVER_MAX_TRANSACTIONS = 500;

/** The replay of one table's spool, as far as it came. */
export interface Replay {
  /** CatchingUp. */
  readonly record: TableRecord;
  /** What the rows hold already; undefined when every spooled change is still to be applied. */
  readonly snapshot: CopySnapshot | undefined;
  /** Rows to change that were not in the table, until now. */
  missing: number;
}

/** Until what is left is replayed in a blink. */
export async function replayUntilShort(options: CopyRunOptions, replay: Replay): Promise<void> {
  await using session = await openReplica(options, 'replayer');
  const batch = await replayOptions(options, session, replay);
  for (;;) {
    options.signal.throwIfAborted();
    const { rows, bytes, missingRows } = await session.transaction(async () =>
      replayBatch(session, options.owner, batch),
    );
    replay.missing += missingRows;
    checkpoint('batch-replayed', options.table.source);
    options.log.debug({ rows, bytes, missingRows }, 'spool replayed');
    if (rows < HANDOVER_MAX_TRANSACTIONS && bytes < HANDOVER_MAX_BYTES) return;
  }
}

/** The rest, at a boundary of the stream, in its transaction. Returns how many rows were missing in it. */
export async function replayRest(
  options: CopyRunOptions,
  session: Session,
  replay: Replay,
): Promise<number> {
  const batch = await replayOptions(options, session, replay);
  let missing = 0;
  for (let rows = -1; rows !== 0;) {
    const result = await replayBatch(session, options.owner, batch);
    missing += result.missingRows;
    rows = result.rows;
  }
  checkpoint('rest-replayed', options.table.source);
  return missing;
}

async function replayOptions(
  options: CopyRunOptions,
  session: Session,
  { record, snapshot }: Replay,
): Promise<ReplayOptions> {
  const target = await loadTarget(session, targetOf(record), options.table.excludeColumns);
  const copied = snapshot && {
    visibility: parseVisibility(snapshot.visible),
    lsn: parseLsn(snapshot.lsn),
  };
  return { tableId: record.id, target, copied };
}
