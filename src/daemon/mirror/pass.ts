/** What one pass knows and has done so far, and how far a failure in it reaches. */
import { classify, type MirrorError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Mirror, MirrorTable } from '../../core/mirror.ts';
import type { Observed } from '../../core/observed.ts';
import { formatTableName } from '../../core/table-name.ts';
import type { Outcome } from '../../execute/outcome.ts';
import { describeStep } from '../../plan/describe.ts';
import type { Plan, Step } from '../../plan/plan.ts';
import type { Scope } from './scope.ts';

export interface Pass extends Attempts {
  readonly mirror: Mirror;
  readonly observed: Observed;
}

/** The steps of one plan, and what became of them. */
export interface Attempts {
  readonly scope: Scope;
  readonly log: Log;
  /** False for a table that waits for its next try. */
  readonly isDue: (key: string) => boolean;
  readonly plan: Plan;
  readonly outcomes: Outcome[];
  /** Steps of single tables that failed, by formatTableName(source): the others went on. */
  readonly tableErrors: Map<string, MirrorError>;
  /** Steps that failed or were not tried: a later plan holds them again. */
  readonly left: Set<Step>;
  /** The first failure of a step that is no single table's. What needs no such step went on. */
  error: MirrorError | undefined;
}

/** What came of a pass. */
export interface PassResult extends Pick<Attempts, 'plan' | 'outcomes' | 'tableErrors' | 'error'> {
  readonly observed: Pick<Observed, 'slot' | 'ledger'>;
  /** Tables with steps that are still to be done: what kept them from it is not mended. */
  readonly waiting: ReadonlySet<string>;
}

export function resultOf(
  { plan, outcomes, tableErrors, left, error }: Attempts,
  observed: PassResult['observed'],
): PassResult {
  const waiting = new Set([...left].flatMap((step) => keyOf(step) ?? []));
  return { observed, plan, outcomes, tableErrors, error, waiting };
}

/**
 * Carries out the steps in their order. A step that waits for its table's next try, or comes after a
 * failed one of its table or of all tables, is left: it may need what that one makes.
 */
export async function attemptInOrder<S extends Step>(
  pass: Attempts,
  steps: Iterable<S>,
  work: (step: S) => Promise<Outcome>,
): Promise<void> {
  const held = new Set<string>();
  for (const step of steps) {
    const key = keyOf(step);
    const isHeld = key !== undefined && (held.has(key) || !pass.isDue(key));
    if (!isHeld && pass.error === undefined) await attempt(pass, step, async () => work(step));
    else pass.left.add(step);
    if (key !== undefined && pass.left.has(step) && holdsOthers(step)) held.add(key);
  }
}

/** The same for one step that may come before another one of its table. */
export async function attemptIfDue(
  pass: Attempts,
  step: Step,
  work: () => Promise<Outcome>,
): Promise<void> {
  const key = keyOf(step);
  if (key === undefined || pass.isDue(key)) await attempt(pass, step, work);
  else pass.left.add(step);
}

/** A failing step of one table is that table's own; any other is the pass's. Throws when a session broke, or the mirror is another's. */
export async function attempt(
  pass: Attempts,
  step: Step,
  work: () => Promise<Outcome>,
): Promise<void> {
  const key = keyOf(step);
  try {
    report(pass, step, await work());
  } catch (thrown) {
    const error = classify(thrown, describeStep(step).text);
    if (!pass.scope.isWhole || error.code === 'NotOwner') throw error;
    pass.left.add(step);
    if (key === undefined) pass.error ??= error;
    else pass.tableErrors.set(key, error);
  }
}

export function report(pass: Attempts, step: Step, outcome: Outcome): void {
  pass.outcomes.push(outcome);
  const { changed, message: result } = outcome;
  if (!changed) return;
  const table = keyOf(step);
  const about = { step: step.kind, ...(table === undefined ? {} : { table }) };
  pass.log.info({ ...about, what: describeStep(step).text, result }, 'step done');
}

/** The plan's steps but for those of a table that failed in this pass, or where an earlier one was left. */
export function soundSteps({ plan, left, tableErrors }: Attempts): Step[] {
  const lame = [...left].filter(holdsOthers);
  const held = new Set(
    lame.flatMap((step) => keyOf(step) ?? []).filter((key) => tableErrors.has(key)),
  );
  return plan.steps.filter((step) => {
    const key = keyOf(step);
    if (key !== undefined && lame.includes(step)) held.add(key);
    return key === undefined || !held.has(key);
  });
}

/** Nothing needs a foreign key that is put back or checked: where rows do not fit it, that is all that waits. */
function holdsOthers({ kind }: Step): boolean {
  return kind !== 'restore-foreign-key' && kind !== 'validate-foreign-key';
}

/** False when the slot was to be made, and was not. */
export function hasSlot({ left }: Attempts): boolean {
  return ![...left].some(({ kind }) => kind === 'reset-slot' || kind === 'create-slot');
}

/** The source table a step is about; undefined when it concerns the whole mirror. */
function keyOf(step: Step): string | undefined {
  if ('record' in step) return formatTableName(step.record.source);
  const table: MirrorTable | undefined = 'table' in step ? step.table : undefined;
  return table === undefined ? undefined : formatTableName(table.source);
}
