/** What a table's definition needs of its database: looked for at the destination before anything is made there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mirrorTable, name, startPair, type Pair } from '../execute/pair.ts';

const SOURCE = /* sql */ `
create schema app;
create function app.f(int) returns int language sql immutable as 'select $1';
create function app.f(text) returns int language sql immutable as 'select 1';
create operator app.### (leftarg = int, rightarg = int, function = int4pl);
create collation app.german (provider = icu, locale = 'de');
create operator class app.backwards for type int using btree as
  operator 1 > , operator 2 >=, operator 3 =, operator 4 <=, operator 5 <, function 1 btint4cmp(int, int);
create text search configuration app.plain (copy = simple);
create type app.mood as enum ('sad', 'happy');
create table public.defaults (id int primary key default app.f(1), other int default app.f(2));
create table public.computed (id int primary key, twice int generated always as (app.f(id)) stored);
create table public.checked (id int primary key, check (app.f(id) > 0), check (id operator(app.###) 1 > 0));
create table public.indexed (id int primary key, note text);
create index by_f on public.indexed (app.f(note));
create index backwards on public.indexed (id app.backwards);
create index words on public.indexed using gin (to_tsvector('app.plain', note));
create table public.collated (id int primary key, name text collate app.german);
create table public.excluded (id int primary key, note text collate app.german, check (app.f(note) > 0));
create table public.cast_to (id int primary key, note text check (note::app.mood > 'sad'));
create table public.plain (id int primary key, at timestamptz default now(), note text collate "C" default upper('x'));
create index on public.plain using gin (to_tsvector('english', note));
create table public.taken (id int primary key);
create table public.taken_by_index (id int primary key);
`;

const NAMES =
  'defaults computed checked indexed collated excluded cast_to plain taken taken_by_index';

const TABLES = NAMES.split(' ').map((one) =>
  mirrorTable(`public.${one}`, one === 'excluded' ? { excludeColumns: ['note'] } : {}),
);

async function refusals(pair: Pair): Promise<string[]> {
  return (await pair.plan()).refusals.map(
    ({ table, error }) => `${table?.source.name}: ${error.code}: ${error.message}`,
  );
}

const MISSING = 'is missing at the destination';

test('what the destination lacks is named before anything is made, with all that needs it', async () => {
  await using pair = await startPair(TABLES);
  await pair.onSource(SOURCE);
  await pair.onDestination(/* sql */ `
    create type public.taken as enum ('x');
    create table public.other (id int); create index taken_by_index on public.other (id);
    create schema app; create function app.f(bigint) returns int language sql immutable as 'select 1';
  `);
  assert.deepEqual(await refusals(pair), [
    `defaults: ObjectMissing: function app.f(integer) ${MISSING}: column id, column other of public.defaults need it`,
    `computed: ObjectMissing: function app.f(integer) ${MISSING}: column twice of public.computed needs it`,
    `checked: ObjectMissing: function app.f(integer) ${MISSING}: constraint checked_id_check of public.checked needs it`,
    `checked: ObjectMissing: operator app.###(integer,integer) ${MISSING}: constraint checked_id_check1 of public.checked needs it`,
    `indexed: ObjectMissing: operator class app.backwards USING btree ${MISSING}: index backwards of public.indexed needs it`,
    `indexed: ObjectMissing: function app.f(text) ${MISSING}: index by_f of public.indexed needs it`,
    `indexed: ObjectMissing: text search configuration app.plain ${MISSING}: index words of public.indexed needs it`,
    `collated: ObjectMissing: collation app.german ${MISSING}: column name of public.collated needs it`,
    'taken: NameTaken: public.taken cannot be made at the destination: a type (public.taken) has its name',
    'taken_by_index: NameTaken: public.taken_by_index cannot be made at the destination: an index has its name',
  ]);
  const hints = (await pair.plan()).refusals.map(({ error }) => error.hint);
  assert.equal(hints[0], 'Create it at the destination as it is at the source.');
  assert.equal(
    hints[4],
    'Create it at the destination as it is at the source, or set replicateIndexes: false.',
  );
  const without = await refusals(pair.with({ replicateIndexes: false }));
  assert.ok(!without.some((line) => line.startsWith('indexed')));

  // What is not refused is made: the type that only a check names too.
  await pair.execute();
  await pair.execute();
  assert.deepEqual(
    (
      await pair.destination.query(
        "select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1",
      )
    ).map(({ relname }) => relname),
    ['cast_to', 'excluded', 'other', 'plain'],
  );

  await pair.onDestination(/* sql */ `
    drop type public.taken; drop table public.other;
    create function app.f(int) returns int language sql immutable as 'select $1';
    create function app.f(text) returns int language sql immutable as 'select 1';
    create operator app.### (leftarg = int, rightarg = int, function = int4pl);
    create collation app.german (provider = icu, locale = 'de');
    create operator class app.backwards for type int using btree as
      operator 1 > , operator 2 >=, operator 3 =, operator 4 <=, operator 5 <, function 1 btint4cmp(int, int);
    create text search configuration app.plain (copy = simple);
  `);
  assert.deepEqual(await refusals(pair), []);
  for (let pass = 0; pass < 3; pass++) await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);
});

