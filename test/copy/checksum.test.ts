/** Two tables on two real servers, compared by count and checksum. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareTables, type CompareJob, type Comparison } from '../../src/copy/checksum.ts';
import type { Connection } from '../../src/core/mirror.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import type { Cluster } from '../servers/cluster.ts';
import { sharedClusters } from '../servers/shared.ts';
import { name } from '../plan/fixtures.ts';

interface Ends {
  readonly source: Connection;
  readonly destination: Connection;
}

async function databaseOf(cluster: Cluster, encoding: string): Promise<Connection> {
  const database = await cluster.createDatabase();
  await cluster.query('postgres', `drop database ${database}`);
  await cluster.query(
    'postgres',
    `create database ${database} encoding '${encoding}' lc_collate 'C' lc_ctype 'C' template template0`,
  );
  return cluster.connection(database);
}

/** A session that set the table up, in a transaction whose view it is. */
async function open(connection: Connection, setup: string): Promise<Session> {
  const session = await openSession(connection, { mirror: 'compare', role: 'verifier' });
  await session.client.query(setup);
  await session.query('begin transaction isolation level repeatable read, read only');
  await session.query('select 1');
  return session;
}

async function ends(encoding = 'UTF8'): Promise<Ends> {
  const clusters = await sharedClusters();
  return {
    source: await databaseOf(clusters.source, 'UTF8'),
    destination: await databaseOf(clusters.destination, encoding),
  };
}

interface Case extends Partial<Pick<CompareJob, 'key' | 'columns'>> {
  readonly source: string;
  readonly destination: string;
  readonly encoding?: string;
  /** When both views are fixed. */
  readonly meanwhile?: (places: Ends) => Promise<void>;
}

async function compare(how: Case): Promise<Comparison | undefined> {
  const places = await ends(how.encoding);
  await using source = await open(places.source, how.source);
  await using destination = await open(places.destination, how.destination);
  await how.meanwhile?.(places);
  return await compareTables({
    source: { session: source, table: name('public.t') },
    destination: { session: destination, table: name('public.t') },
    columns: how.columns ?? ['id', 'v'],
    key: how.key ?? ['id'],
  });
}

async function run(connection: Connection, sql: string): Promise<void> {
  await using session = await openSession(connection, { mirror: 'compare', role: 'owner' });
  await session.client.query(sql);
}

const TEN = `create table public.t (id int, v text); insert into public.t select g, 'v' || g from generate_series(1, 10) g;`;

test('the same rows in another order and with other columns around them are the same', async () => {
  const destination = `create table public.t (more int default 7, v text, id int);
    insert into public.t (id, v) select g, 'v' || g from generate_series(10, 1, -1) g;`;
  assert.deepEqual(await compare({ source: TEN, destination }), {
    rows: 10,
    destinationRows: 10,
    difference: undefined,
  });
});

test('two rows that changed their values with each other differ; so does a duplicate', async () => {
  const swapped = await compare({
    source: TEN,
    destination: `${TEN} update public.t set v = case id when 3 then 'v4' else 'v3' end where id in (3, 4)`,
  });
  assert.match(swapped?.difference ?? '', /2 keys differ \(id\): 3 different, 4 different$/);
  const twice = await compare({
    source: `${TEN} insert into public.t values (1, 'v1'), (1, 'v1')`,
    destination: `${TEN} insert into public.t values (2, 'v2'), (2, 'v2')`,
    key: [],
  });
  assert.equal(twice?.difference, '12 rows on either side, and not the same');
});

test('a partitioned table is read with its partitions, any other without its children', async () => {
  const found = await compare({
    source: `create table public.t (id int, v text) partition by range (id);
      create table public.t1 partition of public.t for values from (0) to (6);
      create table public.t2 partition of public.t default;
      insert into public.t select g, 'v' || g from generate_series(1, 10) g;`,
    destination: `${TEN} create table public.child () inherits (public.t); insert into public.child values (11, 'x')`,
  });
  assert.deepEqual(found, { rows: 10, destinationRows: 10, difference: undefined });
});

test('another encoding is no difference, another letter is', async () => {
  const words = `create table public.t (id int, v text); insert into public.t values (1, 'Grüße'), (2, 'é'), (3, null);`;
  const same = await compare({ source: words, destination: words, encoding: 'LATIN1' });
  assert.equal(same?.difference, undefined);
  assert.equal(same?.rows, 3);
  const other = await compare({
    source: words,
    destination: `${words} update public.t set v = 'Grüsse' where id = 1`,
    encoding: 'LATIN1',
  });
  assert.match(other?.difference ?? '', /1 key differs \(id\): 1 different$/);
});

test('in many rows the few that differ are found, the first of them first', async () => {
  const many = `create table public.t (id int primary key, v text); insert into public.t select g, 'v' || g from generate_series(1, 50000) g;`;
  const found = await compare({
    source: many,
    destination: `${many} update public.t set v = 'x' where id % 2500 = 0; delete from public.t where id = 7;
      insert into public.t values (60000, 'new')`,
  });
  assert.match(
    found?.difference ?? '',
    /^50000 rows on either side, and not the same; the first 10 of 22 keys that differ \(id\): 7 missing at the destination, 2500 different, 5000 different, /,
  );
});

test('more rows that differ than are looked at: some are named', async () => {
  const many = `create table public.t (id int primary key, v text); insert into public.t select g, 'v' || g from generate_series(1, 120000) g;`;
  const found = await compare({
    source: many,
    destination: many.replace(`'v' || g`, `'w' || g`),
  });
  assert.match(
    found?.difference ?? '',
    /; some of the keys that differ \(id\): (\d+ different(, |$)){10}$/,
  );
});

test('a table that is truncated or rewritten under the views is compared again, not called empty', async () => {
  for (const meanwhile of [
    async ({ source }: Ends) => run(source, 'truncate public.t'),
    async ({ destination }: Ends) => run(destination, 'truncate public.t'),
    async ({ source }: Ends) => run(source, 'alter table public.t alter column id type bigint'),
  ])
    assert.equal(await compare({ source: TEN, destination: TEN, meanwhile }), undefined);
});

test('rows written after the views were fixed do not count', async () => {
  const meanwhile = async ({ source, destination }: Ends): Promise<void> => {
    await run(source, `insert into public.t values (11, 'late')`);
    await run(destination, `delete from public.t where id = 1`);
  };
  const found = await compare({ source: TEN, destination: TEN, meanwhile });
  assert.deepEqual(found, { rows: 10, destinationRows: 10, difference: undefined });
});

test('a table that is gone is an error, not a difference', async () => {
  await assert.rejects(compare({ source: TEN, destination: 'select 1' }), { code: 'TableMissing' });
});
