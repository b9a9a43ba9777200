/** Says when to look at the directory again. Events are hints, never facts: contents are compared by hash. */
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { DirectoryPlace } from '../../spec/read-directory.ts';
import { Hints } from './hints.ts';

/** A quiet moment after the last event, so that a checkout is seen whole. */
const SETTLE_MS = 300;
/** Events that never end are not waited for. */
const MAX_SETTLE_MS = 3_000;
/** Looked at anyway: watches can go blind, and some file systems have none. */
export const RESCAN_MS = 10_000;
/** What is due now was due a moment ago, or is in a moment. */
const MIN_WAIT_MS = 20;

export interface WatchOptions {
  readonly dir: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onLookAgain: () => Promise<LookResult>;
}

export interface LookResult {
  /** Which directory was found. */
  readonly place: DirectoryPlace | undefined;
  /** When to look again at the latest, if that is sooner than RESCAN_MS. */
  readonly againMs: number | undefined;
}

export class DirectoryWatch {
  readonly #options: WatchOptions;
  #hint = new AbortController();
  #order = new AbortController();

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** Looks as soon as it can, without waiting for quiet. */
  readonly lookNow = (): void => this.#order.abort();

  /** Calls onLookAgain at once, after changes, and in intervals; one call at a time. Returns when the signal aborts. */
  async run(): Promise<void> {
    const { dir, log, clock, signal, onLookAgain } = this.#options;
    await using hints = new Hints({ dir, log, clock, onHint: () => this.#hint.abort() });
    while (!signal.aborted) {
      this.#hint = new AbortController();
      this.#order = new AbortController();
      const { place, againMs = RESCAN_MS } = await onLookAgain();
      // What happened before somebody watched is seen by looking once more.
      if (await hints.follow(place)) continue;
      const waitMs = Math.max(MIN_WAIT_MS, Math.min(againMs, RESCAN_MS));
      await clock.sleep(waitMs, signal, this.#order.signal, this.#hint.signal);
      if (this.#hint.signal.aborted) await this.#settle();
    }
  }

  /** Waits until no event came for a while. */
  async #settle(): Promise<void> {
    const { clock, signal } = this.#options;
    const startMs = clock.monotonicMs();
    const isOver = (): boolean => signal.aborted || this.#order.signal.aborted;
    while (this.#hint.signal.aborted && !isOver()) {
      this.#hint = new AbortController();
      const leftMs = startMs + MAX_SETTLE_MS - clock.monotonicMs();
      if (leftMs <= 0) return;
      const waitMs = Math.min(SETTLE_MS, leftMs);
      await clock.sleep(waitMs, signal, this.#order.signal, this.#hint.signal);
    }
  }
}
