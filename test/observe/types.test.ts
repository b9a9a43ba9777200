import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareType, dependenciesFirst } from '../../src/observe/type-closure.ts';
import type { UserType } from '../../src/observe/type-definitions.ts';
import { mirrorTable, name, startPair } from '../execute/pair.ts';

test('what the destination lacks: dependencies first, arrays and domains seen through, each once', async () => {
  await using pair = await startPair([mirrorTable('public.t'), mirrorTable('public.u')]);
  await pair.onSource(`
    create type public.leaf as enum ('a');
    create domain public.many as public.leaf[];
    create type public.pair as (l public.many, r public.leaf);
    create type public.days as range (subtype = date);
    create type public.unused as enum ('x');
    create table public.other (a int);
    create table public.t (id int primary key, p public.pair[], d public.days[], secret public.unused);
    create table public.u (id int primary key, l public.leaf, o public.other);
  `);
  const mirror = pair.with({
    tables: [mirrorTable('public.t', { excludeColumns: ['secret'] }), mirrorTable('public.u')],
  });
  const [t, u] = (await mirror.observe()).tables;
  assert.deepEqual(
    t?.types.map((type) => [type.name.name, type.kind, type.state, ...type.createSql]),
    [
      ['leaf', 'enum', 'missing', `create type "public"."leaf" as enum ('a')`],
      ['many', 'domain', 'missing', 'create domain "public"."many" as public.leaf[]'],
      [
        'pair',
        'composite',
        'missing',
        'create type "public"."pair" as ("l" public.many, "r" public.leaf)',
      ],
      [
        'days',
        'range',
        'missing',
        'create type "public"."days" as range (subtype = date, subtype_opclass = pg_catalog.date_ops, multirange_type_name = "public"."days_multirange")',
      ],
    ],
  );
  // A table's row type is made with the table, which is nobody's to make here.
  assert.deepEqual(
    u?.types.map((type) => [type.name.name, type.kind, type.state, type.problem]),
    [
      ['leaf', 'enum', 'missing', undefined],
      [
        'other',
        'other',
        'missing',
        'cannot be created for you: create it at the destination by hand',
      ],
    ],
  );
});

test('an enum that grew at the source grows here, in the same order', async () => {
  await using pair = await startPair([mirrorTable('public.t')]);
  await pair.onSource(`
    create type public.mood as enum ('sad', 'happy');
    create table public.t (id int primary key, mood public.mood);
  `);
  await pair.execute();
  await pair.onSource(`
    alter type public.mood add value 'calm' before 'happy';
    alter type public.mood add value 'first' before 'sad';
    alter type public.mood add value 'last';
  `);
  const plan = await pair.plan();
  assert.deepEqual(
    plan.steps.map((step) => step.kind),
    ['create-type'],
  );
  await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);
  const [row] = await pair.destination.query(
    `select enum_range(null::public.mood)::text as labels`,
  );
  assert.equal(row?.['labels'], '{first,sad,calm,happy,last}');
});

test('a type that differs refuses its table alone', async () => {
  await using pair = await startPair([mirrorTable('public.t'), mirrorTable('public.u')]);
  await pair.onSource(`
    create domain public.score as int check (value > 0);
    create table public.t (id int primary key, s public.score);
    create table public.u (id int primary key);
  `);
  await pair.onDestination(`create domain public.score as int check (value > 1)`);
  const plan = await pair.plan();
  assert.deepEqual(
    plan.refusals.map((refusal) => [refusal.table?.source.name, refusal.error.message]),
    [
      [
        't',
        'type public.score is integer CHECK ((VALUE > 0)) at the source and integer CHECK ((VALUE > 1)) at the destination',
      ],
    ],
  );
  assert.ok(plan.steps.some((step) => step.kind === 'create-table'));
});

const EXTENSION_TYPE: UserType = {
  oid: 1,
  name: name('public.citext'),
  extension: 'citext',
  kind: 'base',
  definition: undefined,
  parts: [],
};

test("an extension's type is the extension's to make", () => {
  assert.equal(
    compareType(EXTENSION_TYPE, undefined).problem,
    'belongs to an extension: CREATE EXTENSION citext in schema public',
  );
  assert.equal(compareType(EXTENSION_TYPE, EXTENSION_TYPE).state, 'same');
  assert.equal(
    compareType(EXTENSION_TYPE, { ...EXTENSION_TYPE, extension: undefined }).state,
    'different',
  );
});

test('dependencies first, whatever the order of the roots', () => {
  const types = new Map([
    [1, { parts: [2, 3] }],
    [2, { parts: [3] }],
    [3, { parts: [99] }],
  ]);
  assert.deepEqual(dependenciesFirst([1, 2], types), [3, 2, 1]);
  assert.deepEqual(dependenciesFirst([3, 1, 99], types), [3, 2, 1]);
});
