/** The conditions of a mirror, in Kubernetes' form. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { ERROR_RULES, type ErrorCode, type MirrorError } from '../core/errors.ts';
import type { SpecProblem } from '../core/intent.ts';
import { formatTableName } from '../core/table-name.ts';
import type { TableFailure } from '../core/table-state.ts';
import { describeStep } from '../plan/describe.ts';
import { driftOf } from '../plan/drifted.ts';
import { isHeld, type Step } from '../plan/plan.ts';
import { isSlotLoss } from '../plan/slot-loss.ts';
import { isRecordOf } from '../plan/table-case.ts';
import type { TableStatus } from './table-status.ts';
import type { MirrorState, MirrorView } from './view.ts';

export type ConditionType =
  | 'Ready'
  | 'Replicating'
  | 'Reconciling'
  | 'Stalled'
  | 'SpecAccepted'
  | 'Verified'
  | 'Drifted'
  | 'ResyncGenerationBehind';

export type ConditionReason =
  | ErrorCode
  | 'ReconciliationSucceeded'
  | 'Progressing'
  | 'ProgressingWithRetry'
  | 'ResyncInProgress'
  | 'InitialCopy'
  | 'Streaming'
  | 'CatchingUp'
  | 'Suspended'
  | 'Valid'
  | SpecProblem['reason']
  | 'OutsideMaintenanceWindow'
  | 'RemovalPending'
  | 'SpecMissing'
  | 'Terminating'
  | 'DriftDetected'
  | 'NoDriftDetected'
  | 'GenerationReverted';

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: ConditionReason;
  readonly message: string;
  /** ISO 8601; changes only when `status` does. */
  readonly lastTransitionTime: string;
}

type Verdict = Omit<Condition, 'lastTransitionTime'>;

interface Known {
  readonly view: MirrorView;
  readonly state: MirrorState;
  readonly tables: readonly TableStatus[];
}

/** In a fixed order; those that only make sense when True are left out otherwise. */
export function conditionsOf(known: Known, previous: readonly Condition[], now: Date): Condition[] {
  const verdicts = [
    ready(known),
    replicating(known),
    ...reconciling(known),
    ...stalled(known),
    specAccepted(known),
    verified(known),
    ...drifted(known),
    ...generationBehind(known),
  ];
  return verdicts.map((verdict) => sinceWhen(verdict, previous, now));
}

/** With the time of its last transition, which the conditions before it know when it is none. */
export function sinceWhen(verdict: Verdict, previous: readonly Condition[], now: Date): Condition {
  const before = previous.find(({ type }) => type === verdict.type);
  const isSame = before?.status === verdict.status;
  return { ...verdict, lastTransitionTime: isSame ? before.lastTransitionTime : now.toISOString() };
}

function ready({ view, state, tables }: Known): Verdict {
  const no = (reason: ConditionReason, message: string): Verdict => ({
    type: 'Ready',
    status: 'False',
    reason,
    message,
  });
  if (view.presence.kind === 'removed') return no('Terminating', terminatingLine(view));
  const [problem] = view.problems;
  if (problem !== undefined) return no(problem.reason, problem.text);
  if (view.presence.kind === 'missing') {
    const { isGraceRunning, message } = view.presence;
    return no(isGraceRunning ? 'RemovalPending' : 'SpecMissing', message);
  }
  if (view.mirror.suspend) return no('Suspended', suspendedLine(view));
  const error = mirrorError(view);
  if (error) return no(error.code, oneLine(error));
  const silence = silenceLine(view);
  if (silence !== undefined) return no('ConnectionFailed', silence);
  const bad = tables.filter((table) => table.error !== undefined);
  if (bad[0]?.error)
    return no(
      bad[0].error.code,
      `${count(bad.length, tables.length)} tables failed: ${tableLine(bad[0])}`,
    );
  const live = tables.filter(({ phase }) => phase === 'Live').length;
  if (state === 'SNAPSHOTTING')
    return no('InitialCopy', `${count(live, tables.length)} tables are live`);
  if (state === 'RESYNCING') return no('ResyncInProgress', resyncingLine(tables));
  const [stuck] = stuckRetirements(view);
  if (stuck !== undefined)
    return no(stuck[1].code, `${stuck[0]} is out of the file and not gone: ${oneLine(stuck[1])}`);
  const isStreaming = view.plan !== undefined && view.stream !== undefined;
  const owed = view.plan?.steps.filter(isOwed) ?? [];
  if (isStreaming && owed.length > 0 && owed.every(isHeld))
    return no('OutsideMaintenanceWindow', stepLine(owed));
  if (!isStreaming || live < tables.length || owed.length > 0)
    return no('Progressing', `${count(live, tables.length)} tables are live`);
  if (view.leaving.length > 0) return no('RemovalPending', leavingLine(view));
  return {
    type: 'Ready',
    status: 'True',
    reason: 'ReconciliationSucceeded',
    message: `${count(live, tables.length)} tables are live`,
  };
}

