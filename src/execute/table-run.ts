/** What a run of one table down the copy road works with, and what every part of the road does. */
import type { CopyProgress } from '../copy/copy-table.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { TableShape } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { nextTableState, type TableEvent, type TableRecord } from '../core/table-state.ts';
import { writeTableState, type Owner } from '../postgres/ledger.ts';
import { writeAsReplica } from '../postgres/replica-role.ts';
import { openSession, type Session } from '../postgres/session.ts';
import type { Follower } from '../stream/follow.ts';

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

/** Moves the table on at the next commit boundary. Throws when its state does not take the event. */
export async function moveTo(
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

/** A destination session that writes as replica, and is cut when the run is told to stop. */
export async function openReplica(
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

/** The table as the stream routes it now. */
export function recordOf(options: CopyRunOptions): TableRecord {
  const record = options.follower.recordOf(options.table.source);
  if (!record) throw new Error(`the stream does not know ${formatTableName(options.table.source)}`);
  return record;
}
