/** One pass of one mirror: observe, plan, execute, stream, copy. A list of calls; each lives elsewhere. */
import type { Log } from '../../core/log.ts';
import type { Mirror, MirrorTable } from '../../core/mirror.ts';
import { formatTableName, sameTable } from '../../core/table-name.ts';
import { isFed } from '../../core/table-state.ts';
import type { ExecuteContext } from '../../execute/context.ts';
import { acceptSpec, addTable, migrate, register } from '../../execute/ledger-steps.ts';
import { executeProvision, type ProvisionStep } from '../../execute/provision.ts';
import type { Outcome } from '../../execute/outcome.ts';
import {
  adoptTable,
  cancelCopy,
  removeShadow,
  retireTable,
  type Adopted,
} from '../../execute/stream-steps.ts';
import { observeMirror, observeTables, type MirrorLook } from '../../observe/observe.ts';
import { observeMemberships } from '../../observe/publication.ts';
import { asStreamed } from '../../plan/exclusions.ts';
import type { Step } from '../../plan/plan.ts';
import { earlyRefusals, mayStream, planMirror } from '../../plan/plan-mirror.ts';
import { readLedger, type Owner } from '../../postgres/ledger.ts';
import {
  attemptIfDue,
  attemptInOrder,
  hasSlot,
  report,
  resultOf,
  soundSteps,
  type Pass,
  type PassResult,
} from './pass.ts';
import type { Follower } from '../../stream/follow.ts';
import type { Scope } from './scope.ts';

export interface ReconcileOptions {
  readonly log: Log;
  /** False for a table whose last failure is too fresh to try again, by formatTableName(source). */
  readonly isDue: (key: string) => boolean;
}

/**
 * Throws MirrorError when one of the databases cannot be looked at or written to, and then what
 * streams goes on. The failure of a step is in the result.
 */
export async function reconcile(
  scope: Scope,
  mirror: Mirror,
  { log, isDue }: ReconcileOptions,
): Promise<PassResult> {
  const look = await observeMirror(mirror, scope);
  const [refusal] = earlyRefusals(mirror, look);
  // Also where a locked table keeps the rest from being seen.
  if (refusal !== undefined) await scope.stopStream();
  await resumeStream(scope, mirror, look);
  const observed = await observeTables(mirror, scope, look).catch((error: unknown) => {
    throw refusal !== undefined && scope.isWhole ? refusal.error : error;
  });
  const plan = planMirror(mirror, observed);
  const books = { outcomes: [], tableErrors: new Map(), left: new Set<Step>(), error: undefined };
  const pass: Pass = { scope, mirror, log, isDue, observed, plan, ...books };
  const owner = await ownLedger(pass);
  if (owner) await provision(pass, owner);
  if (owner) await stream(pass, owner);
  return resultOf(pass, observed);
}

/** Before the tables are looked at: a lock on one of them keeps that look waiting, and no other table with it. */
async function resumeStream(scope: Scope, mirror: Mirror, look: MirrorLook): Promise<void> {
  const { owner, follower } = scope;
  if (owner && follower === undefined && mayStream(mirror, look))
    await scope.startStream(mirror, owner);
}

/** The ledger first: nothing is made that it does not know of. */
async function ownLedger(pass: Pass): Promise<Owner | undefined> {
  const { scope, mirror, observed } = pass;
  for (const step of pass.plan.steps) {
    if (step.kind === 'migrate-ledger') report(pass, step, await migrate(scope.destination));
    if (step.kind !== 'register-mirror') continue;
    const { owner, outcome } = await register(scope.destination, mirror, observed);
    scope.owner = owner;
    report(pass, step, outcome);
  }
  return scope.owner;
}

type StepBeforeStream = ProvisionStep | Extract<Step, { kind: 'register-table' | 'accept-spec' }>;

