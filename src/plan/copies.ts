import type { Generation, Mirror, ResyncStrategy } from '../core/mirror.ts';
import type { Observed } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { isFed, isSwapping, needsResync, type TableRecord, runOf } from '../core/table-state.ts';
import { unreachable } from '../core/unreachable.ts';
import { hasOtherColumns, lacksColumns, relaxedColumns } from './exclusions.ts';
import type { Notice, Refusal, Step } from './plan.ts';
import { foreignKeysOfCopy } from './put-aside.ts';
import { refuse } from './refuse.ts';
import { swapRefusals, truncateRefusals } from './swap.ts';
import type { TableCase } from './table-case.ts';
import { wantsVerification } from './verify.ts';
import { nextOpening } from './windows.ts';
import {
  isReadmitted,
  isReplaced,
  readmittedRefusal,
  refilledRefusal,
  replacedRefusal,
  unpublishedRefusal,
} from './witness.ts';

type CopyReason = Extract<Step, { kind: 'copy-table' }>['reason'];

/** What one table's counters and state ask for. */
type Decision =
  | { readonly do: 'nothing' }
  | { readonly do: 'adopt' }
  | { readonly do: 'replay' }
  | { readonly do: 'verify'; readonly reason: 'copied' | 'requested' }
  | { readonly do: 'cancel' }
  | { readonly do: 'copy'; readonly reason: CopyReason; readonly strategy: ResyncStrategy }
  | { readonly do: 'refuse'; readonly refusal: Refusal };

/** What is to be done about the rows of one accepted table: at most one step. */
export function planCopy(
  tableCase: TableCase,
  mirror: Mirror,
  look: Observed,
): { steps: Step[]; refusals: Refusal[] } {
  const { table, observed } = tableCase;
  const opens = nextOpening(mirror.maintenanceWindows, new Date(look.at));
  const decision = decide(tableCase, mirror, opens !== undefined);
  switch (decision.do) {
    case 'nothing':
      return { steps: [], refusals: [] };
    case 'refuse':
      return { steps: [], refusals: [decision.refusal] };
    case 'adopt':
      return {
        steps: [{ kind: 'adopt-table', table, generation: table.generation }],
        refusals: [],
      };
    case 'replay':
      return {
        steps: [{ kind: 'replay-table', table, endsSwap: endsSwap(tableCase) }],
        refusals: [],
      };
    case 'verify':
      return { steps: [{ kind: 'verify-table', table, reason: decision.reason }], refusals: [] };
    case 'cancel':
      return { steps: [{ kind: 'cancel-copy', table }], refusals: [] };
    case 'copy': {
      const { reason, strategy } = decision;
      const refusals =
        strategy === 'swap' ? swapRefusals(tableCase, look) : truncateRefusals(tableCase);
      if (refusals.length > 0) return { steps: [], refusals };
      const isDisturbing = disturbs(tableCase, decision);
      const foreignKeys = foreignKeysOfCopy(tableCase, strategy, look);
      return {
        steps: [
          {
            kind: 'copy-table',
            table,
            reason,
            strategy,
            generation: reached(tableCase),
            estimatedRows: observed.sourceShape?.estimatedRows ?? -1,
            estimatedBytes: observed.sourceShape?.totalBytes ?? 0,
            relaxes: relaxed(tableCase),
            disturbs: isDisturbing,
            ...(isBegun(tableCase, decision) ? { isBegun: true } : {}),
            ...(foreignKeys.length === 0 ? {} : { foreignKeys }),
            ...(opens !== undefined && isDisturbing ? { heldUntil: opens } : {}),
          },
        ],
        refusals: [],
      };
    }
    default:
      return unreachable(decision);
  }
}

/** A counter in the file behind what was done: a revert in git, and nothing to do. */
export function generationNotices({ table, record }: TableCase): Notice[] {
  const done = record?.observed;
  const desired = table.generation;
  if (done === undefined || (desired.table >= done.table && desired.mirror >= done.mirror))
    return [];
  const [counter, was, is] =
    desired.table < done.table
      ? ['its resyncGeneration', done.table, desired.table]
      : ["the mirror's resyncGeneration", done.mirror, desired.mirror];
  return [
    {
      table,
      reason: 'GenerationReverted',
      message: `${counter} went back from ${was} to ${is}; nothing is copied, and the next resync needs more than ${was}`,
    },
  ];
}

