/** What a pass says of what failed before: what is over, what is still to be done, whether to go on at once. Pure. */
import type { MirrorError } from '../../core/errors.ts';
import { formatTableName } from '../../core/table-name.ts';
import type { Plan, Refusal, Step } from '../../plan/plan.ts';
import { MIRROR_KEY } from './failures.ts';
import type { PassResult } from './pass.ts';

export interface Before {
  /** Of the last pass. */
  readonly plan: Plan | undefined;
  /** What has failed so far, by key. */
  readonly failed: readonly string[];
  /** Copies that run beside the passes, by key. */
  readonly running: ReadonlySet<string>;
}

export interface PassVerdict {
  /** What failed or was refused in this pass, by key. */
  readonly errors: ReadonlyMap<string, MirrorError>;
  /** Failures of earlier passes that need no next try. */
  readonly over: readonly string[];
  /** What still waits to be done, by key: it has not recovered. */
  readonly open: ReadonlySet<string>;
  /** Something was changed or mended: the next pass finds what follows from it. */
  readonly goesOn: boolean;
}

export function judgePass(
  { plan, tableErrors, outcomes, waiting, error: passError }: PassResult,
  before: Before,
): PassVerdict {
  const errors = new Map(tableErrors);
  if (passError) errors.set(MIRROR_KEY, passError);
  for (const refusal of plan.refusals) errors.set(keyOf(refusal), refusal.error);
  const wanted = new Set(plan.steps.flatMap(tableOfCopy));
  const open = new Set([...errors.keys(), ...waiting, ...before.running, ...wanted]);
  // What the plan refused and does not refuse any more is mended, and waits for no next try.
  const isMended = (key: string): boolean =>
    !errors.has(key) && before.plan?.refusals.some((refusal) => keyOf(refusal) === key) === true;
  const isHeldUp = before.failed.some(
    (key) => isMended(key) && (wanted.has(key) || waiting.has(key)),
  );
  return {
    errors,
    over: before.failed.filter((key) => !open.has(key) || isMended(key)),
    open,
    // A pass that failed waits for its next try, whatever it changed before.
    goesOn: passError === undefined && (isHeldUp || outcomes.some(({ changed }) => changed)),
  };
}

function tableOfCopy(step: Step): string[] {
  return step.kind === 'copy-table' || step.kind === 'replay-table' || step.kind === 'verify-table'
    ? [formatTableName(step.table.source)]
    : [];
}

function keyOf({ table }: Refusal): string {
  return table === undefined ? MIRROR_KEY : formatTableName(table.source);
}
