import type { Generation, Mirror, MirrorTable, ResyncStrategy } from '../core/mirror.ts';
import type { Observed } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { isSwapping, needsResync, type TableRecord, type TableState } from '../core/table-state.ts';
import { unreachable } from '../core/unreachable.ts';
import type { Notice, Refusal, Step } from './plan.ts';
import { refuse } from './refuse.ts';
import { swapRefusals, truncateRefusals } from './swap.ts';
import type { TableCase } from './table-case.ts';
import { wantsVerification } from './verify.ts';
import { nextOpening } from './windows.ts';

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
      return { steps: [{ kind: 'replay-table', table }], refusals: [] };
    case 'verify':
      return { steps: [{ kind: 'verify-table', table, reason: decision.reason }], refusals: [] };
    case 'cancel':
      return { steps: [{ kind: 'cancel-copy', table }], refusals: [] };
    case 'copy': {
      const { reason, strategy } = decision;
      const refusals =
        strategy === 'swap' ? swapRefusals(tableCase, look) : truncateRefusals(tableCase);
      if (refusals.length > 0) return { steps: [], refusals };
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
            ...(opens !== undefined && reason === 'resync' ? { heldUntil: opens } : {}),
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

/** `held`: no maintenance window is open. It holds back what disturbs readers: no first rows, and no end of what was begun. */
function decide(tableCase: TableCase, mirror: Mirror, held: boolean): Decision {
  const { table, record, observed, published } = tableCase;
  if (record === undefined) return decideFirst(tableCase, mirror);
  const { state } = record;
  const isGone = observed.destinationShape === undefined;
  const bumped = needsResync(table.generation, aimOf(record, state));
  const copy = (reason: CopyReason): Decision => ({
    do: 'copy',
    reason,
    strategy: strategyOf(tableCase, record),
  });
  // Published again on the quiet it would go on as if nothing had been missed; a bump is kept until it is done.
  if (state.phase !== 'Pending' && !published && !bumped)
    return { do: 'refuse', refusal: unpublishedRefusal(tableCase, mirror) };
  if (state.phase !== 'Pending' && isReplaced(tableCase) && !bumped)
    return 'run' in state && state.run !== undefined
      ? copy('retry')
      : { do: 'refuse', refusal: replacedRefusal(tableCase) };
  if (isTakenBack(record, table)) return { do: 'cancel' };
  switch (state.phase) {
    case 'Pending':
      return record.observed === undefined ? decideFirst(tableCase, mirror) : copy('resync');
    case 'Copying':
      return copy('retry');
    case 'CatchingUp':
      if (isGone || lacksShadow(tableCase)) return copy('retry');
      return bumped && !held ? copy('resync') : { do: 'replay' };
    case 'Live':
      if (isGone) return copy('retry');
      return bumped ? copy('resync') : decideVerification(record);
    case 'Failed':
      if (bumped) return copy('resync');
      // A table that was gone is empty now, whoever made it again: its spool alone does not fill it.
      if (state.resume === 'copy' || isGone || state.failure.code === 'TableMissing')
        return copy('retry');
      // So is a shadow that is no longer like the table it is to replace.
      if (lacksShadow(tableCase) || isOutgrown(record)) return copy('retry');
      // Its spool has a hole: only a copy helps, and that is for a human to ask for.
      return state.failure.code === 'SpoolFull'
        ? { do: 'refuse', refusal: refuse(table, 'SpoolFull', state.failure.message) }
        : { do: 'replay' };
    default:
      return unreachable(state);
  }
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

/** The generation that is reached when what is under way ends. */
function aimOf(record: TableRecord, state: TableState): { table: number; mirror: number } {
  const run = 'run' in state ? state.run : undefined;
  return run?.generation ?? record.observed ?? { table: 0, mirror: 0 };
}

/** What is observed when a copy made now ends. A counter that went back does not take back what was done. */
function reached({ table, record }: TableCase): Generation {
  const done = record?.observed ?? { table: 0, mirror: 0 };
  return {
    table: Math.max(table.generation.table, done.table),
    mirror: Math.max(table.generation.mirror, done.mirror),
  };
}

/** The resync that runs is for a counter that the file has taken back to what was done. */
function isTakenBack({ state, observed }: TableRecord, { generation }: MirrorTable): boolean {
  if (observed === undefined || !('run' in state) || state.run === undefined) return false;
  return needsResync(state.run.generation, observed) && !needsResync(generation, observed);
}

/** The stream knows tables by their oid: another one under the name that was copied is not followed. */
function isReplaced({ record, observed: { sourceShape } }: TableCase): boolean {
  return (
    record?.sourceOid !== undefined && ![undefined, record.sourceOid].includes(sourceShape?.oid)
  );
}

/** The rows are in a shadow that is not there: only a copy brings them back. */
function lacksShadow({ record, hasShadow }: TableCase): boolean {
  return record !== undefined && isSwapping(record) && !hasShadow;
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

function replacedRefusal({ table }: TableCase): Refusal {
  return refuse(
    table,
    'SlotLost',
    `${formatTableName(table.source)} is another table than the one that was copied`,
    'Bump its resyncGeneration: this one is copied.',
  );
}

function unpublishedRefusal({ table }: TableCase, mirror: Mirror): Refusal {
  const source = formatTableName(table.source);
  return refuse(
    table,
    'SlotLost',
    `${source} was taken out of publication ${mirror.publication.name}: what was written to it since did not come`,
    'Bump its resyncGeneration: it is published and copied again.',
  );
}