/** A comparison that somebody asked for takes nothing back from what was proven. */
function isOwed(step: Step): boolean {
  return step.kind !== 'verify-table' || step.reason !== 'requested';
}

function replicating({ view }: Known): Verdict {
  const base = { type: 'Replicating' } as const;
  if (view.presence.kind === 'removed')
    return { ...base, status: 'False', reason: 'Terminating', message: 'its file was removed' };
  if (view.mirror.suspend)
    return {
      ...base,
      status: 'False',
      reason: 'Suspended',
      message: suspendedLine(view),
    };
  const silence = silenceLine(view);
  if (silence !== undefined)
    return { ...base, status: 'Unknown', reason: 'ConnectionFailed', message: silence };
  if (view.stream)
    return {
      ...base,
      status: 'True',
      reason: 'Streaming',
      message: `slot ${view.mirror.slot} is read`,
    };
  const error = mirrorError(view);
  if (error) return { ...base, status: 'False', reason: error.code, message: oneLine(error) };
  return { ...base, status: 'Unknown', reason: 'Progressing', message: 'not started yet' };
}

/** Work is under way, or waits for its time. */
function reconciling({ view, state, tables }: Known): Verdict[] {
  const yes = (reason: ConditionReason, message: string): Verdict[] => [
    { type: 'Reconciling', status: 'True', reason, message },
  ];
  if (view.presence.kind === 'removed') return yes('Terminating', terminatingLine(view));
  const steps = view.plan?.steps ?? [];
  if (view.mirror.suspend || (steps.length === 0 && view.runs.size === 0)) return [];
  if (view.runs.size === 0 && steps.every(isHeld))
    return yes('OutsideMaintenanceWindow', stepLine(steps));
  if (state === 'RESYNCING') return yes('ResyncInProgress', resyncingLine(tables));
  const message =
    view.runs.size > 0
      ? `${view.runs.size} tables are copied, compared or caught up`
      : `${steps.length} steps to go`;
  return yes(view.failures.size > 0 ? 'ProgressingWithRetry' : 'Progressing', message);
}

/** Only what a human must edit: everything else is tried again by itself. */
function stalled({ view, tables }: Known): Verdict[] {
  const yes = (reason: ConditionReason, message: string): Verdict[] => [
    { type: 'Stalled', status: 'True', reason, message },
  ];
  const problem = view.problems.find(({ reason }) => reason !== 'Unsettled');
  if (problem !== undefined) return yes(problem.reason, problem.text);
  const error = mirrorError(view);
  if (error !== undefined && waitsForHuman(error, view)) return yes(error.code, oneLine(error));
  const table = tables.find(
    (one) =>
      one.error !== undefined &&
      // A resync that runs mends it.
      one.resyncStatus !== 'in_progress' &&
      ERROR_RULES[one.error.code].retry === 'when-spec-changes',
  );
  return table?.error ? yes(table.error.code, tableLine(table)) : [];
}

/** By onSlotLoss: Resync a slot that was just found lost is made anew by the next pass. */
function waitsForHuman({ code, retry }: MirrorError, { mirror, presence }: MirrorView): boolean {
  if (presence.kind === 'removed') return false;
  return retry === 'when-spec-changes' && !(isSlotLoss(code) && mirror.onSlotLoss === 'Resync');
}

function specAccepted({ view }: Known): Verdict {
  const [first] = view.problems;
  if (first === undefined)
    return {
      type: 'SpecAccepted',
      status: 'True',
      reason: 'Valid',
      message: `from ${view.mirror.file}`,
    };
  const message = `${first.text} (the last good spec runs on)`;
  return { type: 'SpecAccepted', status: 'False', reason: first.reason, message };
}

