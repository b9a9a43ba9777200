/**
 * What the status file says. Pure: computed anew from what is known each time, never set along the
 * way and never read back.
 */
import { formatLsn } from '../core/lsn.ts';
import type { ObservedSlot } from '../core/observed.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import { isRecordOf } from '../plan/table-case.ts';
import { conditionsOf, type Condition } from './conditions.ts';
import { tableStatus, type TableStatus } from './table-status.ts';
import type { MirrorState, MirrorView, StreamView } from './view.ts';

export interface Status {
  readonly apiVersion: 'bunnydb/v1';
  readonly kind: 'MirrorStatus';
  readonly metadata: { readonly name: string };
  readonly status: {
    readonly state: MirrorState;
    readonly currentPhase?: 'SNAPSHOT' | 'CDC';
    /**
     * Of the spec that was acted on last: a newer one that was only read is not observed, and what is
     * still told of the older one is not said of it. Not there before the first pass.
     */
    readonly observedSpecHash?: string;
    /** The mirror's own counter; observed is the highest that a copy of any table was made for. */
    readonly resyncGeneration?: { readonly desired: number; readonly observed?: number };
    readonly conditions: readonly Condition[];
    readonly source?: {
      readonly slot: string;
      readonly walStatus?: string;
      readonly retainedBytes?: number;
    };
    readonly lag?: {
      readonly bytes: number;
      readonly seconds: number;
      readonly appliedLsn: string;
    };
    readonly tables: readonly TableStatus[];
  };
}

/** `previous` only lends lastTransitionTime to conditions whose status did not change. */
export function computeStatus(view: MirrorView, previous: Status | undefined, now: Date): Status {
  const { mirror, stream, slot } = view;
  const tables = mirror.tables.map((table) => tableStatus(view, table));
  const state = stateOf(view, tables);
  return {
    apiVersion: 'bunnydb/v1',
    kind: 'MirrorStatus',
    metadata: { name: mirror.name },
    status: {
      state,
      ...(state === 'PENDING' ? {} : { currentPhase: isFirstCopy(view) ? 'SNAPSHOT' : 'CDC' }),
      ...(view.passedSpecHash === undefined ? {} : { observedSpecHash: view.passedSpecHash }),
      resyncGeneration: mirrorGeneration(view),
      conditions: conditionsOf({ view, state, tables }, previous?.status.conditions ?? [], now),
      ...(slot ? { source: { slot: mirror.slot, ...slotStatus(slot) } } : {}),
      ...(stream ? { lag: lagStatus(stream) } : {}),
      tables,
    },
  };
}

function stateOf(view: MirrorView, tables: readonly TableStatus[]): MirrorState {
  if (view.presence.kind === 'removed') return 'TERMINATING';
  if (view.mirror.suspend) return 'SUSPENDED';
  if (view.stream === undefined && view.failure !== undefined) return 'FAILED';
  if (view.plan?.refusals.some(({ table }) => table === undefined) === true) return 'FAILED';
  if (view.stream === undefined) return 'PENDING';
  if (isFirstCopy(view))
    return tables.every(({ phase }) => phase === 'Pending') && view.runs.size === 0
      ? 'PENDING'
      : 'SNAPSHOTTING';
  const held = heldTables(view);
  const isResynced = ({ source, resyncStatus }: TableStatus): boolean =>
    resyncStatus === 'in_progress' && !held.has(source);
  if (tables.some(isResynced)) return 'RESYNCING';
  return 'RUNNING';
}

/** Those whose resync waits for a maintenance window. */
function heldTables({ plan }: MirrorView): ReadonlySet<string> {
  const held = (plan?.steps ?? []).flatMap((step) =>
    step.kind === 'copy-table' && step.heldUntil !== undefined
      ? [formatTableName(step.table.source)]
      : [],
  );
  return new Set(held);
}

function mirrorGeneration({ mirror, records }: MirrorView): { desired: number; observed?: number } {
  const seen = records.flatMap(({ observed }) => (observed === undefined ? [] : [observed.mirror]));
  return {
    desired: mirror.resyncGeneration,
    ...(seen.length === 0 ? {} : { observed: Math.max(...seen) }),
  };
}

/** A table that was never copied and can be. */
function isFirstCopy(view: MirrorView): boolean {
  return view.mirror.tables.some((table) => {
    const isRefused = view.plan?.refusals.some(
      (refusal) => refusal.table !== undefined && sameTable(refusal.table.source, table.source),
    );
    const record = view.records.find((one) => isRecordOf(one, table));
    const isRunning = view.runs.has(formatTableName(table.source));
    return (
      isRefused !== true &&
      record?.observed === undefined &&
      (record?.state.phase !== 'Failed' || isRunning)
    );
  });
}

function slotStatus(slot: ObservedSlot): { walStatus: string; retainedBytes: number } {
  return { walStatus: slot.walStatus, retainedBytes: slot.retainedBytes };
}

function lagStatus(stream: StreamView): { bytes: number; seconds: number; appliedLsn: string } {
  return {
    bytes: stream.lagBytes,
    seconds: Math.round(stream.lagSeconds * 1000) / 1000,
    appliedLsn: formatLsn(stream.appliedLsn),
  };
}

/** Ready: the file's spec is accepted and fully applied, and it streams. */
export function isReady(status: Status): boolean {
  return status.status.conditions.some(
    ({ type, status: value }) => type === 'Ready' && value === 'True',
  );
}
