/** Types and tables that make an apply hard, on real servers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage, type StageOptions } from './stage.ts';

interface HardCase extends StageOptions {
  readonly name: string;
  readonly before?: readonly string[];
  readonly batch: readonly string[];
}

/** Every kind of change with values of a type in the key and beside it. */
function keyed(name: string, ddl: string, values: readonly [string, string, string]): HardCase {
  const [a, b, c] = values;
  const type = ddl.split(';').at(-1)?.trim() ?? '';
  const setup = ddl.slice(0, ddl.length - type.length);
  return {
    name: `a key of type ${name}`,
    schema: `${setup} create table t (k ${type} primary key, v ${type}, n int)`,
    tables: ['public.t'],
    before: [`insert into public.t values (${a}, ${a}, 1), (${b}, ${b}, 2)`],
    batch: [
      `update public.t set v = ${c}, n = 10 where n = 1`,
      `delete from public.t where n = 2`,
      `insert into public.t values (${b}, null, 3)`,
      `update public.t set k = ${c} where n = 3`,
    ],
  };
}

const KEYED = [
  keyed('citext', 'create extension citext; citext', [`'Ä b'`, `'B'`, `'c'`]),
  keyed('a domain', `create domain positive as int check (value > 0); positive`, ['1', '2', '3']),
  keyed(
    'a domain of a domain of citext',
    `create extension citext; create domain word as citext; create domain word2 as word check (value <> ''); word2`,
    [`'A'`, `'B'`, `'c'`],
  ),
  keyed('an enum', `create type "Mood" as enum ('so so', 'Happy', 'it''s'); "Mood"`, [
    `'so so'`,
    `'Happy'`,
    `'it''s'`,
  ]),
  keyed('a composite', `create type pair as (a int, "B" text); pair`, [
    `row(1, 'x "y"')`,
    `row(2, null)`,
    `row(3, '')`,
  ]),
  keyed('an array', 'text[]', [`'{a,"b c",NULL}'`, `'{}'`, `'{"\\"","\\\\"}'`]),
  keyed('char(n)', 'char(5)', [`'ab'`, `'c'`, `'abcde'`]),
  keyed('varchar(n)', 'varchar(5)', [`'ab '`, `''`, `'abcde'`]),
  keyed('numeric', 'numeric', ['1.50', `'NaN'`, '12345678901234567890.123456789']),
  keyed('a float', 'float8', ['0.1::float8 + 0.2', `'-Infinity'`, '1e-300']),
  keyed('uuid', 'uuid', [
    `'00000000-0000-0000-0000-000000000001'`,
    `'00000000-0000-0000-0000-000000000002'`,
    `gen_random_uuid()`,
  ]),
  keyed('timestamptz', 'timestamptz', [
    `'2026-01-01 10:00:00.123456+02'`,
    `'infinity'`,
    `'0044-03-15 12:00 BC'`,
  ]),
  keyed('interval', 'interval', [`'1 mon -3 days'`, `'-00:00:01'`, `'P1Y'`]),
  keyed('a range', 'int4range', [`'[1,5)'`, `'empty'`, `'(,7]'`]),
  keyed('a multirange', 'nummultirange', [`'{[1,2],(3,4)}'`, `'{}'`, `'{(,1)}'`]),
  keyed('bit varying', 'bit varying(8)', [`'101'`, `'0'`, `'11111111'`]),
  keyed('bytea', 'bytea', [`'\\x00'`, `'\\x5c'`, `'\\x'`]),
  keyed('jsonb', 'jsonb', [`'{"a": 1.0}'`, `'null'`, `'[1, 2]'`]),
  keyed('inet', 'inet', [`'10.0.0.1/8'`, `'::1'`, `'10.0.0.1'`]),
  keyed('"char"', '"char"', [`'a'`, `''`, `'\\377'`]),
  keyed('money', 'money', [`'-1234.50'`, `'0'`, `'99999999.99'`]),
];

const ODD = `(i int, j json, x xml, p point, c char(5), f float8, m text, b bytea, arr int[], iv interval)`;
const ODD_ROW = `1, '{"b": 1,   "a": 1, "b": 2}', '<a> <b/></a>', '(1,2)', 'ab', '-0', 'text', '\\x00ff', '[0:1]={1,2}', '1 mon -1 day'`;

