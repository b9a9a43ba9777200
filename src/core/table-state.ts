/**
 * The states of one mirrored table and the one function that moves between them. Every state is
 * durable: it is the ledger's row, written in the destination transaction that made it true.
 */
import type { ErrorCode } from './errors.ts';
import type { Generation, ResyncStrategy } from './mirror.ts';
import type { TableName } from './table-name.ts';
import type { Verification } from './verification.ts';

/** Which table at the destination: of that name there can be another one later. */
export interface FilledTable {
  /** 0: what was filled is gone, and the one that was made in its place is empty. */
  readonly oid: number;
  readonly databaseOid: number;
  /** Of the cluster; '' where it cannot be read. */
  readonly systemIdentifier: string;
}

/** One run of the copy road, first copy or resync. */
export interface CopyRun {
  /** Unique for each attempt: what an earlier attempt left behind can be told apart. */
  readonly id: string;
  readonly strategy: ResyncStrategy;
  /** What is observed when this run ends. */
  readonly generation: Generation;
  /** What the file leaves out when the run begins; undefined in a run that an older version began. */
  readonly excludeColumns?: readonly string[];
  /** How the source table was published when the run began; undefined likewise, and before its first step. */
  readonly memberships?: readonly string[];
  /** What is filled in place; undefined in a run that fills a shadow. */
  readonly filled?: FilledTable;
  /** ISO 8601. */
  readonly startedAt: string;
}

/** The source snapshot that a copy was made from, and where the stream stands to it. */
export interface CopySnapshot {
  /** pg_current_snapshot() as text: spooled transactions that it sees are in the copy already. */
  readonly visible: string;
  /**
   * An LSN behind the commit record of everything that the snapshot sees. A stream that lags may
   * bring such a transaction after the spool was replayed: until it is past this point the table
   * must not go Live, or the transaction would be applied on top of the copy that holds it.
   */
  readonly lsn: string;
}

export interface TableFailure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  /** ISO 8601, of the first failure in a row. */
  readonly since: string;
  readonly attempts: number;
}

/** What a table that is not Live keeps of its life before, while a swap runs beside it or its spool is replayed. */
export interface Kept {
  /** Readers still have the old table, and it gets every change. Only under swap. */
  readonly fed?: true;
  /** The old table could not be written any more: readers have it as it was then, until the swap. */
  readonly stale?: TableFailure;
  /** The old table's, as Live has it. */
  readonly diverged?: TableFailure;
}

export type TableState =
  /** Known, nothing copied. Its changes are dropped: the copy to come will hold them. */
  | { readonly phase: 'Pending'; readonly failure?: TableFailure }
  /** Rows are on the way. Its changes go to the spool, and to the live table while that is fed. */
  | ({ readonly phase: 'Copying'; readonly run: CopyRun } & Kept)
  /**
   * Rows are there. The spool is replayed, but for what the copy's snapshot sees.
   * No snapshot: the spool of a table that failed while Live.
   */
  | ({
      readonly phase: 'CatchingUp';
      readonly run: CopyRun | undefined;
      readonly snapshot: CopySnapshot | undefined;
    } & Kept)
  /**
   * Every change is applied as it comes. `diverged`: changes found rows missing at the destination, so
   * it is no copy any more; it follows on, and only a resync mends it.
   */
  | { readonly phase: 'Live'; readonly diverged?: TableFailure }
  /** Applying failed. Its changes go to the spool, up to a limit; tried again from `resume`. */
  | ({
      readonly phase: 'Failed';
      readonly failure: TableFailure;
      /** `copy`: from an empty target; `replay`: the spool goes on where it stopped. */
      readonly resume: 'copy' | 'replay';
      readonly run: CopyRun | undefined;
      readonly snapshot: CopySnapshot | undefined;
    } & Kept);

export type TablePhase = TableState['phase'];

