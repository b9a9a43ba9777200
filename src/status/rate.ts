/** How fast the rows of a copy come and how long the rest will take, from what was counted in the last seconds. Pure. */
import type { RunView } from './view.ts';

/** Rows that were copied at one moment of a monotonic clock. */
export interface RowCount {
  readonly atMs: number;
  readonly rows: number;
}

/** Long enough for a range's commit not to show as a jump, short enough to follow what goes on now. */
const WINDOW_MS = 10_000;
/** Progress is told for each piece of data; a count now and then is enough. */
const SPACING_MS = 250;
/** Over less than this a rate is noise. */
const MIN_SPAN_MS = 1_000;

/** The counts that are needed from here on. A count that went back belongs to a copy that began again. */
export function withCount(recent: readonly RowCount[], now: RowCount): readonly RowCount[] {
  const last = recent.at(-1);
  if (last === undefined || now.rows < last.rows) return [now];
  const before = recent.at(-2);
  const isDense = before !== undefined && last.atMs - before.atMs < SPACING_MS;
  const kept = isDense ? recent.slice(0, -1) : recent;
  return [...kept.slice(windowStart(kept, now.atMs)), now];
}

/** Of a run that copies rows; nothing while that cannot be said, or is over. */
export function estimate(
  { step, rowsCopied, rowsTotal }: RunView,
  recent: readonly RowCount[],
  nowMs: number,
): Pick<RunView, 'rowsPerSecond' | 'secondsLeft'> {
  const first = recent[windowStart(recent, nowMs)];
  if (step !== 'Copying' || first === undefined || nowMs - first.atMs < MIN_SPAN_MS) return {};
  const rate = Math.max(0, rowsCopied - first.rows) / ((nowMs - first.atMs) / 1_000);
  const left = rowsTotal - rowsCopied;
  return {
    rowsPerSecond: Math.round(rate),
    ...(rate > 0 && left > 0 ? { secondsLeft: Math.ceil(left / rate) } : {}),
  };
}

/** Where the window begins: at the newest count that is as old as the window is long, else at the oldest. */
function windowStart(recent: readonly RowCount[], nowMs: number): number {
  return Math.max(
    0,
    recent.findLastIndex(({ atMs }) => atMs <= nowMs - WINDOW_MS),
  );
}