/** Whether each table was found to be like its source since it was copied, and has had every change since. */
function verified({ view, tables }: Known): Verdict {
  const base = { type: 'Verified' } as const;
  const bad = tables.filter(({ verification }) => verification?.result === 'Mismatch');
  if (bad.length > 0) {
    const message = bad.map((one) => `${one.source}: ${one.verification?.message}`).join('; ');
    return { ...base, status: 'False', reason: 'VerificationFailed', message };
  }
  const due = tablesOfOtherColumns(view);
  const good = tables.filter(
    ({ source, phase, verification }) =>
      phase === 'Live' && verification !== undefined && !due.has(source),
  ).length;
  const message = `${count(good, tables.length)} tables were compared with their source`;
  return good < tables.length
    ? { ...base, status: 'Unknown', reason: 'Progressing', message }
    : { ...base, status: 'True', reason: 'ReconciliationSucceeded', message };
}

/** Their last copy is not of the columns that the file asks for: a resync is about to bring those. */
function tablesOfOtherColumns({ plan, records }: MirrorView): ReadonlySet<string> {
  const steps = (plan?.steps ?? []).filter((step) => step.kind === 'copy-table');
  const due = steps.filter(({ table }) => {
    const record = records.find((one) => isRecordOf(one, table));
    const copied = new Set(record?.excludeColumns ?? table.excludeColumns);
    return (
      (record?.staleColumns ?? []).length > 0 ||
      !isDeepStrictEqual(copied, new Set(table.excludeColumns))
    );
  });
  return new Set(due.map(({ table }) => formatTableName(table.source)));
}

/** Nothing is known of the databases before they were looked at. */
function drifted({ view }: Known): Verdict[] {
  if (view.plan === undefined) return [];
  const lines = driftOf(view.plan, view.records);
  const type = 'Drifted';
  return lines.length > 0
    ? [{ type, status: 'True', reason: 'DriftDetected', message: lines.join('; ') }]
    : [{ type, status: 'False', reason: 'NoDriftDetected', message: '' }];
}

function generationBehind({ view }: Known): Verdict[] {
  const behind = view.plan?.notices.filter(({ reason }) => reason === 'GenerationReverted') ?? [];
  if (behind.length === 0) return [];
  const message = behind.map((notice) => notice.message).join('; ');
  return [
    { type: 'ResyncGenerationBehind', status: 'True', reason: 'GenerationReverted', message },
  ];
}

function stepLine(steps: readonly Step[]): string {
  return steps.map((step) => describeStep(step).text).join('; ');
}

function suspendedLine({ mirror: { suspendReason } }: MirrorView): string {
  const line = 'suspend is true in the mirror file';
  return suspendReason === undefined ? line : `${line}: ${suspendReason}`;
}

function terminatingLine(view: MirrorView): string {
  const error = mirrorError(view) ?? [...view.failures.values()][0];
  const line = `its file was removed (deletionPolicy ${view.mirror.deletionPolicy})`;
  return error === undefined ? line : `${line}; ${oneLine(error)}`;
}

function leavingLine({ leaving }: MirrorView): string {
  const names = leaving.map(formatTableName).join(', ');
  return `no longer in the file: ${names}; retired when that was so for the removal grace`;
}

/** Tables that the file does not name any more, and that cannot be let go of yet. */
function stuckRetirements({ mirror, failures }: MirrorView): [string, TableFailure][] {
  const isNamed = (key: string): boolean =>
    mirror.tables.some(({ source }) => formatTableName(source) === key);
  return [...failures].filter(([key]) => !isNamed(key));
}

function mirrorError(view: MirrorView): MirrorError | undefined {
  return view.failure ?? view.plan?.refusals.find(({ table }) => table === undefined)?.error;
}

/** The connection is open and nothing comes: neither that it streams nor that it failed can be said. */
function silenceLine({ stream }: MirrorView): string | undefined {
  return stream?.silentSeconds === undefined
    ? undefined
    : `the source has not answered for ${Math.floor(stream.silentSeconds)} s`;
}

function oneLine({ message, hint }: { readonly message: string; readonly hint: string }): string {
  return `${message}. ${hint}`;
}

function tableLine(table: TableStatus): string {
  return table.error ? `${table.source}: ${oneLine(table.error)}` : table.source;
}

function resyncingLine(tables: readonly TableStatus[]): string {
  const names = tables
    .filter(({ resyncStatus }) => resyncStatus === 'in_progress')
    .map(({ source }) => source);
  return `resync of ${names.join(', ')}`;
}

function count(some: number, all: number): string {
  return `${some}/${all}`;
}
