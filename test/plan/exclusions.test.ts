/** excludeColumns edited: which tables are copied again, what is taken back, and what a copy takes away. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CopyRun, TableRecord, TableState } from '../../src/core/table-state.ts';
import {
  asStreamed,
  droppedColumns,
  newlyStale,
  streamedExclusions,
  unspooledColumns,
  unwrittenColumns,
} from '../../src/plan/exclusions.ts';
import { describeLock, locksOf } from '../../src/plan/locks.ts';
import { mayStream, planMirror } from '../../src/plan/plan-mirror.ts';
import { runCases, type Case } from './cases.ts';
import { column, FAILURE, mirror, observed, record, run, shape, table } from './fixtures.ts';

const SNAPSHOT = { visible: '1:2:', lsn: '0/10' };
const SWAP = { strategy: 'swap' } as const;
const RESYNC = ['copy-table public.users resync truncate 0/0'];
const RETRY = ['copy-table public.users retry truncate 0/0'];
const CANCEL = ['cancel-copy public.users'];

interface Exclusions {
  /** What the file leaves out. */
  readonly file: readonly string[];
  /** What the last copy left out. */
  readonly done?: readonly string[] | undefined;
  readonly stale?: readonly string[];
  readonly state?: TableState;
  readonly steps: readonly string[];
}

function recordOf({ done, stale, state }: Exclusions): TableRecord {
  return record('public.users', state, {
    ...(done === undefined ? {} : { excludeColumns: done }),
    ...(stale === undefined ? {} : { staleColumns: stale }),
  });
}

function excluding(name: string, { steps, ...world }: Exclusions): Case {
  return {
    name,
    mirror: mirror([table('public.users', { excludeColumns: world.file })]),
    world: { tables: { 'public.users': { record: recordOf({ ...world, steps }) } } },
    // A column that is left out and kept is told while a copy empties it.
    plan: {
      steps,
      notices:
        steps.some((step) => step.startsWith('copy')) && world.file.includes('note')
          ? ['ExtraColumn']
          : [],
    },
  };
}

const copying = (excludeColumns: readonly string[], more: Partial<CopyRun> = {}): TableState => ({
  phase: 'Copying',
  run: run({ excludeColumns, ...more }),
});
const fed = (excludeColumns: readonly string[], more: Partial<CopyRun> = {}): TableState => ({
  phase: 'CatchingUp',
  run: run({ excludeColumns, ...SWAP, ...more }),
  snapshot: SNAPSHOT,
  fed: true,
});
const caughtUp = (excludeColumns: readonly string[]): TableState => ({
  phase: 'CatchingUp',
  run: run({ excludeColumns }),
  snapshot: SNAPSHOT,
});
const failed = (own: CopyRun | undefined): TableState => ({
  phase: 'Failed',
  failure: FAILURE,
  resume: 'replay',
  run: own,
  snapshot: own && SNAPSHOT,
});

runCases([
  excluding('as it was copied', { file: ['note'], done: ['note'], steps: [] }),
  excluding('a column less', { file: ['note'], done: [], steps: RESYNC }),
  excluding('a column more', { file: [], done: ['note'], steps: RESYNC }),
  excluding('not known what was left out', { file: ['note'], steps: [] }),
  excluding('only a name that the source has no more', { file: [], done: ['gone'], steps: [] }),
  excluding('back, but not written meanwhile', {
    file: [],
    done: [],
    stale: ['note'],
    steps: RESYNC,
  }),
  excluding('not written, and gone from the source', {
    file: [],
    done: [],
    stale: ['gone'],
    steps: [],
  }),
  excluding('a copy of them that was cut off', {
    file: ['note'],
    done: [],
    state: copying(['note']),
    steps: RETRY,
  }),
  excluding('a copy of them whose rows are there', {
    file: ['note'],
    done: [],
    state: caughtUp(['note']),
    steps: ['replay-table public.users'],
  }),
  excluding('a copy of others begins again', {
    file: ['note'],
    done: [],
    state: caughtUp([]),
    steps: RETRY,
  }),
  excluding('a copy of an older version that does not say which ends', {
    file: ['note'],
    state: { phase: 'CatchingUp', run: run(), snapshot: SNAPSHOT },
    steps: ['replay-table public.users'],
  }),
  excluding('a failed copy of others', {
    file: ['note'],
    done: [],
    state: failed(run({ excludeColumns: [] })),
    steps: RETRY,
  }),
  excluding('what failed while it was Live', {
    file: ['note'],
    done: [],
    state: failed(undefined),
    steps: RESYNC,
  }),
  excluding('taken back while the old table went without it: copied again', {
    file: [],
    done: [],
    stale: ['note'],
    state: copying(['note']),
    steps: RETRY,
  }),
  excluding('a column more, taken back while the old table is fed: cancelled', {
    file: ['note'],
    done: ['note'],
    state: fed([]),
    steps: CANCEL,
  }),
  excluding('the same where the old table is emptied: copied again as it was', {
    file: ['note'],
    done: ['note'],
    state: copying([]),
    steps: RETRY,
  }),
  excluding('a counter taken back, and the column still to come: goes on for that', {
    file: [],
    done: ['note'],
    state: copying([], { generation: { table: 1, mirror: 0 } }),
    steps: RETRY,
  }),
  excluding('both taken back while the old table is fed', {
    file: ['note'],
    done: ['note'],
    state: fed([], { generation: { table: 1, mirror: 0 } }),
    steps: CANCEL,
  }),
]);

