/** Every state with every event: the state that follows, or an error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type CopyRun,
  needsResync,
  nextTableState,
  type TableEvent,
  type TableFailure,
  type TableState,
} from '../../src/core/table-state.ts';

function failure(message: string, since: string, attempts = 1): TableFailure {
  return { code: 'ConstraintViolated', message, hint: 'mend it', since, attempts };
}

function run(id: string, strategy: CopyRun['strategy'] = 'truncate'): CopyRun {
  return {
    id,
    strategy,
    generation: { table: 3, mirror: 1 },
    startedAt: '2026-01-01T00:00:00.000Z',
  };
}

const OLD_RUN = run('old', 'swap');
const NEW_RUN = run('new');
const FIRST = failure('first', '2026-01-01T00:00:00.000Z');
const SECOND = failure('second', '2026-02-02T00:00:00.000Z', 2);
const SNAPSHOT = { visible: '10:20:11,12', lsn: '0/20' };
const OLDER_SNAPSHOT = { visible: '1:2:', lsn: '0/10' };

const DONE = { table: 2, mirror: 1 };
/** The old run when its counter went back: it ends as what was done already. */
const BACK_RUN: CopyRun = { ...OLD_RUN, generation: DONE };

const STATES = {
  Pending: { phase: 'Pending' },
  'Pending after a failure': { phase: 'Pending', failure: FIRST },
  Copying: { phase: 'Copying', run: OLD_RUN },
  'CatchingUp after a copy': { phase: 'CatchingUp', run: OLD_RUN, snapshot: OLDER_SNAPSHOT },
  'CatchingUp without one': { phase: 'CatchingUp', run: undefined, snapshot: undefined },
  Live: { phase: 'Live' },
  'Live, diverged': { phase: 'Live', diverged: FIRST },
  'CatchingUp after it was Live, diverged': {
    phase: 'CatchingUp',
    run: undefined,
    snapshot: undefined,
    diverged: FIRST,
  },
  'Copying, fed': { phase: 'Copying', run: OLD_RUN, fed: true },
  'Failed while catching up, fed': {
    phase: 'Failed',
    failure: FIRST,
    resume: 'replay',
    run: OLD_RUN,
    snapshot: OLDER_SNAPSHOT,
    fed: true,
    diverged: FIRST,
  },
  'Failed while copying': {
    phase: 'Failed',
    failure: FIRST,
    resume: 'copy',
    run: OLD_RUN,
    snapshot: undefined,
  },
  'Failed while catching up': {
    phase: 'Failed',
    failure: FIRST,
    resume: 'replay',
    run: OLD_RUN,
    snapshot: OLDER_SNAPSHOT,
  },
  'Failed while Live': {
    phase: 'Failed',
    failure: FIRST,
    resume: 'replay',
    run: undefined,
    snapshot: undefined,
  },
} as const satisfies Record<string, TableState>;

const EVENTS = {
  copyStarted: { type: 'copyStarted', run: NEW_RUN },
  rowsCopied: { type: 'rowsCopied', snapshot: SNAPSHOT },
  handedOver: { type: 'handedOver' },
  replayStarted: { type: 'replayStarted' },
  diverged: { type: 'diverged', failure: SECOND },
  failed: { type: 'failed', failure: SECOND },
  starved: { type: 'starved', failure: SECOND },
  cancelled: { type: 'cancelled', observed: DONE },
} as const satisfies { [Type in TableEvent['type']]: Extract<TableEvent, { type: Type }> };

const COPYING: TableState = { phase: 'Copying', run: NEW_RUN };
const LIVE: TableState = { phase: 'Live' };
/** A failure that goes on keeps the time of the first. */
const STILL = { ...SECOND, since: FIRST.since };

