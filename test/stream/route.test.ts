import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CopyRun, TableState } from '../../src/core/table-state.ts';
import { routeOf } from '../../src/stream/route.ts';

const FAILURE = {
  code: 'ConstraintViolated',
  message: 'it broke',
  hint: 'mend it',
  since: '2026-01-01T00:00:00Z',
  attempts: 1,
} as const;
const SNAPSHOT = { visible: '1:1:', lsn: '0/1' };

function run(strategy: CopyRun['strategy']): CopyRun {
  return {
    id: 'r',
    strategy,
    generation: { table: 1, mirror: 0 },
    startedAt: '2026-01-01T00:00:00Z',
  };
}

const TRUNCATE = run('truncate');
const SWAP = run('swap');

interface RouteCase {
  readonly name: string;
  readonly state: TableState;
  readonly to: readonly ('live' | 'spool')[];
}

const CASES: readonly RouteCase[] = [
  { name: 'Pending', state: { phase: 'Pending' }, to: [] },
  { name: 'Pending after a failure', state: { phase: 'Pending', failure: FAILURE }, to: [] },
  { name: 'Copying, truncate', state: { phase: 'Copying', run: TRUNCATE }, to: ['spool'] },
  {
    name: 'Copying, swap of a table that was Live: it stays fresh',
    state: { phase: 'Copying', run: SWAP, fed: true },
    to: ['live', 'spool'],
  },
  {
    name: 'Copying, swap of a table that had failed: it has a gap',
    state: { phase: 'Copying', run: SWAP },
    to: ['spool'],
  },
  {
    name: 'CatchingUp, truncate',
    state: { phase: 'CatchingUp', run: TRUNCATE, snapshot: SNAPSHOT },
    to: ['spool'],
  },
  {
    name: 'CatchingUp, swap',
    state: { phase: 'CatchingUp', run: SWAP, snapshot: SNAPSHOT, fed: true },
    to: ['live', 'spool'],
  },
  {
    name: 'CatchingUp after a failure while Live',
    state: { phase: 'CatchingUp', run: undefined, snapshot: undefined },
    to: ['spool'],
  },
  { name: 'Live', state: { phase: 'Live' }, to: ['live'] },
  {
    name: 'Failed while copying, truncate: the next copy will hold it',
    state: {
      phase: 'Failed',
      failure: FAILURE,
      resume: 'copy',
      run: TRUNCATE,
      snapshot: undefined,
    },
    to: [],
  },
  {
    name: 'Failed while copying, swap: the old table stays fresh',
    state: {
      phase: 'Failed',
      failure: FAILURE,
      resume: 'copy',
      run: SWAP,
      snapshot: undefined,
      fed: true,
    },
    to: ['live'],
  },
  {
    name: 'Failed while catching up, truncate',
    state: {
      phase: 'Failed',
      failure: FAILURE,
      resume: 'replay',
      run: TRUNCATE,
      snapshot: SNAPSHOT,
    },
    to: ['spool'],
  },
  {
    name: 'Failed while catching up, swap',
    state: {
      phase: 'Failed',
      failure: FAILURE,
      resume: 'replay',
      run: SWAP,
      snapshot: SNAPSHOT,
      fed: true,
    },
    to: ['live', 'spool'],
  },
  {
    name: 'Failed while Live: nothing is lost',
    state: {
      phase: 'Failed',
      failure: FAILURE,
      resume: 'replay',
      run: undefined,
      snapshot: undefined,
    },
    to: ['spool'],
  },
];

for (const { name, state, to } of CASES)
  test(`${name} -> ${to.length === 0 ? 'nowhere' : to.join(' and ')}`, () => {
    assert.deepEqual(routeOf(state), { live: to.includes('live'), spool: to.includes('spool') });
  });