/** Everything that needs no stream, in the plan's order. */
async function provision(pass: Pass, owner: Owner): Promise<void> {
  const { scope, mirror, log, observed } = pass;
  const { source, destination } = scope;
  const ctx: ExecuteContext = { mirror, source, destination, observed, owner, log };
  const steps = pass.plan.steps.filter(isBeforeStream);
  const early = new Set(beforeRetirements(pass.plan.steps));
  // The next pass has them, and a look at what the retired ones have left.
  for (const step of steps) if (!early.has(step)) pass.left.add(step);
  await attemptInOrder(
    pass,
    steps.filter((step) => early.has(step)),
    async (step) => {
      // The stream holds the slot, and its tables are about to start from nothing.
      if (step.kind === 'reset-slot') await scope.stopStream();
      if (step.kind === 'register-table') return addTable(ctx, step);
      return step.kind === 'accept-spec' ? acceptSpec(ctx, step) : executeProvision(ctx, step);
    },
  );
}

/** A table that comes where another one, or itself, is let go of in the same plan comes after that. */
function beforeRetirements(steps: readonly Step[]): readonly Step[] {
  const first = steps.findIndex(({ kind }) => kind === 'retire-table');
  return first === -1 ? steps : steps.slice(0, first);
}

function isBeforeStream(step: Step): step is StepBeforeStream {
  switch (step.kind) {
    case 'migrate-ledger':
    case 'register-mirror':
    case 'copy-table':
    case 'replay-table':
    case 'verify-table':
    case 'cancel-copy':
    case 'drop-shadow':
    case 'adopt-table':
    case 'retire-table':
    case 'release-slot':
    case 'drop-table':
    case 'forget-mirror':
      return false;
    default:
      return true;
  }
}

/** The stream runs, knows every table of the ledger, and copies follow the plan. */
async function stream(pass: Pass, owner: Owner): Promise<void> {
  const { scope, mirror, plan, observed } = pass;
  const isRefused = plan.refusals.some(({ table }) => table === undefined);
  if (mirror.suspend || isRefused || !hasSlot(pass)) {
    await scope.stopStream();
    return;
  }
  const streamed = asStreamed(mirror, plan);
  const follower = scope.follower ?? (await scope.startStream(streamed, owner));
  await follower.update(streamed);
  await routeNewTables(pass, follower);
  for (const step of soundSteps(pass)) {
    const work = streamStep(pass, follower, owner, step);
    if (work !== undefined) await attemptIfDue(pass, step, work);
  }
  // What ended meanwhile ends the pass: each copy would fail for it.
  follower.throwIfEnded();
  scope.copies?.follow(mirror, { ...plan, steps: soundSteps(pass) }, observed);
}

function key({ table }: { readonly table: MirrorTable }): string {
  return formatTableName(table.source);
}

/** What a step that takes effect in the stream does; undefined for another kind of step. */
function streamStep(
  pass: Pass,
  follower: Follower,
  owner: Owner,
  step: Step,
): (() => Promise<Outcome>) | undefined {
  const { scope } = pass;
  switch (step.kind) {
    case 'adopt-table':
      return async () => adoptTable(follower, owner, step, await toAdopt(pass, step));
    case 'cancel-copy':
      return async () => {
        if (isFed(follower.recordOf(step.table.source))) await scope.copies?.stopOne(key(step));
        return cancelCopy(follower, owner, step);
      };
    case 'drop-shadow':
      // A run drops its own when it ends.
      if (scope.copies?.isRunning(key(step)) === true) return undefined;
      return async () => removeShadow(scope.destination, owner, step);
    case 'retire-table':
      return async () => {
        await scope.copies?.stopOne(formatTableName(step.record.source));
        return retireTable(follower, scope.destination, owner, step);
      };
    default:
      return undefined;
  }
}

/** Read again: a step before may have published it. */
async function toAdopt(
  { scope, mirror, observed }: Pass,
  { table }: Extract<Step, { kind: 'adopt-table' }>,
): Promise<Adopted> {
  const look = observed.tables.find(({ source }) => sameTable(source, table.source));
  const oid = look?.sourceShape?.oid;
  const memberships =
    oid === undefined
      ? []
      : (await observeMemberships(scope.source, mirror.publication.name, [oid]))(oid);
  return { destination: observed.destination, memberships };
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