function relaxed({ table, record, observed }: TableCase): string[] {
  return record === undefined ? [] : relaxedColumns(table, record, observed.destinationShape);
}

/** It begins to: readers still have what it is to empty or to replace. */
function disturbs(
  tableCase: TableCase,
  { reason, strategy }: Extract<Decision, { do: 'copy' }>,
): boolean {
  const isThere = tableCase.observed.destinationShape !== undefined;
  return reason === 'resync' || (strategy === 'truncate' && isThere && endsSwap(tableCase));
}

/** The ledger has it as under way, which is so while a daemon is at it. */
function isBegun({ record }: TableCase, { reason }: Extract<Decision, { do: 'copy' }>): boolean {
  return reason === 'retry' && record?.state.phase === 'Copying';
}

/** `held`: no maintenance window is open. It holds back what disturbs readers: no first rows, and no end of what was begun. */
function decide(tableCase: TableCase, mirror: Mirror, held: boolean): Decision {
  const { table, record, observed, published } = tableCase;
  if (record === undefined) return decideFirst(tableCase, mirror);
  const { state } = record;
  const isGone = observed.destinationShape === undefined;
  const bumped = asksForAnother(tableCase, record);
  const copy = (reason: CopyReason): Decision => ({
    do: 'copy',
    reason,
    strategy: strategyOf(tableCase, record),
  });
  const refuseOrRetry = (refusal: Refusal): Decision =>
    runOf(record) !== undefined && published ? copy('retry') : { do: 'refuse', refusal };
  // A bump is kept until it is done.
  const missed = state.phase === 'Pending' || bumped ? undefined : missedRefusal(tableCase, mirror);
  if (missed !== undefined) return refuseOrRetry(missed);
  // What we made in its place ourselves waits for its copy.
  const isOurs = record.filled?.oid === 0;
  const strayed = tableCase.refilled
    ? isOurs
      ? copy('retry')
      : refuseOrRetry(refilledRefusal(tableCase.table))
    : undefined;
  if (isTakenBack(tableCase, record)) return { do: 'cancel' };
  switch (state.phase) {
    case 'Pending':
      return record.observed === undefined ? decideFirst(tableCase, mirror) : copy('resync');
    case 'Copying':
      return copy('retry');
    case 'CatchingUp':
      if (isGone || lacksShadow(tableCase) || isOfOtherColumns(tableCase)) return copy('retry');
      return bumped && !held ? copy('resync') : (strayed ?? { do: 'replay' });
    case 'Live':
      if (isGone) return copy('retry');
      return bumped ? copy('resync') : (strayed ?? decideVerification(record));
    case 'Failed':
      if (isOfOtherColumns(tableCase)) return copy('retry');
      if (bumped && (!held || hasGap(tableCase, record))) return copy('resync');
      // A table that was gone is empty now, whoever made it again: its spool alone does not fill it.
      if (state.resume === 'copy' || isGone || state.failure.code === 'TableMissing')
        return copy('retry');
      // The way out that its hint names.
      if (state.failure.code === 'SwapObstructed' && table.resyncStrategy === 'truncate')
        return copy('resync');
      // So is a shadow that is no longer like the table it is to replace.
      if (lacksShadow(tableCase) || isOutgrown(record)) return copy('retry');
      // Its spool has a hole: only a copy helps, and that is for a human to ask for.
      return state.failure.code === 'SpoolFull'
        ? { do: 'refuse', refusal: refuse(table, 'SpoolFull', state.failure.message) }
        : (strayed ?? { do: 'replay' });
    default:
      return unreachable(state);
  }
}

/** Changes of it did not come, or are not kept: to go on with what there is makes nothing whole. */
function hasGap(tableCase: TableCase, { state }: TableRecord): boolean {
  const isFull = state.phase === 'Failed' && state.failure.code === 'SpoolFull';
  return (
    isFull ||
    !tableCase.published ||
    isReplaced(tableCase) ||
    isReadmitted(tableCase) ||
    tableCase.refilled
  );
}

