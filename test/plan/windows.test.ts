/** When resyncs may begin: decided from the windows and the time alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MaintenanceWindow, Mirror } from '../../src/core/mirror.ts';
import type { TableRecord, TableState } from '../../src/core/table-state.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { nextOpening } from '../../src/plan/windows.ts';
import {
  FAILURE,
  mirror,
  observed,
  publication,
  record,
  run,
  table,
  type World,
} from './fixtures.ts';

const NIGHT: MaintenanceWindow = {
  days: ['Sat', 'Sun'],
  start: '23:30',
  durationMinutes: 90,
  timeZone: 'Europe/Berlin',
};
const EVERY_NIGHT: MaintenanceWindow = {
  days: ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'],
  start: '02:30',
  durationMinutes: 30,
  timeZone: 'Europe/Berlin',
};

/** There the clock goes from 23:00 to midnight on 2026-03-28. */
const LAST_HOUR: MaintenanceWindow = {
  days: ['Sat'],
  start: '23:30',
  durationMinutes: 60,
  timeZone: 'America/Nuuk',
};

const CASES: readonly {
  readonly name: string;
  readonly windows: readonly MaintenanceWindow[];
  readonly at: string;
  readonly opens: string | undefined;
}[] = [
  { name: 'no windows', windows: [], at: '2026-11-23T12:00:00Z', opens: undefined },
  {
    name: 'a week before',
    windows: [NIGHT],
    at: '2026-11-23T12:00:00Z',
    opens: '2026-11-28T22:30:00.000Z',
  },
  {
    name: 'the moment before',
    windows: [NIGHT],
    at: '2026-11-28T22:29:59.999Z',
    opens: '2026-11-28T22:30:00.000Z',
  },
  { name: 'as it opens', windows: [NIGHT], at: '2026-11-28T22:30:00Z', opens: undefined },
  {
    name: 'after midnight it is still open',
    windows: [NIGHT],
    at: '2026-11-29T23:59:59.999Z',
    opens: undefined,
  },
  {
    name: 'as it closes',
    windows: [NIGHT],
    at: '2026-11-30T00:00:00Z',
    opens: '2026-12-05T22:30:00.000Z',
  },
  {
    name: 'the nearest of several',
    windows: [NIGHT, EVERY_NIGHT],
    at: '2026-11-24T12:00:00Z',
    opens: '2026-11-25T01:30:00.000Z',
  },
  {
    name: 'the clock is put forward over it',
    windows: [EVERY_NIGHT],
    at: '2026-03-28T20:00:00Z',
    opens: '2026-03-29T01:30:00.000Z',
  },
  {
    name: 'the clock is put back: the first of the two',
    windows: [EVERY_NIGHT],
    at: '2026-10-24T20:00:00Z',
    opens: '2026-10-25T00:30:00.000Z',
  },
  {
    name: 'the clock is put forward over it and past midnight: still that day’s, half an hour into the next',
    windows: [LAST_HOUR],
    at: '2026-03-28T20:00:00Z',
    opens: '2026-03-29T01:30:00.000Z',
  },
  {
    name: 'pushed past midnight it is open',
    windows: [LAST_HOUR],
    at: '2026-03-29T01:45:00Z',
    opens: undefined,
  },
  {
    name: 'pushed past midnight it is not the next day’s',
    windows: [{ ...LAST_HOUR, days: ['Sun'] }],
    at: '2026-03-29T01:45:00Z',
    opens: '2026-03-30T00:30:00.000Z',
  },
  {
    name: 'longer than a week is always open',
    windows: [{ ...NIGHT, durationMinutes: 8 * 24 * 60 }],
    at: '2026-11-26T12:00:00Z',
    opens: undefined,
  },
  {
    name: 'a zone far ahead of UTC',
    windows: [{ ...NIGHT, days: ['Mon'], start: '00:10', timeZone: 'Pacific/Kiritimati' }],
    at: '2026-11-22T09:00:00Z',
    opens: '2026-11-22T10:10:00.000Z',
  },
];

for (const { name, windows, at, opens } of CASES)
  test(`${name}: ${opens ?? 'open'}`, () => {
    assert.equal(nextOpening(windows, new Date(at)), opens);
  });

// The fixtures look at their world on a Thursday.
const CLOSED = { maintenanceWindows: [NIGHT] };
const OPENS = '2026-01-03T22:30:00.000Z';
const NOTHING = { run: undefined, snapshot: undefined };
const BUMPED = table('public.users', { generation: { table: 1, mirror: 0 } });

function stepsOf(world: World, more: Partial<Mirror> = CLOSED): unknown[] {
  return planMirror(mirror([BUMPED], more), observed(world)).steps.map((step) => [
    step.kind,
    ...('heldUntil' in step ? [step.heldUntil] : []),
  ]);
}

test('outside its windows a resync is planned, and held', () => {
  assert.deepEqual(stepsOf({}), [['copy-table', OPENS]]);
  assert.deepEqual(stepsOf({}, {}), [['copy-table']]);
});

test('a first copy is not held, nor the end of what was begun', () => {
  const known = (state: TableState, more: Partial<TableRecord> = {}): World => ({
    tables: { 'public.users': { record: record('public.users', state, more) } },
  });
  const first = known({ phase: 'Pending' }, { observed: undefined });
  assert.deepEqual(stepsOf(first), [['copy-table']]);
  assert.deepEqual(stepsOf(known({ phase: 'Copying', run: run() })), [['copy-table']]);
  const catchingUp = known({ phase: 'CatchingUp', run: run(), snapshot: undefined });
  assert.deepEqual(stepsOf(catchingUp), [['replay-table']], 'the newer counter waits for a window');
  assert.deepEqual(stepsOf(catchingUp, {}), [['copy-table']]);
});

test('a table that failed goes on meanwhile, unless a copy alone helps', () => {
  const failed = (more: Partial<Extract<TableState, { phase: 'Failed' }>>): World => {
    const state = {
      phase: 'Failed',
      failure: FAILURE,
      resume: 'replay',
      ...NOTHING,
      ...more,
    } as const;
    return { tables: { 'public.users': { record: record('public.users', state) } } };
  };
  assert.deepEqual(stepsOf(failed({})), [['replay-table']]);
  assert.deepEqual(stepsOf(failed({ resume: 'copy', run: run() })), [['copy-table']]);
  const full = failed({ failure: { ...FAILURE, code: 'SpoolFull' } });
  assert.deepEqual(stepsOf(full), [['copy-table', OPENS]]);
  const unpublished = { ...failed({}), publication: publication([]) };
  assert.deepEqual(stepsOf(unpublished).at(-1), ['copy-table', OPENS]);
});

test('a swap that begins again as a truncate is held: its readers have all rows', () => {
  const swapping = run({ strategy: 'swap', generation: BUMPED.generation });
  const state: TableState = { phase: 'Copying', run: swapping, fed: true };
  const world = { tables: { 'public.users': { record: record('public.users', state) } } };
  assert.deepEqual(stepsOf(world), [['copy-table', OPENS]]);
  const swap = { ...CLOSED, tables: [{ ...BUMPED, resyncStrategy: 'swap' as const }] };
  assert.deepEqual(stepsOf(world, swap), [['copy-table']]);
});
