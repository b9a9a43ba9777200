/** One pass of one mirror: observe, plan, execute, stream, copy. A list of calls; each lives elsewhere. */
import { classify, type MirrorError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { Observed } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import type { ExecuteContext } from '../execute/context.ts';
import { addTable, migrate, register } from '../execute/ledger-steps.ts';
import type { Outcome } from '../execute/outcome.ts';
import { executeProvision } from '../execute/provision.ts';
import { adoptTable, retireTable } from '../execute/stream-steps.ts';
import { observe } from '../observe/observe.ts';
import { describeStep } from '../plan/describe.ts';
import type { Plan, Step } from '../plan/plan.ts';
import { planMirror } from '../plan/plan-mirror.ts';
import { readLedger, type Owner } from '../postgres/ledger.ts';
import type { Scope } from './scope.ts';

export interface PassResult {
  readonly observed: Observed;
  readonly plan: Plan;
  readonly outcomes: readonly Outcome[];
  /** Steps of single tables that failed, by formatTableName(source): the others went on. */
  readonly tableErrors: ReadonlyMap<string, MirrorError>;
}

/** Throws MirrorError when something that concerns the whole mirror fails. */
export async function reconcile(scope: Scope, mirror: Mirror, log: Log): Promise<PassResult> {
  const observed = await observe(mirror, scope);
  const plan = planMirror(mirror, observed);
  const pass: Pass = { scope, mirror, log, observed, outcomes: [], tableErrors: new Map() };
  const owner = await ownLedger(pass, plan);
  if (owner) await provision(pass, plan, owner);
  if (owner) await stream(pass, plan, owner);
  return { observed, plan, outcomes: pass.outcomes, tableErrors: pass.tableErrors };
}

interface Pass {
  readonly scope: Scope;
  readonly mirror: Mirror;
  readonly log: Log;
  readonly observed: Observed;
  readonly outcomes: Outcome[];
  readonly tableErrors: Map<string, MirrorError>;
}

/** The ledger first: nothing is made that it does not know of. */
async function ownLedger(pass: Pass, plan: Plan): Promise<Owner | undefined> {
  const { scope, mirror, observed } = pass;
  for (const step of plan.steps) {
    if (step.kind === 'migrate-ledger') report(pass, step, await migrate(scope.destination));
    if (step.kind !== 'register-mirror') continue;
    const { owner, outcome } = await register(scope.destination, mirror, observed);
    scope.owner = owner;
    report(pass, step, outcome);
  }
  return scope.owner;
}

/** Everything that needs no stream, in the plan's order. */
async function provision(pass: Pass, plan: Plan, owner: Owner): Promise<void> {
  const { scope, mirror, log, observed } = pass;
  const { source, destination } = scope;
  const ctx: ExecuteContext = { mirror, source, destination, observed, owner, log };
  for (const step of plan.steps) {
    if (pass.tableErrors.has(keyOf(step) ?? '')) continue;
    // The stream holds the slot, and its tables are about to start from nothing.
    if (step.kind === 'reset-slot') await scope.stopStream();
    await attempt(pass, step, async () => executeOne(ctx, step));
  }
}

async function executeOne(ctx: ExecuteContext, step: Step): Promise<Outcome | undefined> {
  switch (step.kind) {
    case 'migrate-ledger':
    case 'register-mirror':
    case 'copy-table':
    case 'replay-table':
    case 'adopt-table':
    case 'retire-table':
      return undefined;
    case 'register-table':
      return addTable(ctx, step);
    default:
      return executeProvision(ctx, step);
  }
}

/** The stream runs, knows every table of the ledger, and copies follow the plan. */
async function stream(pass: Pass, plan: Plan, owner: Owner): Promise<void> {
  const { scope, mirror, observed } = pass;
  const isRefused = plan.refusals.some(({ table }) => table === undefined);
  if (mirror.suspend || isRefused) {
    await scope.stopStream();
    return;
  }
  const follower = scope.follower ?? (await scope.startStream(mirror, owner));
  await follower.update(mirror);
  await routeNewTables(pass, follower);
  for (const step of plan.steps) {
    await attempt(pass, step, async () => {
      if (step.kind === 'adopt-table') return adoptTable(follower, owner, step);
      return step.kind === 'retire-table' ? retireTable(follower, owner, step) : undefined;
    });
  }
  const isSound = (step: Step): boolean => !pass.tableErrors.has(keyOf(step) ?? '');
  scope.copies?.follow(mirror, { ...plan, steps: plan.steps.filter(isSound) }, observed);
}

async function routeNewTables(
  { scope, mirror }: Pass,
  follower: NonNullable<Scope['follower']>,
): Promise<void> {
  const { tables } = await readLedger(scope.destination, mirror.name);
  const added = tables.filter((record) => follower.recordOf(record.source) === undefined);
  if (added.length > 0)
    await follower.atBoundary(async () => ({ result: undefined, changed: added }));
}

/** A failing step of one table is that table's own; of anything else it ends the pass. */
async function attempt(
  pass: Pass,
  step: Step,
  work: () => Promise<Outcome | undefined>,
): Promise<void> {
  const key = keyOf(step);
  try {
    const outcome = await work();
    if (outcome) report(pass, step, outcome);
  } catch (thrown) {
    const error = classify(thrown, describeStep(step).text);
    if (key === undefined || !pass.scope.isWhole) throw error;
    pass.tableErrors.set(key, error);
  }
}

function report(pass: Pass, step: Step, outcome: Outcome): void {
  pass.outcomes.push(outcome);
  if (outcome.changed) pass.log.info({ step: step.kind, what: outcome.message }, 'step done');
}

/** The source table a step is about; undefined when it concerns the whole mirror. */
function keyOf(step: Step): string | undefined {
  const table: MirrorTable | undefined = 'table' in step ? step.table : undefined;
  return table === undefined ? undefined : formatTableName(table.source);
}
