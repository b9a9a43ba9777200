/** What a run of one table down the copy road works with, and what every part of the road does. */
import type { CopyProgress } from '../copy/copy-table.ts';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { MaintenanceWindow, Mirror, MirrorTable } from '../core/mirror.ts';
import type { ObservedServer, TableShape } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import {
  isSwapping,
  nextTableState,
  type FilledTable,
  type TableEvent,
  type TableRecord,
} from '../core/table-state.ts';
import { observeTableOid } from '../observe/relations.ts';
import { writeTableState, type Owner } from '../postgres/ledger.ts';
import { assertOwner } from '../postgres/ownership.ts';
import { writeAsReplica } from '../postgres/replica-role.ts';
import type { SessionRole } from '../postgres/application-name.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { shadowOf } from '../sql/shadow.ts';
import type { BoundaryWork } from '../stream/boundaries.ts';
import type { Follower } from '../stream/follow.ts';

/** Where a run is, for the status file and for the log. */
export type CopyStep =
  | 'Waiting'
  | 'Preparing'
  | 'Copying'
  | 'Indexing'
  | 'CatchingUp'
  | 'HandingOver'
  | 'Verifying';

/** What a run that cannot go on for now waits for. */
export interface Waiting {
  /** One line for people: the sessions that hold a lock. */
  readonly waitsFor: string;
  readonly tries: number;
}

/** Which database of which cluster. */
export type DatabaseIdentity = Pick<ObservedServer, 'systemIdentifier' | 'databaseOid'>;

export interface CopyRunOptions {
  readonly mirror: Mirror;
  readonly table: MirrorTable;
  readonly source: TableShape;
  /** Majors of both servers: the binary format is used only between equal ones. */
  readonly sameMajor: boolean;
  /** Where the destination table is. */
  readonly destination: DatabaseIdentity;
  readonly owner: Owner;
  readonly follower: Follower;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Of the newest file: they may be edited while a swap waits for one. */
  readonly windows: () => readonly MaintenanceWindow[];
  readonly onStep: (step: CopyStep) => void;
  readonly onProgress: (progress: CopyProgress) => void;
  readonly onWaiting: (waiting: Waiting) => void;
}

/** At a commit boundary, unless the run was told to stop before it came. */
export async function atBoundary<T>(
  { follower, signal }: Pick<CopyRunOptions, 'follower' | 'signal'>,
  work: BoundaryWork<T>,
): Promise<T> {
  return follower.atBoundary(async (session) => {
    signal.throwIfAborted();
    return work(session);
  });
}

/** Moves the table on from where it is at the next commit boundary. Throws when its state does not take the event. */
export async function moveTo(options: CopyRunOptions, event: TableEvent): Promise<TableRecord> {
  return atBoundary(options, async (session) => {
    const record = recordOf(options);
    const state = nextTableState(record.state, event);
    await writeTableState(session, options.owner, record.id, { state });
    const changed = { ...record, state };
    return { result: changed, changed: [changed] };
  });
}

/**
 * A destination session of the run's own, cut when the run is told to stop: an index takes as long as it
 * takes. Throws NotOwner after a takeover; who takes over later ends it.
 */
export async function openDestination(
  options: Pick<CopyRunOptions, 'mirror' | 'owner' | 'signal'>,
  role: SessionRole,
): Promise<Session> {
  const session = await openSession(options.mirror.destination, {
    mirror: options.mirror.name,
    role,
    signal: options.signal,
  });
  const cut = (): void => session.destroy();
  options.signal.addEventListener('abort', cut, { once: true });
  // A run that waits for hours opens thousands, one after the other.
  session.client.once('end', () => options.signal.removeEventListener('abort', cut));
  try {
    // It may have been told so while the session was opened.
    options.signal.throwIfAborted();
    await assertOwner(session, options.owner);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** One that writes as replica. */
export async function openReplica(
  options: CopyRunOptions,
  role: 'writer' | 'copier' | 'replayer',
): Promise<Session> {
  const session = await openDestination(options, role);
  try {
    await writeAsReplica(session);
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

/** The destination table as it is in the session's transaction; undefined when there is none. */
export async function readFilled(
  session: Session,
  table: TableName,
  { systemIdentifier, databaseOid }: DatabaseIdentity,
): Promise<FilledTable | undefined> {
  const oid = await observeTableOid(session, table);
  return oid === undefined ? undefined : { oid, databaseOid, systemIdentifier };
}

/** The table as the stream routes it now. */
export function recordOf(options: CopyRunOptions): TableRecord {
  const record = options.follower.recordOf(options.table.source);
  if (!record) throw new Error(`the stream does not know ${formatTableName(options.table.source)}`);
  return record;
}

/** The table that the run fills and the spool is replayed into. */
export function targetOf(record: TableRecord): TableName {
  return isSwapping(record) ? shadowOf(record) : record.destination;
}