runCases([
  {
    name: 'a name that the source never had lets through what was to stay away: refused',
    mirror: mirror([table('public.users', { excludeColumns: ['gone', 'noted'] })]),
    world: {
      tables: { 'public.users': { record: recordOf({ file: [], done: ['gone'], steps: [] }) } },
    },
    plan: { refusals: ['InvalidSpec public.users'] },
  },
]);

test('what is left out is what the file leaves out and what no copy has brought yet', () => {
  const file = { excludeColumns: ['a', 'b'] };
  const users = record('public.users', undefined, { excludeColumns: ['b', 'c'] });
  assert.deepEqual(unwrittenColumns(file, users), ['a', 'b', 'c']);
  assert.deepEqual(newlyStale(file, users), ['a']);
  assert.deepEqual(newlyStale(file, { ...users, staleColumns: ['a'] }), []);
  assert.deepEqual(newlyStale(file, record('public.users')), []);
});

test('only under Delete, and only what our copies filled, goes; what is computed from it first', () => {
  const file = { excludeColumns: ['mine', 'note'] };
  const users = record('public.users', undefined, { excludeColumns: ['mine'] });
  const actual = shape('public.users', {
    columns: [
      column('id'),
      column('mine'),
      column('note'),
      column('length', { generated: 'stored', touches: ['note'] }),
    ],
  });
  const drop = (deletionPolicy: 'Delete' | 'Retain', of: TableRecord | undefined): string[] =>
    droppedColumns({ deletionPolicy }, file, of, actual);
  assert.deepEqual(drop('Delete', users), ['length', 'note']);
  assert.deepEqual(drop('Retain', users), []);
  assert.deepEqual(drop('Delete', record('public.users')), []);
  assert.deepEqual(drop('Delete', undefined), []);
});

test('what the spool does not keep is what no replay of it writes', () => {
  const done = { excludeColumns: ['a'], staleColumns: ['b'] };
  const of = (state: TableState): readonly string[] =>
    unspooledColumns(record('public.users', state, done));
  assert.deepEqual(of(failed(undefined)), ['a', 'b']);
  assert.deepEqual(of(fed(['c'])), ['c']);
  assert.deepEqual(of({ phase: 'Copying', run: run() }), []);
});

const REFUSED_KEY = mirror([table('public.users', { excludeColumns: ['id', 'note'] })]);

test('refused, the file is followed no further: the stream leaves out what it did, the plan tells of no drift', () => {
  const look = (more: Partial<TableRecord>): ReturnType<typeof observed> =>
    observed({ tables: { 'public.users': { record: record('public.users', undefined, more) } } });
  const streamed = (more: Partial<TableRecord>): readonly string[] => {
    const world = look(more);
    const plan = planMirror(REFUSED_KEY, world);
    assert.deepEqual(
      plan.refusals.map(({ error }) => error.code),
      ['InvalidSpec'],
    );
    assert.deepEqual(
      [plan.steps.filter(({ kind }) => kind !== 'accept-spec'), plan.notices],
      [[], []],
    );
    const [users] = world.ledger.tables;
    assert.ok(users);
    return streamedExclusions(asStreamed(REFUSED_KEY, plan), users).excludeColumns;
  };
  assert.deepEqual(streamed({ excludeColumns: [] }), []);
  assert.deepEqual(streamed({ excludeColumns: ['a'], staleColumns: ['b'] }), ['a', 'b']);
  const accepted = mirror([table('public.users', { excludeColumns: ['note'] })]);
  const { ledger } = look({ excludeColumns: [] });
  const [users] = ledger.tables;
  assert.ok(users);
  assert.equal(asStreamed(accepted, planMirror(accepted, look({}))), accepted);
  assert.deepEqual(streamedExclusions(accepted, users).excludeColumns, ['note']);
  assert.deepEqual(streamedExclusions(mirror([]), users).excludeColumns, []);
});

test('a column that nobody has judged yet keeps the stream from going on before the tables are looked at', () => {
  const may = (more: Partial<TableRecord>): boolean => {
    const tables = { 'public.users': { record: record('public.users', undefined, more) } };
    return mayStream(mirror([table('public.users', { excludeColumns: ['note'] })]), {
      ...observed({ tables }),
      gone: [],
    });
  };
  assert.equal(may({ excludeColumns: [] }), false);
  assert.equal(may({ excludeColumns: [], staleColumns: ['note'] }), true);
  assert.equal(may({ excludeColumns: ['note'] }), true);
  assert.equal(may({}), true);
});

test('the lock that lets a column be NULL is told, also while a window holds the copy', () => {
  const locks = (notNull: boolean, more: Partial<TableRecord>, state?: TableState): string[] => {
    const columns = [column('id', { notNull: true }), column('note', { notNull })];
    const world = observed({
      tables: {
        'public.users': {
          destinationShape: shape('public.users', { columns }),
          record: record('public.users', state, more),
        },
      },
    });
    return planMirror(mirror([table('public.users', { excludeColumns: ['note'] })]), world)
      .steps.flatMap(locksOf)
      .map(describeLock);
  };
  const told =
    /^locks ACCESS EXCLUSIVE on public\.users \(destination\): as soon as the file is read, in a maintenance window or not.* note may be NULL/;
  assert.match(locks(true, { excludeColumns: [] })[0] ?? '', told);
  assert.match(locks(true, { excludeColumns: [] }, fed([]))[0] ?? '', told);
  for (const other of [
    locks(false, { excludeColumns: [] }),
    locks(true, { excludeColumns: [], staleColumns: ['note'] }),
    locks(true, { excludeColumns: [] }, copying([])),
  ])
    assert.ok(other.length > 0 && other.every((line) => !told.test(line)));
});