const KEYLESS: readonly HardCase[] = [
  {
    name: 'no key: one of several equal rows is deleted, one updated',
    schema: 'create table t (a int, b text); alter table t replica identity full',
    tables: ['public.t'],
    before: [
      `insert into public.t select 1, 'x' from generate_series(1, 5); insert into public.t values (null, null), (null, null)`,
    ],
    batch: [
      `delete from public.t where ctid = (select ctid from public.t where a = 1 limit 1)`,
      `update public.t set b = 'y' where ctid = (select ctid from public.t where a = 1 limit 1)`,
      `update public.t set a = 7 where ctid = (select ctid from public.t where a is null limit 1)`,
      `delete from public.t where ctid = (select ctid from public.t where a is null limit 1)`,
      `insert into public.t values (1, 'x')`,
    ],
  },
  {
    name: 'no key: NULL, the empty text and NULL in a composite are told apart',
    schema:
      'create type pair as (a int, b text); create table t (a text, p pair); alter table t replica identity full',
    tables: ['public.t'],
    before: [
      `insert into public.t values ('', null), (null, null), (null, row(null, null)), ('NULL', row(null, ''))`,
    ],
    batch: [
      `update public.t set a = 'was empty' where a = ''`,
      `delete from public.t where p is not distinct from row(null, null)::pair`,
      `update public.t set a = 'was null' where a is null`,
      `delete from public.t where a = 'NULL'`,
    ],
  },
  {
    name: 'no key: types without equality, floats, padding, white space',
    schema: `create table t ${ODD}; alter table t replica identity full`,
    tables: ['public.t'],
    before: [`insert into public.t values (${ODD_ROW}), (${ODD_ROW.replace('1, ', '2, ')})`],
    batch: [
      `update public.t set m = 'changed' where i = 1`,
      `update public.t set j = '{}', x = '', f = 'NaN' where i = 1`,
      `update public.t set c = 'abcde', arr = null where i = 1`,
      `delete from public.t where i = 2`,
    ],
  },
  {
    name: 'no key: a long value out of line finds its row, and stays',
    schema:
      'create table t (a int, big text); alter table t alter column big set storage external; alter table t replica identity full',
    tables: ['public.t'],
    before: [
      `insert into public.t select i, repeat('x', 10000) || i from generate_series(1, 3) as i`,
    ],
    batch: [
      `update public.t set a = 10 where a = 1`,
      `delete from public.t where a = 2`,
      `update public.t set a = null, big = null where a = 3`,
    ],
  },
  {
    name: 'no key, in a partitioned table: rows at the same place in two partitions',
    schema: `create table t (a int, b text) partition by list (a); create table t1 partition of t for values in (1); create table t2 partition of t for values in (2);
      alter table t1 replica identity full; alter table t2 replica identity full; alter table t replica identity full`,
    tables: ['public.t'],
    before: [`insert into public.t values (1, 'x'), (2, 'x'), (1, 'y'), (2, 'y')`],
    batch: [
      `update public.t set b = 'z' where a = 1 and b = 'x'`,
      `delete from public.t where a = 2 and b = 'y'`,
      `update public.t set b = 'w' where a = 2`,
    ],
  },
];

const ALWAYS = 'id int generated always as identity';