/** What was written to it for a time did not come: published on the quiet it would go on as if nothing had been missed. */
function missedRefusal(tableCase: TableCase, mirror: Mirror): Refusal | undefined {
  if (!tableCase.published) return unpublishedRefusal(tableCase.table, mirror);
  if (isReplaced(tableCase)) return replacedRefusal(tableCase.table);
  return isReadmitted(tableCase) ? readmittedRefusal(tableCase.table, mirror) : undefined;
}

function decideVerification(record: TableRecord): Decision {
  const reason = wantsVerification(record);
  return reason === undefined ? { do: 'nothing' } : { do: 'verify', reason };
}

/** A first copy replaces nothing: rows that are there already belong to somebody, unless a counter says otherwise. */
function decideFirst({ table, observed }: TableCase, mirror: Mirror): Decision {
  if (!mirror.snapshot.initial) return { do: 'adopt' };
  const replaces = table.generation.table > 0 || table.generation.mirror > 0;
  if (observed.destinationHasRows === true && !replaces)
    return {
      do: 'refuse',
      refusal: refuse(
        table,
        'DestinationNotEmpty',
        `${formatTableName(table.destination)} has rows at the destination already`,
      ),
    };
  return { do: 'copy', reason: 'first', strategy: 'truncate' };
}

/** The file asks for a copy that is neither made nor under way: for a higher counter, or of other columns. */
function asksForAnother(tableCase: TableCase, record: TableRecord): boolean {
  const { table, observed } = tableCase;
  const run = runOf(record);
  const aim = run?.generation ?? record.observed ?? { table: 0, mirror: 0 };
  return (
    needsResync(table.generation, aim) ||
    (run === undefined
      ? lacksColumns(table, record, observed.sourceShape)
      : isOfOtherColumns(tableCase))
  );
}

/** What is under way copies other columns than the file asks for by now: it begins again. */
function isOfOtherColumns({ table, record, observed }: TableCase): boolean {
  const run = record && runOf(record);
  return run !== undefined && hasOtherColumns(table, run, observed.sourceShape);
}

/** What is observed when a copy made now ends. A counter that went back does not take back what was done. */
function reached({ table, record }: TableCase): Generation {
  const done = record?.observed ?? { table: 0, mirror: 0 };
  return {
    table: Math.max(table.generation.table, done.table),
    mirror: Math.max(table.generation.mirror, done.mirror),
  };
}

/**
 * The resync that runs is for a counter, or of columns, that the file has taken back to what was done. Not
 * when the old table was not written in full meanwhile, nor when what is filled in place has other columns.
 */
function isTakenBack(tableCase: TableCase, record: TableRecord): boolean {
  const { table, observed: look } = tableCase;
  const { observed } = record;
  const run = runOf(record);
  if (observed === undefined || run === undefined) return false;
  const isForMore =
    needsResync(run.generation, observed) ||
    (record.excludeColumns !== undefined &&
      hasOtherColumns({ excludeColumns: record.excludeColumns }, run, look.sourceShape));
  const isDone =
    !needsResync(table.generation, observed) && !lacksColumns(table, record, look.sourceShape);
  return isForMore && isDone && (isFed(record) || !isOfOtherColumns(tableCase));
}

/** The rows are in a shadow that is not there: only a copy brings them back. */
function lacksShadow({ record, hasShadow }: TableCase): boolean {
  return record !== undefined && isSwapping(record) && !hasShadow;
}

function endsSwap({ record }: TableCase): boolean {
  return record !== undefined && isSwapping(record);
}

/** The live table changed its shape while a swap was under way. */
function isOutgrown(record: TableRecord): boolean {
  const { state } = record;
  return state.phase === 'Failed' && state.failure.code === 'SchemaMismatch' && isSwapping(record);
}

/** What a swap left that was cancelled, given up, or cut off right after it. */
export function planShadows(cases: readonly TableCase[]): Step[] {
  return cases.flatMap(({ table, record, hasShadow }): Step[] =>
    record !== undefined && hasShadow && !isSwapping(record)
      ? [{ kind: 'drop-shadow', table, record }]
      : [],
  );
}

/** A first copy and one into a table that is gone have nothing to keep in use meanwhile. */
function strategyOf({ table, observed }: TableCase, record: TableRecord): ResyncStrategy {
  return record.observed === undefined || observed.destinationShape === undefined
    ? 'truncate'
    : table.resyncStrategy;
}