/** The ledger's row of one table. */
export interface TableRecord {
  /** The ledger's own id, stable for the life of the mirror. */
  readonly id: string;
  readonly source: TableName;
  readonly destination: TableName;
  /** The source table's oid when it was copied: the stream tells tables by it, names may change. */
  readonly sourceOid?: number;
  /** The generation of the last finished copy; undefined before the first. */
  readonly observed: Generation | undefined;
  /** What the last finished copy left out; undefined before the first, and where an older version made it. */
  readonly excludeColumns?: readonly string[];
  /** How the source table was published when the last finished copy began; undefined likewise. */
  readonly memberships?: readonly string[];
  /** The table that the last finished copy filled; undefined likewise. */
  readonly filled?: FilledTable;
  /** Columns that the last finished copy holds and the stream does not write any more, for a file left them out since. */
  readonly staleColumns?: readonly string[];
  readonly state: TableState;
  /** Of the last comparison of both sides; undefined before the first. */
  readonly verification?: Verification;
  /** When somebody asked for a comparison last, in the form of Verification.checkedAt; undefined when nobody did. */
  readonly verifyRequestedAt?: string;
}

export type TableEvent =
  /** The copy runner, at a commit boundary of the stream: from here on changes are spooled. */
  | { readonly type: 'copyStarted'; readonly run: CopyRun }
  /** The copy runner, when all rows are committed. */
  | { readonly type: 'rowsCopied'; readonly snapshot: CopySnapshot }
  /** The copy runner, at a commit boundary, in the transaction that replayed the rest. */
  | { readonly type: 'handedOver'; readonly diverged?: TableFailure }
  /** The counter went back to what was done: a table that is fed is Live as before, another one's copy ends as that. */
  | { readonly type: 'cancelled'; readonly observed: Generation }
  /** The stream, in the transaction whose changes found no rows to change. */
  | { readonly type: 'diverged'; readonly failure: TableFailure }
  /** The stream could not apply to the live table that a swap is about to replace: the copy goes on. */
  | { readonly type: 'starved'; readonly failure: TableFailure }
  /** The stream could not apply to a live table, or a copy or replay ended in an error. */
  | { readonly type: 'failed'; readonly failure: TableFailure }
  /** The reconciler, when a failed table's back-off is over. */
  | { readonly type: 'replayStarted' };

/** Throws on a pair that cannot happen: that is a bug, not a condition. */
export function nextTableState(state: TableState, event: TableEvent): TableState {
  switch (event.type) {
    case 'copyStarted':
      return { phase: 'Copying', run: event.run, ...keptOnStart(state, event.run) };
    case 'rowsCopied':
      if (state.phase === 'Copying')
        return { ...state, phase: 'CatchingUp', snapshot: event.snapshot };
      break;
    case 'handedOver':
      // A replay adds what was missed, and no row that was missing before: only a copy does.
      if (state.phase === 'CatchingUp')
        return live(state.run === undefined ? (state.diverged ?? event.diverged) : event.diverged);
      break;
    case 'cancelled':
      if ('run' in state && state.run !== undefined)
        return state.fed === true
          ? live(state.diverged)
          : { ...state, run: { ...state.run, generation: event.observed } };
      break;
    case 'diverged':
      if (state.phase === 'Live') return live(state.diverged ?? event.failure);
      if ('run' in state && state.fed === true)
        return { ...state, diverged: state.diverged ?? event.failure };
      break;
    case 'starved':
      if ('run' in state && state.fed === true) return starvedState(state, event.failure);
      break;
    case 'replayStarted':
      if (state.phase === 'Failed' && state.resume === 'replay')
        return { phase: 'CatchingUp', run: state.run, snapshot: state.snapshot, ...kept(state) };
      break;
    case 'failed':
      return failedState(state, event.failure);
  }
  throw new Error(`table state ${state.phase} does not take ${event.type}`);
}

function live(diverged: TableFailure | undefined): TableState {
  return { phase: 'Live', ...(diverged === undefined ? {} : { diverged }) };
}

