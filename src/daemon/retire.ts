/** One pass of a removed mirror: observe, plan, undo. A list of calls; each lives elsewhere. */
import { classify } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Mirror } from '../core/mirror.ts';
import type { MirrorRecord } from '../core/observed.ts';
import { executeRemoval, type RemovalContext } from '../execute/retire-mirror.ts';
import { observeMirror } from '../observe/observe.ts';
import { planRemoval, withWayOut, type RemovalStep } from '../plan/removal.ts';
import { readLedger } from '../postgres/ledger.ts';
import { openSession } from '../postgres/session.ts';
import { attemptInOrder, resultOf, type Attempts, type PassResult } from './pass.ts';
import { Scope, type ScopeOptions } from './scope.ts';

/**
 * Undefined when the destination knows no such mirror: there is nothing to undo, and the source is not
 * asked. Throws what Scope.open throws; of a source that cannot be reached with what to do there by hand.
 */
export async function openRemoved(options: ScopeOptions): Promise<Scope | undefined> {
  const record = await readRecord(options);
  if (record === undefined) return undefined;
  try {
    return await Scope.open(options);
  } catch (thrown) {
    const error = classify(thrown);
    throw error.code === 'NotOwner' ? error : withWayOut(error, options.mirror, record);
  }
}

async function readRecord({ mirror, signal }: ScopeOptions): Promise<MirrorRecord | undefined> {
  await using session = await openSession(mirror.destination, {
    mirror: mirror.name,
    role: 'observer',
    readOnly: true,
    signal,
  });
  return (await readLedger(session, mirror.name)).mirror;
}

export interface RetireOptions {
  readonly log: Log;
  /** False for a table whose last failure is too fresh to try again, by formatTableName(source). */
  readonly isDue: (key: string) => boolean;
  /** Asked before each step: a file that came back stops the removal there. */
  readonly isRemoved: () => boolean;
}

/** Throws and reports as reconcile does. The mirror is gone when the plan is empty. */
export async function retire(
  scope: Scope,
  mirror: Mirror,
  { log, isDue, isRemoved }: RetireOptions,
): Promise<PassResult> {
  await scope.stopStream();
  const observed = await observeMirror(mirror, scope);
  const plan = planRemoval(mirror, observed);
  const books = { outcomes: [], tableErrors: new Map(), left: new Set<RemovalStep>() };
  const pass: Attempts = { scope, log, isDue, plan, ...books, error: undefined };
  const { source, destination, owner } = scope;
  const { mirror: record, tables } = observed.ledger;
  if (owner && record) {
    const ctx: RemovalContext = { mirror, source, destination, record, tables, owner, log };
    const steps = doable(pass, plan.steps, isRemoved);
    await attemptInOrder(pass, steps, async (step) => executeRemoval(ctx, step));
  }
  return resultOf(pass, observed);
}

/** What the ledger says of the rest is needed until the rest is done. */
function* doable(
  { left }: Attempts,
  steps: readonly RemovalStep[],
  isRemoved: () => boolean,
): Generator<RemovalStep> {
  for (const step of steps) {
    const isEarly = step.kind === 'forget-mirror' && left.size > 0;
    if (isEarly || !isRemoved()) return;
    yield step;
  }
}