const COLUMNS: readonly HardCase[] = [
  {
    name: 'identity ALWAYS as the key: set-wise',
    schema: `create table t (${ALWAYS} primary key, v text)`,
    tables: ['public.t'],
    before: [`insert into public.t (v) select 'v' || i from generate_series(1, 5) as i`],
    batch: [
      `update public.t set v = 'w' where id < 3`,
      `delete from public.t where id = 4`,
      `insert into public.t (v) values ('new')`,
    ],
  },
  {
    name: 'identity ALWAYS as the key: in source order, since a unique value moves',
    schema: `create table t (${ALWAYS} primary key, u text unique, v text)`,
    tables: ['public.t'],
    before: [`insert into public.t (u) values ('a'), ('b')`],
    batch: [
      `update public.t set u = 'c' where id = 1`,
      `update public.t set u = 'a' where id = 2`,
      `update public.t set u = 'b' where id = 1`,
    ],
  },
  {
    name: 'identity ALWAYS beside the key',
    schema: `create table t (k text primary key, ${ALWAYS}, v text)`,
    tables: ['public.t'],
    before: [`insert into public.t (k) values ('a'), ('b')`],
    batch: [
      `update public.t set v = 'w' where k = 'a'`,
      `update public.t set k = 'c' where k = 'b'`,
    ],
  },
  {
    name: 'identity ALWAYS that gets its next value by UPDATE, as key and beside it',
    schema: `create table t (${ALWAYS} primary key, v text, big text); create table u (k text primary key, ${ALWAYS}, v text, big text);
      alter table t alter column big set storage external; alter table u alter column big set storage external;`,
    tables: ['public.t', 'public.u'],
    before: [
      `insert into public.t (v, big) select i, repeat('x', 10000) from generate_series(1, 3) as i`,
      `insert into public.u (k, big) select i, repeat('x', 10000) from generate_series(1, 3) as i`,
    ],
    batch: [
      `update public.t set id = default, v = 'new' where id = 2`,
      `update public.u set id = default, v = 'new' where k = '2'`,
      `update public.u set v = 'also' where k = '3'`,
    ],
  },
  {
    name: 'identity ALWAYS without a key',
    schema: `create table t (${ALWAYS}, v text, big text); alter table t alter column big set storage external; alter table t replica identity full`,
    tables: ['public.t'],
    before: [
      `insert into public.t (v, big) values ('a', repeat('x', 10000)), ('b', repeat('x', 10000)), ('c', null)`,
    ],
    batch: [
      `update public.t set v = 'w' where id = 1`,
      `update public.t set id = default where id = 2`,
      `delete from public.t where id = 3`,
    ],
  },
  {
    name: 'identity FULL and an identity ALWAYS key, in source order',
    schema: `create table t (${ALWAYS} primary key, u text unique, big text); alter table t alter column big set storage external; alter table t replica identity full`,
    tables: ['public.t'],
    before: [
      `insert into public.t (u, big) values ('a', repeat('x', 10000)), ('b', repeat('x', 10000))`,
    ],
    batch: [
      `update public.t set u = 'c' where id = 1`,
      `update public.t set u = 'a' where id = 2`,
      `update public.t set u = 'b' where id = 1`,
      `update public.t set id = default where id = 1`,
    ],
  },
  {
    name: 'generated columns are computed on each side',
    schema: `create table t (id int primary key, a int, twice int generated always as (a * 2) stored)`,
    tables: ['public.t'],
    before: [`insert into public.t values (1, 1), (2, 2)`],
    batch: [
      `update public.t set a = 5 where id = 1`,
      `insert into public.t values (3, 3)`,
      `delete from public.t where id = 2`,
    ],
  },
  {
    name: 'generated columns without a key',
    // A source does not let a generated column be part of its identity; a destination may compute what the source stores.
    schema: `create table t (a int, twice int, v text); alter table t replica identity full`,
    destination: `create table t (a int, twice int generated always as (a * 2) stored, v text)`,
    tables: ['public.t'],
    before: [`insert into public.t values (1, 2, 'x'), (1, 2, 'x'), (2, 4, 'y')`],
    batch: [
      `update public.t set a = 5, twice = 10 where v = 'y'`,
      `delete from public.t where ctid = (select ctid from public.t where a = 1 limit 1)`,
    ],
  },
];

const TRUNCATES: readonly HardCase[] = [
  {
    name: 'truncate of two tables that refer to each other',
    schema: `create table a (id int primary key); create table b (id int primary key, a int references a)`,
    tables: ['public.a', 'public.b'],
    before: [`insert into public.a values (1), (2)`, `insert into public.b values (1, 1)`],
    batch: [
      `insert into public.b values (2, 2)`,
      `truncate public.a, public.b`,
      `insert into public.a values (3); insert into public.b values (3, 3)`,
    ],
  },
  {
    name: 'truncate of a table that a foreign key from elsewhere refers to',
    schema: `create table a (id int primary key, v text)`,
    destination: `create table a (id int primary key, v text); create table elsewhere (id int primary key, a int references a); insert into elsewhere values (1, null)`,
    tables: ['public.a'],
    before: [`insert into public.a values (1), (2)`],
    batch: [
      `insert into public.a values (3)`,
      `truncate public.a`,
      `insert into public.a values (1, 'again')`,
    ],
  },
  {
    name: 'truncate of a partitioned table',
    schema: `create table t (a int primary key, b text) partition by list (a); create table t1 partition of t for values in (1); create table t2 partition of t for values in (2)`,
    tables: ['public.t'],
    before: [`insert into public.t values (1, 'x'), (2, 'x')`],
    batch: [`truncate public.t`, `insert into public.t values (1, 'again')`],
  },
];

for (const { name, before = [], batch, ...stage } of [
  ...KEYED,
  ...KEYLESS,
  ...COLUMNS,
  ...TRUNCATES,
])
  test(name, async () => {
    await using both = await Stage.open(stage);
    if (before.length > 0) await both.replicate(...before);
    await both.assertSame();
    await both.replicate(...batch);
    await both.assertSame();
  });

test('truncate does not reach what inherits from the destination table', async () => {
  await using both = await Stage.open({
    schema: 'create table a (id int primary key)',
    destination:
      'create table a (id int primary key); create table child () inherits (a); insert into child values (7)',
    tables: ['public.a'],
  });
  await both.replicate('insert into public.a values (1)', 'truncate public.a');
  assert.deepEqual(await both.destination.query('select id from public.a'), [{ id: '7' }]);
});