/** What follows; an event that is not named throws. `copyStarted` leads from everywhere to Copying. */
const NEXT: Record<keyof typeof STATES, Partial<Record<TableEvent['type'], TableState>>> = {
  Pending: { failed: { phase: 'Pending', failure: SECOND } },
  'Pending after a failure': { failed: { phase: 'Pending', failure: SECOND } },
  Copying: {
    rowsCopied: { phase: 'CatchingUp', run: OLD_RUN, snapshot: SNAPSHOT },
    failed: { phase: 'Failed', failure: SECOND, resume: 'copy', run: OLD_RUN, snapshot: undefined },
    cancelled: { phase: 'Copying', run: BACK_RUN },
  },
  'Copying, fed': {
    rowsCopied: { phase: 'CatchingUp', run: OLD_RUN, snapshot: SNAPSHOT, fed: true },
    failed: {
      phase: 'Failed',
      failure: SECOND,
      resume: 'copy',
      run: OLD_RUN,
      snapshot: undefined,
      fed: true,
    },
    starved: { phase: 'Copying', run: OLD_RUN, stale: SECOND },
    diverged: { phase: 'Copying', run: OLD_RUN, fed: true, diverged: SECOND },
    cancelled: LIVE,
  },
  'Failed while catching up, fed': {
    replayStarted: {
      phase: 'CatchingUp',
      run: OLD_RUN,
      snapshot: OLDER_SNAPSHOT,
      fed: true,
      diverged: FIRST,
    },
    failed: { ...STATES['Failed while catching up, fed'], failure: STILL },
    starved: {
      phase: 'Failed',
      failure: FIRST,
      resume: 'replay',
      run: OLD_RUN,
      snapshot: OLDER_SNAPSHOT,
      diverged: FIRST,
      stale: SECOND,
    },
    diverged: { ...STATES['Failed while catching up, fed'], diverged: FIRST },
    cancelled: { phase: 'Live', diverged: FIRST },
  },
  'Live, diverged': {
    diverged: { phase: 'Live', diverged: FIRST },
    failed: { ...STATES['Failed while Live'], failure: SECOND, diverged: FIRST },
  },
  'CatchingUp after it was Live, diverged': {
    handedOver: { phase: 'Live', diverged: FIRST },
    failed: { ...STATES['Failed while Live'], failure: SECOND, diverged: FIRST },
  },
  'CatchingUp after a copy': {
    handedOver: LIVE,
    cancelled: { phase: 'CatchingUp', run: BACK_RUN, snapshot: OLDER_SNAPSHOT },
    failed: {
      phase: 'Failed',
      failure: SECOND,
      resume: 'replay',
      run: OLD_RUN,
      snapshot: OLDER_SNAPSHOT,
    },
  },
  'CatchingUp without one': {
    handedOver: LIVE,
    failed: {
      phase: 'Failed',
      failure: SECOND,
      resume: 'replay',
      run: undefined,
      snapshot: undefined,
    },
  },
  Live: {
    diverged: { phase: 'Live', diverged: SECOND },
    failed: {
      phase: 'Failed',
      failure: SECOND,
      resume: 'replay',
      run: undefined,
      snapshot: undefined,
    },
  },
  'Failed while copying': {
    failed: { ...STATES['Failed while copying'], failure: STILL },
    cancelled: { ...STATES['Failed while copying'], run: BACK_RUN },
  },
  'Failed while catching up': {
    replayStarted: { phase: 'CatchingUp', run: OLD_RUN, snapshot: OLDER_SNAPSHOT },
    failed: { ...STATES['Failed while catching up'], failure: STILL },
    cancelled: { ...STATES['Failed while catching up'], run: BACK_RUN },
  },
  'Failed while Live': {
    replayStarted: { phase: 'CatchingUp', run: undefined, snapshot: undefined },
    failed: { ...STATES['Failed while Live'], failure: STILL },
  },
};

for (const [stateName, state] of Object.entries(STATES)) {
  for (const [type, event] of Object.entries(EVENTS)) {
    const next =
      type === 'copyStarted'
        ? COPYING
        : NEXT[stateName as keyof typeof STATES][type as TableEvent['type']];
    test(`${stateName} + ${type} -> ${next?.phase ?? 'cannot happen'}`, () => {
      if (next === undefined)
        assert.throws(
          () => nextTableState(state, event),
          (error: Error) => error.message.includes(state.phase) && error.message.includes(type),
        );
      else assert.deepEqual(nextTableState(state, event), next);
    });
  }
}

const RESYNCS = [
  { desired: [0, 0], observed: [0, 0], needed: false },
  { desired: [1, 0], observed: [0, 0], needed: true },
  { desired: [0, 1], observed: [0, 0], needed: true },
  { desired: [5, 5], observed: [5, 5], needed: false },
  { desired: [9, 0], observed: [3, 0], needed: true },
  // A file that went back asks for nothing ...
  { desired: [3, 1], observed: [4, 1], needed: false },
  { desired: [3, 0], observed: [3, 1], needed: false },
  // ... unless its other counter went on.
  { desired: [3, 2], observed: [4, 1], needed: true },
  { desired: [5, 0], observed: [4, 1], needed: true },
] as const;

for (const { desired, observed, needed } of RESYNCS)
  test(`desired ${desired.join('/')}, observed ${observed.join('/')}: ${needed ? 'resync' : 'nothing to do'}`, () => {
    const [table, mirror] = desired;
    const [observedTable, observedMirror] = observed;
    assert.equal(
      needsResync({ table, mirror }, { table: observedTable, mirror: observedMirror }),
      needed,
    );
  });

const SWAP_RUN = run('swapping', 'swap');
const KEPT: readonly [keyof typeof STATES, TableState][] = [
  ['Live', { phase: 'Copying', run: SWAP_RUN, fed: true }],
  ['Copying, fed', { phase: 'Copying', run: SWAP_RUN, fed: true }],
  [
    'Failed while catching up, fed',
    { phase: 'Copying', run: SWAP_RUN, fed: true, diverged: FIRST },
  ],
  // What came since it failed is in a spool that is about to be dropped: fed again it would have a gap.
  ['Failed while Live', { phase: 'Copying', run: SWAP_RUN }],
  ['Failed while copying', { phase: 'Copying', run: SWAP_RUN }],
  ['Pending', { phase: 'Copying', run: SWAP_RUN }],
];

for (const [stateName, next] of KEPT)
  test(`a swap of a table that is ${stateName}: ${'fed' in next ? 'fed on' : 'not fed'}`, () => {
    const event = { type: 'copyStarted', run: SWAP_RUN } as const;
    assert.deepEqual(nextTableState(STATES[stateName], event), next);
  });

test('a copy in place feeds nobody, whatever ran before it', () => {
  const next = nextTableState(STATES['Copying, fed'], { type: 'copyStarted', run: NEW_RUN });
  assert.deepEqual(next, COPYING);
});