/** Only a table that had every change until now can go on to be fed: one that failed has a gap. */
function keptOnStart(state: TableState, run: CopyRun): Kept {
  if (run.strategy !== 'swap') return {};
  if (state.phase === 'Live')
    return { fed: true, ...(state.diverged === undefined ? {} : { diverged: state.diverged }) };
  return state.phase === 'Pending' ? {} : kept(state);
}

function kept({ fed, stale, diverged }: Kept): Kept {
  return {
    ...(fed === undefined ? {} : { fed }),
    ...(stale === undefined ? {} : { stale }),
    ...(diverged === undefined ? {} : { diverged }),
  };
}

function starvedState(
  state: Extract<TableState, { readonly run: unknown }>,
  stale: TableFailure,
): TableState {
  const { fed: _fed, ...rest } = state;
  return { ...rest, stale };
}

function failedState(state: TableState, failure: TableFailure): TableState {
  switch (state.phase) {
    case 'Pending':
      return { phase: 'Pending', failure };
    case 'Copying':
      return { ...state, phase: 'Failed', failure, resume: 'copy', snapshot: undefined };
    case 'CatchingUp':
      return { ...state, phase: 'Failed', failure, resume: 'replay' };
    case 'Live':
      return {
        phase: 'Failed',
        failure,
        resume: 'replay',
        run: undefined,
        snapshot: undefined,
        ...kept(state),
      };
    case 'Failed':
      return { ...state, failure: { ...failure, since: state.failure.since } };
  }
}

/** True while readers' old table gets every change beside the swap that will replace it. */
export function isFed(record: TableRecord | undefined): boolean {
  return record !== undefined && 'fed' in record.state && record.state.fed;
}

/** The copy that is under way, or failed on its way. */
export function runOf({ state }: TableRecord): CopyRun | undefined {
  return 'run' in state ? state.run : undefined;
}

/** True when the run under way fills a shadow. */
export function isSwapping({ state }: TableRecord): boolean {
  return 'run' in state && state.run?.strategy === 'swap';
}

/** What a finished copy was made for, of what and into what. */
export type Done = Pick<CopyRun, 'generation' | 'excludeColumns' | 'memberships' | 'filled'>;

/** Known to be another table: in a database that was moved or restored elsewhere the oids tell nothing. */
export function isOtherTable(known: FilledTable, now: FilledTable): boolean {
  const isSamePlace =
    known.systemIdentifier === now.systemIdentifier && known.databaseOid === now.databaseOid;
  return isSamePlace && known.oid !== now.oid;
}

/** The record after a copy has ended: what was found of the former copy means nothing any more. */
export function copied(former: TableRecord, state: TableState, done: Done): TableRecord {
  const { id, source, destination, sourceOid, verifyRequestedAt } = former;
  const { generation, excludeColumns, memberships, filled } = done;
  return {
    id,
    source,
    destination,
    ...(sourceOid === undefined ? {} : { sourceOid }),
    observed: generation,
    ...(excludeColumns === undefined ? {} : { excludeColumns }),
    ...(memberships === undefined ? {} : { memberships }),
    ...(filled === undefined ? {} : { filled }),
    state,
    ...(verifyRequestedAt === undefined ? {} : { verifyRequestedAt }),
  };
}

/** True when the file asks for a copy that was not made: either counter is ahead of what was observed. */
export function needsResync(desired: Generation, observed: Generation): boolean {
  return desired.table > observed.table || desired.mirror > observed.mirror;
}

/**
 * A table's state once the slot is gone: it is copied again. One that was never copied to its end stays in
 * its run, for rows in a table that is Pending would be taken for somebody else's.
 */
export function releasedState(record: TableRecord): TableState {
  const run = runOf(record);
  const { observed } = record;
  return observed === undefined && run !== undefined
    ? { phase: 'Copying', run }
    : { phase: 'Pending' };
}
