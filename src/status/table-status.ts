import { ERROR_RULES } from '../core/errors.ts';
import type { MirrorTable } from '../core/mirror.ts';
import { formatTableName } from '../core/table-name.ts';
import type { TableFailure, TablePhase, TableRecord } from '../core/table-state.ts';
import { needsResync } from '../core/table-state.ts';
import { isOfCopy, type Verification } from '../core/verification.ts';
import { isRecordOf } from '../plan/table-case.ts';
import type { MirrorView, RunView } from './view.ts';

export interface TableStatus {
  readonly source: string;
  readonly destination: string;
  readonly phase: TablePhase;
  readonly resyncStatus: 'none' | 'in_progress' | 'completed' | 'failed';
  readonly resyncGeneration: { readonly desired: number; readonly observed?: number };
  readonly resync?: RunView & { readonly percent: number };
  readonly verification?: Omit<Verification, 'generation' | 'destinationRows'>;
  readonly error?: TableFailure;
}

/** One row of the status file, for each table of the spec: complete by construction. */
export function tableStatus(view: MirrorView, table: MirrorTable): TableStatus {
  const key = formatTableName(table.source);
  const record = view.records.find((one) => isRecordOf(one, table));
  const run = view.runs.get(key);
  const error = errorOf(view, table, record);
  const observed = record?.observed?.table;
  const verification = verificationOf(record);
  return {
    source: key,
    destination: formatTableName(table.destination),
    phase: record?.state.phase ?? 'Pending',
    resyncStatus: resyncStatusOf(table, record, {
      isRunning: run !== undefined && run.step !== 'Verifying' && !isCaughtUp(record),
      hasFailed: error !== undefined && error !== staleness(record),
    }),
    resyncGeneration: {
      desired: table.generation.table,
      ...(observed === undefined ? {} : { observed }),
    },
    ...(run === undefined ? {} : { resync: { ...run, percent: percentOf(run) } }),
    ...(verification === undefined ? {} : { verification }),
    ...(error === undefined ? {} : { error }),
  };
}

/** A failure that a bumped counter is about to heal is no news; one of the resync itself is. */
function errorOf(
  view: MirrorView,
  table: MirrorTable,
  record: TableRecord | undefined,
): TableFailure | undefined {
  const failed = view.failures.get(formatTableName(table.source));
  if (failed || record === undefined) return failed;
  const { state, observed } = record;
  const stale = staleness(record);
  if (stale !== undefined) return stale;
  if (observed !== undefined && needsResync(table.generation, observed)) return undefined;
  if (state.phase === 'Live') return state.diverged ?? mismatchOf(record);
  return state.phase === 'Failed' ? state.failure : undefined;
}

/** Readers have an old table until the swap that runs replaces it, and it is none of the swap's own failures. */
function staleness(record: TableRecord | undefined): TableFailure | undefined {
  const state = record?.state;
  return state !== undefined && 'stale' in state ? state.stale : undefined;
}

/** What was found of the present copy. */
function verificationOf(record: TableRecord | undefined): TableStatus['verification'] {
  const { verification, observed } = record ?? {};
  if (verification === undefined || !isOfCopy(verification, observed)) return undefined;
  const { generation: _generation, destinationRows: _rows, ...shown } = verification;
  return shown;
}

function mismatchOf(record: TableRecord): TableFailure | undefined {
  const verification = verificationOf(record);
  if (verification?.result !== 'Mismatch') return undefined;
  return {
    code: 'VerificationFailed',
    message: `${formatTableName(record.destination)} is not like its source: ${verification.message}`,
    hint: ERROR_RULES.VerificationFailed.hint,
    since: verification.checkedAt,
    attempts: 1,
  };
}

function resyncStatusOf(
  table: MirrorTable,
  record: TableRecord | undefined,
  now: { readonly isRunning: boolean; readonly hasFailed: boolean },
): TableStatus['resyncStatus'] {
  const observed = record?.observed;
  // The first copy is no resync.
  if (observed === undefined) return 'none';
  if (now.isRunning) return 'in_progress';
  if (needsResync(table.generation, observed)) return now.hasFailed ? 'failed' : 'in_progress';
  return observed.table > 0 || observed.mirror > 0 ? 'completed' : 'none';
}

/** It failed while Live: what runs replays its changes, and copies nothing. */
function isCaughtUp(record: TableRecord | undefined): boolean {
  const state = record?.state;
  return (
    state !== undefined &&
    (state.phase === 'CatchingUp' || (state.phase === 'Failed' && state.resume === 'replay')) &&
    state.run === undefined
  );
}

function percentOf({ rowsCopied, rowsTotal, step }: RunView): number {
  if (step === 'Waiting' || step === 'Preparing') return 0;
  if (step !== 'Copying') return 100;
  return rowsTotal > 0 ? Math.min(99, Math.floor((100 * rowsCopied) / rowsTotal)) : 0;
}
