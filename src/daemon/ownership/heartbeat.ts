/**
 * A word every few seconds on the very session that holds a mirror's lock: the standbys see by it that the
 * owner is not paused, the owner hears who they are, and both know that the lock is still there.
 */
import type { Clock } from '../../core/clock.ts';
import { readStandbys } from '../../postgres/ownership.ts';
import type { Session } from '../../postgres/session.ts';

const INTERVAL_MS = 5_000;
/** Well below the silence after which a standby takes over. */
const FRESH_MS = 12_000;

export interface HeartbeatOptions {
  readonly session: Session;
  readonly mirror: string;
  readonly clock: Clock;
  /** Called with each answer. */
  readonly onBeat: () => void;
}

export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #timer: NodeJS.Timeout;
  #isAsking = false;
  #answeredMs: number;
  #standbys: readonly number[] = [];

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#answeredMs = options.clock.monotonicMs();
    this.#timer = setInterval(() => void this.#beat(), INTERVAL_MS);
  }

  /** The lock was ours a moment ago. Not so after a pause of this process, nor while a long statement runs. */
  get isFresh(): boolean {
    return this.#options.clock.monotonicMs() - this.#answeredMs < FRESH_MS;
  }

  /** Daemons that were there at two beats in a row. */
  get standbys(): readonly number[] {
    return this.#standbys;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Behind a statement that runs, and never two of them. */
  async #beat(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    try {
      await this.#ask();
    } catch {
      // A broken session tells by itself, and so does the transaction that the question fell into.
    } finally {
      this.#isAsking = false;
    }
  }

  #previous: readonly number[] = [];

  async #ask(): Promise<void> {
    const { session, mirror, clock, onBeat } = this.#options;
    const now = await readStandbys(session, mirror);
    this.#answeredMs = clock.monotonicMs();
    this.#standbys = now.filter((id) => this.#previous.includes(id));
    this.#previous = now;
    onBeat();
  }
}
