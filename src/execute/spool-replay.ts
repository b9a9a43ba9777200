/** Brings the target of a run up to the stream: its spool, batch by batch, and the rest at a boundary. */
import { checkpoint } from '../core/checkpoint.ts';
import { parseLsn } from '../core/lsn.ts';
import { type CopySnapshot, runOf, type TableRecord } from '../core/table-state.ts';
import type { Session } from '../postgres/session.ts';
import { replayBatch, type ReplayOptions } from '../stream/replay.ts';
import { unspooledColumns, unwrittenColumns } from '../plan/exclusions.ts';
import { loadTarget } from '../stream/target.ts';
import { parseVisibility } from '../stream/visibility.ts';
import { openReplica, targetOf, type CopyRunOptions } from './table-run.ts';

/** Little enough to be replayed while the stream waits: a blink. Both below one replay batch. */
const HANDOVER_MAX_BYTES = 256 * 1024;
const HANDOVER_MAX_TRANSACTIONS = 500;
/** What may have come since; the batch that goes past it is the last. */
const REST_MAX_BYTES = 4 * HANDOVER_MAX_BYTES;

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

/** What was replayed while the stream waits. */
export interface Rest {
  /** False when a lot came since the spool was short: that is not for the others to wait for. */
  readonly isWhole: boolean;
  /** Rows to change that were not in the table. */
  readonly missing: number;
}

/** What is left, at a boundary of the stream, in its transaction. */
export async function replayRest(
  options: Pick<CopyRunOptions, 'owner' | 'table'>,
  session: Session,
  replay: Replay,
): Promise<Rest> {
  const batch = await replayOptions(options, session, replay);
  let missing = 0;
  for (let bytes = 0; bytes < REST_MAX_BYTES;) {
    const result = await replayBatch(session, options.owner, batch);
    missing += result.missingRows;
    bytes += result.bytes;
    if (result.rows > 0) continue;
    checkpoint('rest-replayed', options.table.source);
    return { isWhole: true, missing };
  }
  return { isWhole: false, missing };
}

async function replayOptions(
  options: Pick<CopyRunOptions, 'table'>,
  session: Session,
  { record, snapshot }: Replay,
): Promise<ReplayOptions> {
  // Without a run it goes into the table as the last copy left it, and what is not in the spool stays away.
  const columns =
    runOf(record) === undefined
      ? [...unwrittenColumns(options.table, record), ...unspooledColumns(record)]
      : options.table.excludeColumns;
  const target = await loadTarget(session, targetOf(record), columns);
  const copied = snapshot && {
    visibility: parseVisibility(snapshot.visible),
    lsn: parseLsn(snapshot.lsn),
  };
  return { tableId: record.id, target, copied };
}
