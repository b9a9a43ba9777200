/** Changes of a real source applied to a real destination: afterwards both hold the same rows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stage } from './stage.ts';

const USERS = `create table users (id int primary key, email text unique, note text, big text);
  alter table users alter column big set storage external;`;
const BIG = `repeat('x', 10000)`;

interface ApplyCase {
  readonly name: string;
  readonly schema: string;
  readonly destination?: string;
  readonly tables: readonly string[];
  /** Before the batch, and part of the comparison only through it. */
  readonly before?: readonly string[];
  /** One batch; each text is a transaction. */
  readonly batch: readonly string[];
}

const CASES: readonly ApplyCase[] = [
  {
    name: 'inserts, updates and deletes in one batch',
    schema: USERS,
    tables: ['public.users'],
    before: [
      `insert into public.users select i, 'u' || i, 'n', ${BIG} from generate_series(1, 50) as i`,
    ],
    batch: [
      `insert into public.users select i, 'u' || i from generate_series(51, 60) as i`,
      `update public.users set note = 'changed' where id % 3 = 0`,
      `delete from public.users where id % 5 = 0`,
      `insert into public.users values (5, 'again', '', null)`,
      `update public.users set note = null where id in (5, 51)`,
    ],
  },
  {
    name: 'enough inserts for a COPY, with everything its text format gives a meaning',
    schema: USERS,
    tables: ['public.users'],
    batch: [
      String.raw`insert into public.users select i, 'u' || i,
        (array[E'tab\t', E'new\nline', E'\r', E'\\', E'\\N', E'\\.', '', null, E'\\.\n\\.'])[1 + i % 9] from generate_series(1, 500) as i`,
    ],
  },
  {
    name: 'a unique value that moves from one row to another',
    schema: USERS,
    tables: ['public.users'],
    before: [`insert into public.users values (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three')`],
    batch: [
      `update public.users set email = 'free' where id = 1`,
      `update public.users set email = 'a' where id = 2`,
      `update public.users set email = 'b' where id = 1`,
      `delete from public.users where id = 3`,
      `insert into public.users values (4, 'c', 'four')`,
    ],
  },
  {
    name: 'a unique value of a new row that an older row frees first',
    schema: USERS,
    tables: ['public.users'],
    before: [`insert into public.users values (1, 'a', 'one')`],
    batch: [
      `insert into public.users values (2, 'temporary')`,
      `update public.users set email = 'other' where id = 1`,
      `update public.users set email = 'a' where id = 2`,
      `update public.users set email = 'temporary' where id = 1`,
    ],
  },
  {
    name: 'keys that change, one into a key that another row had',
    schema: USERS,
    tables: ['public.users'],
    before: [
      `insert into public.users values (1, 'a', 'one', ${BIG}), (2, 'b', 'two', ${BIG}), (3, 'c', 'three', null)`,
    ],
    batch: [
      `update public.users set id = 10 where id = 1`,
      `update public.users set id = 1 where id = 2`,
      `update public.users set id = 2, note = 'moved' where id = 10`,
      `update public.users set id = -id where id = 3`,
    ],
  },
  {
    name: 'a long value that does not change is not touched',
    schema: USERS,
    tables: ['public.users'],
    before: [
      `insert into public.users select i, 'u' || i, 'n', ${BIG} from generate_series(1, 5) as i`,
    ],
    batch: [
      `update public.users set note = 'a' where id = 1`,
      `update public.users set id = 20 where id = 2`,
      `update public.users set email = email || '!'`,
      `update public.users set big = 'short' where id = 3`,
      `update public.users set big = ${BIG} || 'y', note = 'b' where id = 4`,
      `update public.users set note = 'c' where id = 4`,
    ],
  },
  {
    name: 'a key of several columns in another order, named to need quotes',
    schema: `create schema "My ""App"""; create table "My ""App"""."Odd.Table" ("a b" text, "B""" int, "select" bytea, primary key ("B""", "a b"))`,
    tables: ['"My ""App"""."Odd.Table"'],
    before: [
      `insert into "My ""App"""."Odd.Table" select 'k' || i, i % 3, '\\x00ff' from generate_series(1, 9) as i`,
    ],
    batch: [
      `update "My ""App"""."Odd.Table" set "select" = '\\xdeadbeef' where "B""" = 1`,
      `delete from "My ""App"""."Odd.Table" where "B""" = 2 and "a b" = 'k5'`,
      `update "My ""App"""."Odd.Table" set "a b" = 'moved' where "a b" = 'k3'`,
    ],
  },
  {
    name: 'identity by index: the primary key may move between rows',
    schema: `create table t (id int primary key, code text not null unique, v text); alter table t replica identity using index t_code_key;`,
    tables: ['public.t'],
    before: [`insert into public.t values (1, 'a', 'x'), (2, 'b', 'y')`],
    batch: [
      `update public.t set id = 0 where code = 'a'`,
      `update public.t set id = 1 where code = 'b'`,
      `update public.t set id = 2 where code = 'a'`,
    ],
  },
  {
    name: 'the same, where the destination lacks that index',
    schema: `create table t (id int primary key, code text not null unique, v text); alter table t replica identity using index t_code_key;`,
    destination: `create table t (id int primary key, code text not null, v text)`,
    tables: ['public.t'],
    before: [`insert into public.t values (1, 'a', 'x'), (2, 'b', 'y')`],
    batch: [
      `update public.t set id = 0 where code = 'a'`,
      `update public.t set id = 1 where code = 'b'`,
      `update public.t set id = 2 where code = 'a'`,
    ],
  },
  {
    name: 'identity FULL with a primary key: by the key',
    schema: `create table t (id int primary key, j json, v text); alter table t replica identity full;`,
    tables: ['public.t'],
    before: [`insert into public.t select i, '{"a": 1}', 'v' from generate_series(1, 5) as i`],
    batch: [
      `update public.t set v = 'w' where id = 1`,
      `update public.t set id = 9 where id = 2`,
      `delete from public.t where id = 3`,
    ],
  },
  {
    name: 'a column added in the middle of a batch, on both sides already there',
    schema: `create table t (id int primary key, v text);`,
    destination: `create table t (id int primary key, v text, w text default 'dw');`,
    tables: ['public.t'],
    batch: [
      `insert into public.t values (1, 'a')`,
      `alter table public.t add column w text default 'dw'`,
      `insert into public.t values (2, 'b', 'c'); update public.t set w = 'x' where id = 1`,
    ],
  },
  {
    name: 'columns in another order at the destination',
    schema: `create table t (id int primary key, a text, b int);`,
    destination: `create table t (b int, a text, id int primary key);`,
    tables: ['public.t'],
    batch: [
      `insert into public.t values (1, 'a', 2), (2, 'b', 3)`,
      `update public.t set a = 'c', b = 9 where id = 1`,
    ],
  },
  {
    name: 'a row whose every column is the key',
    schema: `create table t (a int, b int, primary key (a, b));`,
    tables: ['public.t'],
    before: [`insert into public.t values (1, 1), (2, 2)`],
    batch: [
      `update public.t set a = 1 where b = 1`,
      `update public.t set a = 3 where b = 2`,
      `delete from public.t where b = 1`,
    ],
  },
  {
    name: 'a table without columns',
    schema: `create table t ()`,
    tables: ['public.t'],
    batch: [`insert into public.t default values`, `insert into public.t default values`],
  },
];

