/** When `run --once` is done with a mirror: nothing more will come by itself. Pure. */
import type { Mirror } from '../../core/mirror.ts';
import { isReady, type Status } from '../../status/status.ts';

export type OnceOutcome = 'ready' | 'failed' | 'working';

/** Failures in a row after which it gives up on what would be tried again. */
const MAX_ATTEMPTS = 3;
/** And how long it waits for a mirror that another daemon runs. */
const MAX_STANDBY_MS = 3_000;

export interface OnceView {
  readonly mirror: Pick<Mirror, 'specHash' | 'suspend'>;
  readonly status: Status | undefined;
  /** A pass has planned for this very spec. */
  readonly isPlanned: boolean;
  /** For how long another daemon has had the mirror; undefined when none has. */
  readonly standsByMs: number | undefined;
  /** Of each thing that failed. */
  readonly attempts: readonly number[];
  readonly isCopying: boolean;
}

export function onceOutcome(view: OnceView): OnceOutcome {
  const { mirror, status } = view;
  if ((view.standsByMs ?? 0) >= MAX_STANDBY_MS) return 'failed';
  if (status?.status.observedSpecHash !== mirror.specHash) return 'working';
  if ((mirror.suspend && view.isPlanned) || isReady(status)) return 'ready';
  const isStalled = status.status.conditions.some(({ type }) => type === 'Stalled');
  const isHopeless = view.attempts.some((attempts) => attempts >= MAX_ATTEMPTS);
  return (isHopeless || isStalled) && !view.isCopying ? 'failed' : 'working';
}
