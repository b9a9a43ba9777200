/** What `bunnydb plan` found out, for either form of its output. */
import type { MirrorError } from '../core/errors.ts';
import type { Plan } from '../plan/plan.ts';
import type { Diagnostic } from '../spec/diagnostic.ts';

/** One mirror: what differs, and what is to be done about it. */
export interface PlanLook {
  readonly plan: Plan;
  /** A unified diff of what the databases have and what they ought to have; empty when that is the same. */
  readonly diff: string;
  /** A daemon has the mirror, and may be at work on it. */
  readonly isRun: boolean;
}

/** A mirror whose databases could not be looked at. */
export interface FailedLook {
  readonly mirror: string;
  readonly error: MirrorError;
}

export interface PlanReport {
  readonly looks: readonly PlanLook[];
  readonly failures: readonly FailedLook[];
  /** Errors of files, which keep their mirrors out of it. */
  readonly invalid: readonly Diagnostic[];
}
