/** Tables that the file has another destination for: where they go is told, and what they leave waits for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mirror } from '../../src/core/mirror.ts';
import { comparePages } from '../../src/plan/diff/canonical.ts';
import { unifiedDiff } from '../../src/plan/diff/unified-diff.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { runCases } from './cases.ts';
import { mirror, name, observed, record, table, type World } from './fixtures.ts';

const REPLACES = { generation: { table: 1, mirror: 0 } };
const EXCHANGE = (a: object, b: object): Mirror =>
  mirror([
    table('public.a', { destination: name('public.b'), ...a }),
    table('public.b', { destination: name('public.a'), ...b }),
  ]);
const EXCHANGED: World = {
  tables: {
    'public.a': { destination: 'public.b', hasRows: true, record: record('public.a') },
    'public.b': {
      destination: 'public.a',
      hasRows: true,
      record: record('public.b', undefined, { id: '2' }),
    },
  },
};

runCases([
  {
    name: 'a table with another destination: where it is made is told, what it has left goes, and it is copied',
    mirror: mirror([table('public.users', { destination: name('public.people') })]),
    world: {
      tables: {
        'public.users': {
          destination: 'public.people',
          destinationShape: undefined,
          record: record('public.users'),
        },
      },
    },
    plan: {
      steps: [
        'create-table public.users',
        'retire-table public.users',
        'register-table public.users',
        'copy-table public.users first truncate 0/0',
      ],
    },
  },
  {
    name: 'a table with another destination, where somebody has rows: it stays where it is',
    mirror: mirror([table('public.users', { destination: name('public.people') })]),
    world: {
      tables: {
        'public.users': {
          destination: 'public.people',
          hasRows: true,
          record: record('public.users'),
        },
      },
    },
    plan: { refusals: ['DestinationNotEmpty public.users'], notices: ['LeftInPlace'] },
  },
  {
    name: 'two that change places: both hold rows',
    mirror: EXCHANGE({}, {}),
    world: EXCHANGED,
    plan: {
      refusals: ['DestinationNotEmpty public.a', 'DestinationNotEmpty public.b'],
      notices: ['LeftInPlace', 'LeftInPlace'],
    },
  },
  {
    name: 'two that change places, and only one may replace rows: it waits for the place of the other',
    mirror: EXCHANGE(REPLACES, {}),
    world: EXCHANGED,
    plan: {
      refusals: ['DestinationNotEmpty public.b', 'DestinationTaken public.a'],
      notices: ['LeftInPlace', 'LeftInPlace'],
    },
  },
  {
    name: 'two that change places with counters: both are let go of before either is taken up',
    mirror: EXCHANGE(REPLACES, REPLACES),
    world: EXCHANGED,
    plan: {
      steps: [
        'retire-table public.a',
        'retire-table public.b',
        'register-table public.a',
        'register-table public.b',
        'copy-table public.a first truncate 1/0',
        'copy-table public.b first truncate 1/0',
      ],
    },
  },
  {
    name: 'one that comes where another goes: not before that one can',
    mirror: mirror([
      table('public.a', { destination: name('public.c') }),
      table('public.b', { destination: name('public.a'), ...REPLACES }),
    ]),
    world: {
      tables: {
        'public.a': { destination: 'public.c', hasRows: true, record: record('public.a') },
        'public.b': {
          destination: 'public.a',
          hasRows: true,
          record: record('public.b', undefined, { id: '2' }),
        },
      },
    },
    plan: {
      refusals: ['DestinationNotEmpty public.a', 'DestinationTaken public.b'],
      notices: ['LeftInPlace', 'LeftInPlace'],
    },
  },
]);

test('what is refused and what stays is told by name', () => {
  const plan = planMirror(EXCHANGE(REPLACES, {}), observed(EXCHANGED));
  assert.deepEqual(
    plan.refusals.map(({ error }) => error.message),
    [
      'public.a has rows at the destination already',
      'public.b is still where public.b is mirrored, and the new place of that is refused',
    ],
  );
  assert.deepEqual(
    plan.notices.map(({ message }) => message),
    [
      'public.a: public.a stays mirrored there, as it is refused at public.b',
      'public.b: public.b stays mirrored there, as it is refused at public.a',
    ],
  );
});

test('a place that another source fills from now on is one page of the diff', () => {
  const file = EXCHANGE(REPLACES, REPLACES);
  const look = observed(EXCHANGED);
  const diff = unifiedDiff(comparePages(file, look, planMirror(file, look)));
  assert.deepEqual(
    diff.split('\n').filter((line) => /^[-+]/.test(line)),
    ['b', 'a'].flatMap((place) => [
      `--- actual/shop/public.${place}`,
      `+++ desired/shop/public.${place}`,
      `-source: public.${place}`,
      `+source: public.${place === 'a' ? 'b' : 'a'}`,
      '-resyncGeneration: 0',
      '+resyncGeneration: 1',
    ]),
  );
});
