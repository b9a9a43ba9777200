/** When to try again. Pure: the random part is given. */

const FIRST_MS = 1_000;
const LAST_MS = 5 * 60_000;
/** Keeps many mirrors from trying in step. */
const JITTER = 0.2;

/** The wait after the n-th failure in a row (from 1), for ever: 1 s, 2 s, 4 s … 5 min, +-20 %. `random` is in [0, 1). */
export function backoffMs(attempts: number, random: number): number {
  const base = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(attempts - 1, 20));
  return Math.round(base * (1 - JITTER + 2 * JITTER * random));
}
