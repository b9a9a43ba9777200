/** Failures in a row, of a mirror's tables or of the mirror itself: since when, how often, and when next. */
import type { Clock } from '../../core/clock.ts';
import type { MirrorError } from '../../core/errors.ts';
import type { TableFailure } from '../../core/table-state.ts';
import { backoffMs } from './backoff.ts';

/** The mirror's own failures, beside its tables' in one book. */
export const MIRROR_KEY = '';

interface Entry {
  readonly failure: TableFailure;
  readonly error: MirrorError;
  readonly nextTryMs: number;
}

export class Failures {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts one more failure; returns it with the first one's time. */
  add(key: string, error: MirrorError): TableFailure {
    const before = this.#entries.get(key)?.failure;
    const attempts = (before?.attempts ?? 0) + 1;
    const failure: TableFailure = {
      code: error.code,
      message: error.message,
      hint: error.hint,
      since: before?.since ?? this.#clock.now().toISOString(),
      attempts,
    };
    const nextTryMs = this.#clock.monotonicMs() + backoffMs(attempts, Math.random());
    this.#entries.set(key, { failure, error, nextTryMs });
    return failure;
  }

  /** Success, or a reason to start counting anew. */
  clear(key: string): void {
    this.#entries.delete(key);
  }

  /** All are due now; that they failed, and how often, is not forgotten. */
  makeDue(): void {
    const nextTryMs = this.#clock.monotonicMs();
    for (const [key, entry] of this.#entries) this.#entries.set(key, { ...entry, nextTryMs });
  }

  /** Milliseconds until the next try; 0 when it is due. */
  waitMs(key: string): number {
    const entry = this.#entries.get(key);
    return entry === undefined ? 0 : Math.max(0, entry.nextTryMs - this.#clock.monotonicMs());
  }

  get(key: string): TableFailure | undefined {
    return this.#entries.get(key)?.failure;
  }

  /** The last one, with its cause. */
  errorOf(key: string): MirrorError | undefined {
    return this.#entries.get(key)?.error;
  }

  keys(): string[] {
    return [...this.#entries.keys()];
  }
}