test('a Live table is refused for what it has yet to get, not for what it does without', async () => {
  await using pair = await startPair([mirrorTable('public.t')]);
  await pair.onSource('create table public.t (id int primary key, note text)');
  for (let pass = 0; pass < 2; pass++) await pair.execute();
  await pair.onSource(/* sql */ `
    create function public.f(text) returns int language sql immutable as 'select 1';
    alter table public.t alter note set default public.f('x')::text, add check (public.f(note) > 0);
  `);
  assert.deepEqual(await refusals(pair), []);
  const raised = mirrorTable('public.t', { generation: { table: 1, mirror: 0 } });
  assert.deepEqual(await refusals(pair.with({ tables: [raised] })), [
    `t: ObjectMissing: function public.f(text) ${MISSING}: constraint t_note_check of public.t needs it`,
  ]);
  await pair.onSource('create index by_f on public.t (public.f(note))');
  assert.deepEqual(await refusals(pair), [
    `t: ObjectMissing: function public.f(text) ${MISSING}: index by_f of public.t needs it`,
  ]);
});

test('a partitioned destination takes a key that holds what it is partitioned by, at each level', async () => {
  const tables = ['whole', 'half', 'deep'].map((one) =>
    mirrorTable('public.orders', {
      source: name(`public.${one}`),
      destination: name(`public.${one}`),
    }),
  );
  await using pair = await startPair(tables);
  await pair.onSource(/* sql */ `
    create table public.whole (id int, region text, primary key (id, region));
    create table public.half (id int primary key, region text);
    create table public.deep (id int, region text, day date, primary key (id, region));
  `);
  await pair.onDestination(/* sql */ `
    create table public.whole (id int, region text) partition by list (region);
    create table public.half (id int, region text) partition by list (region);
    create table public.deep (id int, region text, day date) partition by list (region);
    create table public.deep_eu partition of public.deep for values in ('eu') partition by range (day);
  `);
  const because = (by: string): string =>
    `it is partitioned by ${by}, which a key there has to hold`;
  assert.deepEqual(await refusals(pair), [
    `half: SchemaMismatch: public.half is partitioned at the destination and cannot have the source's half_pkey: ${because('region')}`,
    `deep: SchemaMismatch: public.deep is partitioned at the destination and cannot have the source's deep_pkey: ${because('day, region')}`,
  ]);
});

test('a schema of the ledger’s name that is somebody else’s stops the mirror; an empty one is taken', async () => {
  await using pair = await startPair([mirrorTable('public.t')]);
  await pair.onSource('create table public.t (id int primary key)');
  await pair.onDestination('create schema bunnydb');
  assert.deepEqual(await refusals(pair), []);
  await pair.onDestination(
    'create table bunnydb.mirrors (id int); create table bunnydb.version (n text)',
  );
  const told = await refusals(pair);
  assert.equal(told.length, 1);
  assert.match(
    told[0] ?? '',
    /^undefined: NameTaken: database \S+ has a schema bunnydb that is not bunnydb's/,
  );
  await pair.onDestination('drop table bunnydb.mirrors, bunnydb.version');
  await pair.execute();
  // As a restore without comments leaves it.
  await pair.onDestination('comment on schema bunnydb is null');
  assert.deepEqual(await refusals(pair), []);
  assert.equal((await pair.observe()).ledger.mirror?.name, pair.mirror.name);
});
