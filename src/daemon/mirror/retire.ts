/** One pass of a removed mirror: observe, plan, undo. A list of calls; each lives elsewhere. */
import { classify } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Mirror } from '../../core/mirror.ts';
import type { MirrorRecord } from '../../core/observed.ts';
import { executeRemoval, type RemovalContext } from '../../execute/retire-mirror.ts';
import { observeMirror } from '../../observe/observe.ts';
import {
  leftUnasked,
  planRemoval,
  withWayOut,
  withWayOutUnknown,
  type RemovalStep,
} from '../../plan/removal.ts';
import { readLedger } from '../../postgres/ledger.ts';
import { openSession } from '../../postgres/session.ts';
import { attemptInOrder, resultOf, type Attempts, type PassResult } from './pass.ts';
import type { Scope } from './scope.ts';
import type { Tenure } from '../ownership/tenure.ts';

/**
 * `gone` when the destination knows no such mirror and the source cannot be asked for what another one may
 * have had there: nothing is known to be undone, which is logged with what to do there by hand.
 * Throws what Tenure.enter throws; of a source that cannot be reached with what to do there by hand.
 */
export async function enterRemoved(
  tenure: Tenure,
  mirror: Mirror,
  { log, signal }: { readonly log: Log; readonly signal: AbortSignal },
): Promise<Scope | 'gone' | 'standby'> {
  if (tenure.scope?.isWhole === true) return (await tenure.enter(mirror)) ?? 'standby';
  // First of all what still copies.
  if (tenure.scope !== undefined) await tenure.leave(tenure.scope.endedBy());
  const record = await readRecord(mirror, signal).catch((error: unknown) => {
    throw withWayOutUnknown(classify(error), mirror);
  });
  try {
    return (await tenure.enter(mirror)) ?? 'standby';
  } catch (error) {
    // What failed was the destination then, which is tried again.
    if (await answers(mirror, signal)) throw error;
    signal.throwIfAborted();
    if (record !== undefined) throw withWayOut(classify(error), mirror, record);
    log.warn({ reason: classify(error).message }, leftUnasked(mirror));
    return 'gone';
  }
}

/** The source, asked by itself. */
async function answers(mirror: Mirror, signal: AbortSignal): Promise<boolean> {
  const options = { mirror: mirror.name, role: 'observer', readOnly: true, signal } as const;
  return openSession(mirror.source, options).then(
    async (session) => session.close().then(() => true),
    () => false,
  );
}

async function readRecord(mirror: Mirror, signal: AbortSignal): Promise<MirrorRecord | undefined> {
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
    const known = { look: observed, record, tables };
    const ctx: RemovalContext = { mirror, source, destination, ...known, owner, log };
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
