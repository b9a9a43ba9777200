import assert from 'node:assert/strict';
import { test } from 'node:test';
import { estimate, withCount, type RowCount } from '../../src/status/rate.ts';
import type { RunView } from '../../src/status/view.ts';

const RUN: RunView = {
  strategy: 'truncate',
  step: 'Copying',
  startedAt: '2026-11-22T20:01:02.000Z',
  rowsCopied: 0,
  rowsTotal: 1_000_000,
  bytesCopied: 0,
};

/** Counts what a copy told at these moments: milliseconds, and rows so far. */
function counted(...told: readonly (readonly [atMs: number, rows: number])[]): readonly RowCount[] {
  return told.reduce<readonly RowCount[]>(
    (recent, [atMs, rows]) => withCount(recent, { atMs, rows }),
    [],
  );
}

/** A copy that told its rows every 100 ms, at one rate in each stretch of seconds. */
function stretches(...rates: readonly (readonly [seconds: number, perSecond: number])[]): {
  recent: readonly RowCount[];
  rows: number;
  nowMs: number;
} {
  let [recent, rows, nowMs]: [readonly RowCount[], number, number] = [[], 0, 0];
  for (const [seconds, perSecond] of rates)
    for (let tenth = 0; tenth < seconds * 10; tenth += 1) {
      nowMs += 100;
      rows += perSecond / 10;
      recent = withCount(recent, { atMs: nowMs, rows });
    }
  return { recent, rows, nowMs };
}

test('a steady copy: its rate, and what is left at that rate', () => {
  const { recent, rows, nowMs } = stretches([30, 10_000]);
  assert.deepEqual(estimate({ ...RUN, rowsCopied: rows }, recent, nowMs), {
    rowsPerSecond: 10_000,
    secondsLeft: 70,
  });
});

test('the rate is that of the last seconds, not of the whole run', () => {
  const { recent, rows, nowMs } = stretches([600, 1_000], [11, 5_000]);
  assert.equal(estimate({ ...RUN, rowsCopied: rows }, recent, nowMs).rowsPerSecond, 5_000);
});

test('one commit of many rows is spread over the window', () => {
  const recent = counted([0, 0], [3_000, 0], [6_000, 0], [9_000, 90_000]);
  const run = { ...RUN, rowsCopied: 90_000 };
  assert.equal(estimate(run, recent, 9_000).rowsPerSecond, 10_000);
});

test('a copy that stands still has a rate of 0 after the window, and no end', () => {
  const { recent, rows, nowMs } = stretches([30, 10_000]);
  const run = { ...RUN, rowsCopied: rows };
  const slowing = estimate(run, recent, nowMs + 5_000).rowsPerSecond ?? 0;
  assert.ok(slowing > 2_000 && slowing < 8_000, `${slowing}`);
  assert.deepEqual(estimate(run, recent, nowMs + 10_500), { rowsPerSecond: 0 });
});

test('nothing is said too early, in another step, or of what was never counted', () => {
  const early = counted([0, 0], [900, 9_000]);
  assert.deepEqual(estimate({ ...RUN, rowsCopied: 9_000 }, early, 900), {});
  const { recent, rows, nowMs } = stretches([30, 10_000]);
  assert.deepEqual(estimate({ ...RUN, step: 'Indexing', rowsCopied: rows }, recent, nowMs), {});
  assert.deepEqual(estimate(RUN, [], 5_000), {});
});

test('past the estimated total there is a rate and no end', () => {
  const { recent, rows, nowMs } = stretches([30, 10_000]);
  const run = { ...RUN, rowsCopied: rows, rowsTotal: rows };
  assert.deepEqual(estimate(run, recent, nowMs), { rowsPerSecond: 10_000 });
});

test('a copy that began again is measured from there', () => {
  const recent = counted([0, 0], [5_000, 500_000], [6_000, 0], [8_000, 4_000]);
  assert.equal(estimate({ ...RUN, rowsCopied: 4_000 }, recent, 8_000).rowsPerSecond, 2_000);
});

test('few counts are kept, however often progress is told', () => {
  const { recent } = stretches([600, 1_000]);
  assert.ok(recent.length <= 45, `${recent.length} counts`);
});