for (const { name, before = [], batch, ...stage } of CASES)
  test(name, async () => {
    await using both = await Stage.open(stage);
    if (before.length > 0) await both.replicate(...before);
    await both.assertSame();
    await both.replicate(...batch);
    await both.assertSame();
  });

test('rows to change that are not there are counted, and the rest is applied', async () => {
  await using both = await Stage.open({ schema: USERS, tables: ['public.users'] });
  await both.replicate(
    `insert into public.users select i, 'u' || i from generate_series(1, 4) as i`,
  );
  await both.destination.query('delete from public.users where id in (1, 3)');
  const { missingRows } = await both.replicateLoosely(
    `update public.users set note = 'x' where id in (1, 2)`,
    `delete from public.users where id in (3, 4)`,
  );
  assert.equal(missingRows, 2);
  const rows = await both.destination.query('select id, note from public.users');
  assert.deepEqual(rows, [{ id: '2', note: 'x' }]);
});

test('excluded columns are not written, and need not be there', async () => {
  await using both = await Stage.open({
    schema: 'create table t (id int primary key, secret text, v text)',
    destination: 'create table t (id int primary key, v text)',
    tables: ['public.t'],
    excludeColumns: ['secret'],
  });
  await both.replicate(`insert into public.t values (1, 'hush', 'a'), (2, 'hush', 'b')`);
  await both.replicate(
    `update public.t set secret = 'hush hush' where id = 1`,
    `update public.t set v = 'c' where id = 2`,
  );
  await both.assertSame('t.id, t.v');
});

test('a column the destination lacks is the failure of that table alone', async () => {
  await using both = await Stage.open({
    schema: 'create table t (id int primary key, v text); create table u (id int primary key)',
    tables: ['public.t', 'public.u'],
  });
  await both.source.query('alter table public.t add column w text');
  const { failed } = await both.replicateApart(
    `insert into public.t values (1, 'a', 'b'); insert into public.u values (1)`,
  );
  assert.deepEqual(
    failed.map(({ table, error, entries }) => [
      table.record.source.name,
      error.code,
      entries.length,
    ]),
    [['t', 'SchemaMismatch', 1]],
  );
  assert.deepEqual(await both.destination.query('select id from public.u'), [{ id: '1' }]);
});

test('a value that the destination refuses takes nothing else with it, and is not quoted', async () => {
  await using both = await Stage.open({
    schema: 'create table t (id int primary key, v text); create table u (id int primary key)',
    destination: 'create table t (id int primary key, v int); create table u (id int primary key)',
    tables: ['public.t', 'public.u'],
  });
  const { failed } = await both.replicateApart(
    `insert into public.t values (1, '1')`,
    `insert into public.t values (2, 'my secret')`,
    `insert into public.u values (1)`,
  );
  assert.deepEqual(
    failed.map(({ table, error, entries }) => [
      table.record.source.name,
      error.code,
      entries.length,
    ]),
    [['t', 'ValueRefused', 2]],
  );
  assert.ok(!failed[0]?.error.message.includes('my secret'));
  assert.deepEqual(await both.destination.query('select id from public.t'), []);
  assert.deepEqual(await both.destination.query('select id from public.u'), [{ id: '1' }]);
});

test('a dropped destination table is missed before anything is written', async () => {
  await using both = await Stage.open({ schema: USERS, tables: ['public.users'] });
  await both.destination.query('drop table public.users');
  await assert.rejects(both.replicate(`insert into public.users values (1)`), {
    code: 'TableMissing',
  });
});
