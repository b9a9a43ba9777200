/** This process among the daemons of a directory: its id, and how many mirrors it gives away at a time. */
import { randomInt } from 'node:crypto';
import type { Clock } from '../../core/clock.ts';

/** The largest that a lock's key can be. */
const MAX_ID = 2 ** 31 - 1;
/** So many of a process's mirrors move at once; each takes about a second. */
const MAX_HAND_OVERS = 4;
const HAND_OVER_MS = 2_000;

export class Peers {
  /** Random: two daemons on one host are two. */
  readonly id = randomInt(1, MAX_ID);
  /** False for a run that ends by itself: nobody should give it anything, and it gives nothing away. */
  readonly shares: boolean;
  readonly #clock: Clock;
  #handOversMs: readonly number[] = [];

  constructor(clock: Clock, { shares }: { readonly shares: boolean }) {
    this.#clock = clock;
    this.shares = shares;
  }

  /** Whether one more mirror may be given away now; it counts when so. */
  mayHandOver(): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#handOversMs = this.#handOversMs.filter((ms) => nowMs - ms < HAND_OVER_MS);
    if (!this.shares || this.#handOversMs.length >= MAX_HAND_OVERS) return false;
    this.#handOversMs = [...this.#handOversMs, nowMs];
    return true;
  }
}
