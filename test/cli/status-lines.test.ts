/** What a status looks like on a screen and in a log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatRate, formatSeconds, formatTime } from '../../src/cli/amounts.ts';
import { drawChanges, drawMirror, fit } from '../../src/cli/status-lines.ts';
import type { Status } from '../../src/status/status.ts';

process.env['TZ'] = 'UTC';

const NOW = new Date('2026-11-22T20:02:00.500Z');
type Table = Status['status']['tables'][number];

const COPYING: Table = {
  source: 'public.users',
  destination: 'public.users',
  phase: 'Copying',
  resyncStatus: 'in_progress',
  resyncGeneration: { desired: 4, observed: 3 },
  resync: {
    strategy: 'swap',
    step: 'Copying',
    startedAt: '2026-11-22T20:01:20.000Z',
    rowsCopied: 125_000,
    rowsTotal: 500_000,
    bytesCopied: 1,
    percent: 25,
    rowsPerSecond: 120_400,
    secondsLeft: 80,
  },
};
const VERIFIED: Table = {
  source: 'public.orders',
  destination: 'public.orders',
  phase: 'Live',
  resyncStatus: 'completed',
  resyncGeneration: { desired: 1, observed: 1 },
  verification: {
    result: 'Match',
    rows: 500_000,
    lsn: '0/1',
    checkedAt: '2026-11-22T12:03:04.000Z',
  },
};
const WAITING: Table = {
  ...COPYING,
  source: 'public.pets',
  phase: 'CatchingUp',
  resync: {
    strategy: 'swap',
    step: 'HandingOver',
    startedAt: '2026-11-22T19:00:00.000Z',
    rowsCopied: 10,
    rowsTotal: 10,
    bytesCopied: 1,
    percent: 100,
    tries: 3,
    waitsFor: 'waits for process 4711 (report, psql, in a transaction for 95 s) on public.orders',
  },
};
const FAILED: Table = {
  source: 'public.toys',
  destination: 'public.toys',
  phase: 'Failed',
  resyncStatus: 'failed',
  resyncGeneration: { desired: 1 },
  error: {
    code: 'DiskFull',
    message: 'no space left',
    hint: 'Free space.',
    since: '2026-11-21T20:01:20.000Z',
    attempts: 7,
  },
};

function status(...tables: readonly Table[]): Status {
  return {
    apiVersion: 'bunnydb/v1',
    kind: 'MirrorStatus',
    metadata: { name: 'shop' },
    status: {
      state: 'RESYNCING',
      observedSpecHash: '',
      conditions: [
        {
          type: 'Ready',
          status: 'False',
          reason: 'ResyncInProgress',
          message: 'resync of public.users',
          lastTransitionTime: '',
        },
      ],
      lag: { bytes: 0, seconds: 0.04, appliedLsn: '0/1' },
      tables,
    },
  };
}

test('each table has a line with what is worth knowing, and its troubles below', () => {
  assert.deepEqual(drawMirror(status(COPYING, VERIFIED, WAITING, FAILED), NOW), [
    'shop: RESYNCING, 0.0 s behind',
    'ResyncInProgress: resync of public.users',
    'TABLE          PHASE       PROGRESS                GENERATION  DETAILS',
    'public.users   Copying     ████░░░░░░░░░░░░  25 %  3 -> 4      120k rows/s, 1 m 20 s left, 125000 of about 500000 rows, swap for 40 s',
    'public.orders  Live                                1           verified 12:03:04, 500000 rows',
    'public.pets    CatchingUp  HandingOver             3 -> 4      10 of about 10 rows, try 3, swap for 1 h 2 m',
    'public.toys    Failed                              - -> 1',
    'public.pets waits for process 4711 (report, psql, in a transaction for 95 s) on public.orders',
    'public.toys: no space left (DiskFull, try 7, since 2026-11-21 20:01:20)',
    '  Free space.',
  ]);
});

test('a comparison that found a difference says which', () => {
  const mismatch = {
    result: 'Mismatch' as const,
    lsn: '0/1',
    rows: 5,
    checkedAt: NOW.toISOString(),
    message: 'id 42 is missing',
  };
  const lines = drawMirror(status({ ...VERIFIED, verification: mismatch }), NOW);
  assert.match(lines[3] ?? '', /differs since 20:02:00$/);
  assert.equal(lines[4], 'public.orders: id 42 is missing');
  const error = {
    code: 'VerificationFailed' as const,
    message: 'id 42 is missing',
    hint: 'Bump it.',
    since: NOW.toISOString(),
    attempts: 1,
  };
  assert.deepEqual(
    drawMirror(status({ ...VERIFIED, verification: mismatch, error }), NOW).slice(4),
    ['public.orders: id 42 is missing (VerificationFailed, since 20:02:00)', '  Bump it.'],
    'it is not tried again',
  );
});

test('in a log only what is new has a line', () => {
  const before = status(COPYING, VERIFIED, WAITING);
  assert.ok(COPYING.resync && WAITING.resync);
  const resync = { ...COPYING.resync, rowsCopied: 126_000, rowsPerSecond: 9, secondsLeft: 1 };
  assert.deepEqual(drawChanges(before, status({ ...COPYING, resync }, VERIFIED, WAITING), NOW), []);
  const further = { ...COPYING, resync: { ...resync, percent: 26 } };
  const again = {
    ...WAITING,
    resync: { ...WAITING.resync, tries: 4, waitsFor: 'waits for process 1' },
  };
  assert.deepEqual(drawChanges(before, status(further, VERIFIED, again), NOW), [
    '2026-11-22T20:02:00Z  shop  public.users  Copying  26 %  3 -> 4  9 rows/s, 1 s left, 126000 of about 500000 rows, swap for 40 s',
    '2026-11-22T20:02:00Z  shop  public.pets  CatchingUp  HandingOver  3 -> 4  10 of about 10 rows, try 4, swap for 1 h 2 m, public.pets waits for process 1',
  ]);
  const done = status({ ...VERIFIED, source: 'public.users' }, VERIFIED);
  const running = { ...done, status: { ...done.status, state: 'RUNNING' as const } };
  assert.deepEqual(drawChanges(before, running, NOW), [
    '2026-11-22T20:02:00Z  shop  RUNNING  ResyncInProgress: resync of public.users',
    '2026-11-22T20:02:00Z  shop  public.users  Live  1  verified 12:03:04, 500000 rows',
  ]);
});

test('a screen gets what it can hold, and is told of the rest', () => {
  const lines = ['12345', '🐰🐰🐰🐰🐰🐰', 'x', 'y', 'z'];
  assert.deepEqual(fit(lines, { columns: 5, rows: 4 }), ['12345', '🐰🐰🐰🐰…', 'x', '… an…']);
  assert.deepEqual(fit(lines, { columns: 20, rows: 5 }), lines);
});

test('amounts', () => {
  const seconds = [0, -3, 45.9, 60, 80, 3_600, 7_500, 90_000, 86_400];
  assert.deepEqual(seconds.map(formatSeconds), [
    '0 s',
    '0 s',
    '45 s',
    '1 m',
    '1 m 20 s',
    '1 h',
    '2 h 5 m',
    '1 d 1 h',
    '1 d',
  ]);
  const rates = [0, 950, 999.7, 1_234, 9_960, 120_400, 999_499, 999_600, 3_400_000];
  assert.deepEqual(rates.map(formatRate), [
    '0 rows/s',
    '950 rows/s',
    '1.0k rows/s',
    '1.2k rows/s',
    '10k rows/s',
    '120k rows/s',
    '999k rows/s',
    '1.0M rows/s',
    '3.4M rows/s',
  ]);
  assert.equal(formatTime('2026-11-22T01:02:03.999Z', NOW), '01:02:03');
  assert.equal(formatTime('2026-11-02T01:02:03Z', NOW), '2026-11-02 01:02:03');
});
