/** What is read from the catalogs of a real server. The round trip of whole definitions is test/execute's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableShape } from '../../src/core/observed.ts';
import { observeServer } from '../../src/observe/server.ts';
import { observeShapes, type Shapes } from '../../src/observe/shapes.ts';
import { openSession } from '../../src/postgres/session.ts';
import { mirrorTable, name, type Pair, startPair } from '../execute/pair.ts';

async function shapesOf(pair: Pair, tables: readonly string[]): Promise<Shapes> {
  return observeShapes(
    pair.source,
    tables.map((table) => ({ name: name(table) })),
    'source',
  );
}

async function identityOf(pair: Pair, table: string): Promise<TableShape['replicaIdentity']> {
  const shape = (await shapesOf(pair, [table])).get(table);
  assert.ok(shape);
  return shape.replicaIdentity;
}

test('replica identity: what comes with an old row', async () => {
  await using pair = await startPair([]);
  await pair.onSource(`
    create table public.key_only (b int, a int, note text, primary key (a, b));
    create table public.keyless (a int);
    create table public.nothing (a int primary key);
    alter table public.nothing replica identity nothing;
    create table public.everything (a int, b int generated always as (a * 2) stored, c int);
    alter table public.everything replica identity full;
    create table public.by_index (a int not null, b int);
    create unique index by_index_a on public.by_index (a) include (b);
    alter table public.by_index replica identity using index by_index_a;
    create table public.late (a int primary key deferrable);
    create table public.gone (a int not null);
    create unique index gone_a on public.gone (a);
    alter table public.gone replica identity using index gone_a;
    drop index public.gone_a;
  `);
  const expected: Record<string, TableShape['replicaIdentity']> = {
    key_only: { kind: 'default', columns: ['a', 'b'] },
    keyless: { kind: 'nothing', columns: [] },
    nothing: { kind: 'nothing', columns: [] },
    everything: { kind: 'full', columns: ['a', 'c'] },
    by_index: { kind: 'index', columns: ['a'] },
    late: { kind: 'nothing', columns: [] },
    gone: { kind: 'nothing', columns: [] },
  };
  for (const [table, identity] of Object.entries(expected))
    assert.deepEqual(await identityOf(pair, `public.${table}`), identity, table);
});

test('a partitioned root is as its leaves are', async () => {
  await using pair = await startPair([]);
  const parted = (table: string, key: string): string => `
    create table public.${table} (id int not null${key}, note text) partition by range (id);
    create table public.${table}_low partition of public.${table} for values from (0) to (10)
      partition by range (id);
    create table public.${table}_low_1 partition of public.${table}_low for values from (0) to (10);
    create table public.${table}_high partition of public.${table} for values from (10) to (20);
  `;
  await pair.onSource(`
    ${parted('keyed', ' primary key')}
    ${parted('loose', '')}
    ${parted('filled', '')}
    alter table public.filled_low_1 replica identity full;
    alter table public.filled_high replica identity full;
    ${parted('half', '')}
    alter table public.half replica identity full;
    alter table public.half_high replica identity full;
    ${parted('volatile', ' primary key')}
    alter table public.volatile_high set unlogged;
    insert into public.keyed select i, repeat('x', 500) from generate_series(0, 19) as i;
    analyze public.keyed_low_1, public.keyed_high;
  `);
  assert.deepEqual(await identityOf(pair, 'public.keyed'), { kind: 'default', columns: ['id'] });
  assert.deepEqual(await identityOf(pair, 'public.loose'), { kind: 'nothing', columns: [] });
  assert.deepEqual(await identityOf(pair, 'public.filled'), {
    kind: 'full',
    columns: ['id', 'note'],
  });
  assert.deepEqual(await identityOf(pair, 'public.half'), { kind: 'nothing', columns: [] });
  const shapes = await shapesOf(pair, ['public.keyed', 'public.volatile', 'public.filled']);
  const keyed = shapes.get('public.keyed');
  assert.equal(keyed?.kind, 'partitioned');
  assert.equal(keyed.estimatedRows, 20);
  assert.equal(keyed.heapBytes, 2 * 8192);
  assert.equal(shapes.get('public.volatile')?.unlogged, true);
  assert.equal(shapes.get('public.filled')?.estimatedRows, -1);
});

test('kinds, and names that are there or not', async () => {
  await using pair = await startPair([]);
  await pair.onSource(`
    create table public.t ();
    create view public.v as select 1 as one;
    create materialized view public.m as select 1 as one;
    create unlogged table public.u (a int primary key);
    create sequence public.s;
    create type public.composite as (a int);
  `);
  const shapes = await shapesOf(
    pair,
    ['t', 'v', 'm', 'u', 's', 'composite', 'none', 'u_pkey'].map((table) => `public.${table}`),
  );
  assert.deepEqual(
    [...shapes].map(([key, shape]) => [key, shape.kind, shape.unlogged]),
    [
      ['public.t', 'table', false],
      ['public.v', 'view', false],
      ['public.m', 'materialized view', false],
      ['public.u', 'table', true],
      ['public.s', 'sequence', false],
      ['public.composite', 'other', false],
    ],
  );
});

test('rights: what our role may read, write and own, and what row security hides from it', async () => {
  await using pair = await startPair([]);
  const role = `limited_${pair.mirror.name}`;
  await pair.onSource(`
    create role ${role} login replication password 'x';
    create table public.open (a int primary key, b int);
    grant select on public.open to ${role};
    create table public.partly (a int primary key, secret int);
    grant select (a) on public.partly to ${role};
    create table public.closed (a int primary key);
    create table public.filtered (a int primary key);
    alter table public.filtered enable row level security;
    grant select, insert, update, delete, truncate on public.filtered to ${role};
    create table public.own (a int primary key);
    alter table public.own owner to ${role};
    create schema hidden;
    create table hidden.t (a int primary key);
    grant select on hidden.t to ${role};
    revoke execute on function pg_control_system() from public;
    revoke execute on function pg_walfile_name(pg_lsn) from public;
  `);
  process.env['LIMITED_PASSWORD'] = 'x';
  await using limited = await openSession(
    { ...pair.mirror.source, user: role, password: { env: 'LIMITED_PASSWORD' } },
    { mirror: pair.mirror.name, role: 'observer' },
  );
  const server = await observeServer(limited);
  assert.deepEqual(
    [server.role, server.canCreate, server.systemIdentifier, server.timeline],
    [{ name: role, superuser: false, replication: true }, false, '', 0],
  );
  const tables = ['open', 'partly', 'closed', 'filtered', 'own'].map((table) => `public.${table}`);
  const wanted = [...tables, 'hidden.t'].map((table) => ({ name: name(table) }));
  const rights = async (side: 'source' | 'destination'): Promise<object> =>
    Object.fromEntries(
      [...(await observeShapes(limited, wanted, side))].map(([key, shape]) => [
        key,
        [
          ...(shape.readable ? ['readable'] : []),
          ...(shape.owned ? ['owned'] : []),
          ...(shape.rowSecurity ? ['rowSecurity'] : []),
        ],
      ]),
    );
  assert.deepEqual(await rights('source'), {
    'public.open': ['readable'],
    'public.partly': [],
    'public.closed': [],
    'public.filtered': ['readable', 'rowSecurity'],
    'public.own': ['readable', 'owned'],
    'hidden.t': [],
  });
  assert.deepEqual(await rights('destination'), {
    'public.open': [],
    'public.partly': [],
    'public.closed': [],
    'public.filtered': ['readable', 'rowSecurity'],
    'public.own': ['readable', 'owned'],
    'hidden.t': [],
  });
  const partly = await observeShapes(
    limited,
    [{ name: name('public.partly'), excludeColumns: ['secret'] }],
    'source',
  );
  assert.equal(partly.get('public.partly')?.readable, true);
  await pair.onSource(`
    grant execute on function pg_control_system() to public;
    grant execute on function pg_walfile_name(pg_lsn) to public;
    drop owned by ${role};
    drop role ${role};
  `);
});

test('rows in the way are looked for only where a first copy is due', async () => {
  await using pair = await startPair([mirrorTable('public.a'), mirrorTable('public.b')]);
  await pair.onSource(`
    create table public.a (id int primary key);
    create table public.b (id int primary key);
  `);
  await pair.onDestination(`
    create table public.a (id int primary key);
    create table public.b (id int primary key);
    insert into public.b values (1);
  `);
  const hasRows = async (): Promise<(boolean | undefined)[]> =>
    (await pair.observe()).tables.map((table) => table.destinationHasRows);
  assert.deepEqual(await hasRows(), [false, true]);
  await pair.execute();
  assert.deepEqual(await hasRows(), [undefined, true]);
  await pair.onDestination('drop table public.b');
  assert.deepEqual(await hasRows(), [undefined, undefined]);
});
