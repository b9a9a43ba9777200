/** What keeps a table from being swapped, or mended, told once and whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SwapObstacle } from '../../src/core/observed.ts';
import { swapRefusals, truncateRefusals } from '../../src/plan/swap.ts';
import { tableCases } from '../../src/plan/table-case.ts';
import type { Refusal } from '../../src/plan/plan.ts';
import {
  column,
  mirror,
  observed,
  record,
  shape,
  table,
  type World,
  type WorldTable,
} from './fixtures.ts';

const TOTALS: SwapObstacle = {
  object: 'materialized view public.totals',
  reason: 'reads the table, and would read the old one',
};
const RULE: SwapObstacle = { object: 'rule quiet on public.users', reason: 'is not carried over' };
const NOTES: SwapObstacle = {
  object: 'view public.notes',
  reason: 'depends on the type of',
  columns: ['id', 'note'],
};
const RETYPED: WorldTable = {
  destinationShape: shape('public.users', {
    columns: [column('id', { notNull: true }), column('note', { type: 'character varying' })],
  }),
};

function refusalsIn(
  look: WorldTable,
  world: Omit<World, 'tables'> = {},
  excludeColumns: readonly string[] = [],
): { swap: readonly Refusal[]; truncate: readonly Refusal[] } {
  const seen = observed({ ...world, tables: { 'public.users': look } });
  const users = table('public.users', { resyncStrategy: 'swap', excludeColumns });
  const file = mirror([users], { deletionPolicy: 'Delete' });
  const [tableCase] = tableCases(file, seen, false);
  assert.ok(tableCase);
  return { swap: swapRefusals(tableCase, seen), truncate: truncateRefusals(tableCase) };
}

function told(refusals: readonly Refusal[]): string[] {
  return refusals.map(({ table: about, error }) => {
    assert.equal(about?.source.name, 'users');
    return `${error.code}: ${error.message}`;
  });
}

test('a table that nothing hangs on may be swapped', () => {
  assert.deepEqual(refusalsIn({}), { swap: [], truncate: [] });
  assert.deepEqual(refusalsIn(RETYPED), { swap: [], truncate: [] });
});

test('one refusal names every obstacle, and its hint both ways out', () => {
  const { swap, truncate } = refusalsIn({ swapObstacles: [TOTALS, RULE] });
  assert.deepEqual(told(swap), [
    'SwapObstructed: public.users cannot be swapped: ' +
      'materialized view public.totals reads the table, and would read the old one; ' +
      'rule quiet on public.users is not carried over',
  ]);
  const [refusal] = swap;
  assert.match(refusal?.error.hint ?? '', /^Drop or change the object .*resyncStrategy: truncate/);
  assert.equal(refusal?.error.retry, 'backoff');
  assert.deepEqual(truncate, []);
});

test('the schemas of a swap need CREATE on the database', () => {
  const { swap, truncate } = refusalsIn({}, { destination: { canCreate: false } });
  assert.deepEqual(told(swap), [
    'SwapObstructed: public.users cannot be swapped: ' +
      'role bunny may not CREATE in database shop, which the schema of its shadow needs',
  ]);
  assert.deepEqual(truncate, []);
});

test('what reads a column is in the way only when its type changes, and then of either strategy', () => {
  assert.deepEqual(refusalsIn({ swapObstacles: [NOTES] }), { swap: [], truncate: [] });
  const { swap, truncate } = refusalsIn({ ...RETYPED, swapObstacles: [NOTES] });
  const sentence = 'view public.notes depends on the type of note, which the resync changes';
  assert.deepEqual(told(swap), [`SwapObstructed: public.users cannot be swapped: ${sentence}`]);
  assert.deepEqual(told(truncate), [
    `SchemaMismatch: public.users cannot be given the source's types: ${sentence}`,
  ]);
  for (const { error } of [...swap, ...truncate])
    assert.doesNotMatch(error.hint, /resyncStrategy: truncate/);
});

test('what reads a column that goes is told so, and that it may stay', () => {
  const look = { record: record('public.users', undefined, { excludeColumns: [] }) };
  const { swap, truncate } = refusalsIn({ ...look, swapObstacles: [NOTES] }, {}, ['note']);
  const sentence = 'view public.notes depends on note, which the resync drops';
  assert.deepEqual(told(swap), [`SwapObstructed: public.users cannot be swapped: ${sentence}`]);
  assert.deepEqual(told(truncate), [
    `SchemaMismatch: public.users cannot be given the source's types: ${sentence}`,
  ]);
  for (const { error } of [...swap, ...truncate])
    assert.match(error.hint, /deletionPolicy: Retain/);
});

test('an object that is in the way as it is, is named once', () => {
  const both = [TOTALS, { ...NOTES, object: TOTALS.object }];
  const { swap, truncate } = refusalsIn({ ...RETYPED, swapObstacles: both });
  assert.equal(told(swap).join().split(TOTALS.object).length, 2);
  assert.match(swap[0]?.error.hint ?? '', /resyncStrategy: truncate/);
  assert.match(told(truncate).join(), /public\.totals depends on the type of note/);
});

test('a foreign key that could not come back is in the way of a truncate alone', () => {
  const emptyObstacles = [
    { object: 'foreign key by_user of public.orders', reason: 'has to be put back, and cannot' },
  ];
  const { swap, truncate } = refusalsIn({ emptyObstacles });
  assert.deepEqual(swap, []);
  assert.deepEqual(told(truncate), [
    'PermissionDenied: public.users cannot be emptied: foreign key by_user of public.orders has to be put back, and cannot',
  ]);
});
