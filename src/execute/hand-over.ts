/** The last step of the copy road: between two transactions of the stream the table goes Live. */
import { checkpoint } from '../core/checkpoint.ts';
import { MirrorError } from '../core/errors.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import {
  copied,
  isOtherTable,
  nextTableState,
  type CopyRun,
  type Done,
  type TableFailure,
  type TableRecord,
} from '../core/table-state.ts';
import { observeDestinationShape } from '../observe/shapes.ts';
import { desiredShape } from '../plan/desired-shape.ts';
import { droppedColumns } from '../plan/exclusions.ts';
import { dropSpool, writeTableState } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import { dropColumnsSql } from '../sql/mend.ts';
import { rowsMissing } from '../stream/applier.ts';
import type { BoundaryResult } from '../stream/boundaries.ts';
import { replayRest, replayUntilShort, type Replay } from './spool-replay.ts';
import { untilLocked } from './lock-tables.ts';
import { alterShape } from './mend-table.ts';
import { sleepOutsideWindow } from './outside-window.ts';
import { ownSequences } from './schema.ts';
import { dropShadow } from './shadow.ts';
import { prepareSwap, swapTables } from './swap.ts';
import {
  atBoundary,
  openDestination,
  readFilled,
  recordOf,
  type CopyRunOptions,
} from './table-run.ts';

/** The rest is replayed, the table is Live, its spool is gone: one transaction. */
export async function handOver(options: CopyRunOptions, replay: Replay): Promise<TableRecord> {
  for (;;) {
    const record = await tryHandOver(options, replay, async () => undefined);
    if (record !== undefined) return record;
    await replayUntilShort(options, replay);
  }
}

/**
 * The same, and the shadow takes the old table's place in that transaction. A reader that does not let go
 * of the table is never cancelled and holds up nobody else: each try waits for its lock for a moment
 * only, then the stream goes on and the next try comes later.
 */
export async function handOverBySwap(
  options: CopyRunOptions,
  replay: Replay,
): Promise<TableRecord> {
  const record = await untilLocked(options, async () => {
    for (;;) {
      // What came since the last try must not be left for the boundary, nor pile up outside a window.
      await replayUntilShort(options, replay);
      if (await sleepOutsideWindow(options)) continue;
      const swapped = await trySwap(options, replay);
      if (swapped !== undefined) return swapped;
    }
  });
  await tidyUp(options, record).catch((error: unknown) =>
    options.log.info({ err: error }, 'what the swap left is dropped later'),
  );
  return record;
}

/** The table is Live: what fails here is the plan's to do again, and nothing of the copy's. */
async function tidyUp(options: CopyRunOptions, record: TableRecord): Promise<void> {
  await using session = await openDestination(options, 'writer');
  await ownMendedSequences(options, session, record);
  await dropShadow(session, options.owner, record);
}

/** A serial that the shadow got from the source has its sequence beside the table, and nobody's yet. */
async function ownMendedSequences(
  { mirror, table, source }: CopyRunOptions,
  session: Session,
  { destination }: TableRecord,
): Promise<void> {
  const { sequences } = desiredShape(mirror, table, source);
  const actual = await observeDestinationShape(session, destination);
  const inUse = sequences.filter(({ name, column }) =>
    actual?.sequences.some((used) => used.column === column && sameTable(used.name, name)),
  );
  await ownSequences(session, destination, inUse);
}

/** With a session of its own: many may wait at once, and for long. */
async function trySwap(options: CopyRunOptions, replay: Replay): Promise<TableRecord | undefined> {
  await using session = await openDestination(options, 'writer');
  const { destination } = replay.record;
  const plan = await prepareSwap(session, replay.record);
  const actual = await observeDestinationShape(session, destination);
  const dropped = droppedColumns(options.mirror, options.table, replay.record, actual);
  return await tryHandOver(options, replay, async (streamSession) => {
    await swapTables(streamSession, options.owner, replay.record, plan);
    await alterShape(streamSession, destination, dropColumnsSql(destination, dropped));
  });
}

interface Tried {
  readonly record?: TableRecord;
  /** In what was replayed without it. */
  readonly missing: number;
}

/** Undefined when so much came since the spool was short that it has to be replayed first. */
async function tryHandOver(
  options: CopyRunOptions,
  replay: Replay,
  takePlace: (session: Session) => Promise<void>,
): Promise<TableRecord | undefined> {
  const { record, missing } = await atBoundary<Tried>(options, async (session) => {
    const rest = await replayRest(options, session, replay);
    if (!rest.isWhole) return { result: { missing: rest.missing } };
    await takePlace(session);
    const { result, changed = [] } = await goLive(options, session, replay.missing + rest.missing);
    return { result: { record: result, missing: 0 }, changed };
  });
  replay.missing += missing;
  if (record !== undefined) checkpoint('handed-over', record.source);
  return record;
}

async function goLive(
  options: CopyRunOptions,
  session: Session,
  missing: number,
): Promise<BoundaryResult<TableRecord>> {
  const record = recordOf(options);
  const diverged = missing > 0 ? divergence(options, record, missing) : undefined;
  const state = nextTableState(record.state, {
    type: 'handedOver',
    ...(diverged === undefined ? {} : { diverged }),
  });
  const run = record.state.phase === 'CatchingUp' ? record.state.run : undefined;
  // A replay alone fills nothing: what it goes into is what the last copy filled, or a stranger.
  const done = run && (await whole(options, session, run));
  await dropSpool(session, record.id);
  await writeTableState(session, options.owner, record.id, { state, ...(done ? { done } : {}) });
  const changed = done ? copied(record, state, done) : { ...record, state };
  return { result: changed, changed: [changed] };
}

/** What the run was for, with the table that has its rows now. Throws TableMissing when that is another than was filled. */
async function whole(options: CopyRunOptions, session: Session, run: CopyRun): Promise<Done> {
  const { destination } = recordOf(options);
  const filled = await readFilled(session, destination, options.destination);
  if (filled === undefined || (run.filled !== undefined && isOtherTable(run.filled, filled)))
    throw new MirrorError(
      'TableMissing',
      `${formatTableName(destination)} is another table than the one that was filled`,
      { hint: 'It was made again meanwhile: it is copied again.' },
    );
  return { ...run, filled };
}

function divergence(options: CopyRunOptions, record: TableRecord, missing: number): TableFailure {
  const error: MirrorError = rowsMissing(formatTableName(record.destination), missing);
  const { code, message, hint } = error;
  return { code, message, hint, since: options.clock.now().toISOString(), attempts: 1 };
}
