/** What was found by trying to break it: each of these once lost rows, lied in the status or stopped a mirror. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Status } from '../../src/status/status.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { setStandbys } from './standbys.ts';
import { TestMirror } from './test-mirror.ts';

const TWO_TABLES = /* sql */ `
create table a (id int primary key, v text, secret text);
create table b (id int primary key, v text, secret text);
insert into a select g, 'a' || g, 's' from generate_series(1, 10) g;
insert into b select g, 'b' || g, 's' from generate_series(1, 10) g;
`;

test('a table that joins a running mirror with excludeColumns is written without them', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), TWO_TABLES);
  await mirror.write({ tables: [{ source: 'public.a' }] });
  await mirror.start();
  await mirror.waitReady();
  await mirror.write({
    tables: [{ source: 'public.a' }, { source: 'public.b', excludeColumns: ['secret'] }],
  });
  await mirror.waitReady();
  await mirror.atSource(`insert into b values (11, 'new', 'secret')`);
  await mirror.caughtUp();
  const rows = await mirror.atDestination(`select v from b where id = 11`);
  assert.deepEqual(rows, [{ v: 'new' }]);
  assert.doesNotMatch(await mirror.readLog(), /table failed/);
});

test('a column that is excluded in a running mirror does not come any more', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), TWO_TABLES);
  await mirror.write({ tables: [{ source: 'public.a' }] });
  await mirror.start();
  await mirror.waitReady();
  await mirror.write({ tables: [{ source: 'public.a', excludeColumns: ['secret'] }] });
  await mirror.waitReady();
  await mirror.atSource(`insert into a values (11, 'new', 'secret')`);
  await mirror.caughtUp();
  assert.deepEqual(await mirror.atDestination(`select v, secret from a where id = 11`), [
    { v: 'new', secret: null },
  ]);
});

test('a file that names another destination is not Ready by what the old one holds', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), TWO_TABLES);
  await mirror.write({ tables: [{ source: 'public.a' }] });
  await mirror.start();
  await mirror.waitReady();
  await mirror.write({
    tables: [{ source: 'public.a' }],
    destination: { ...mirror.destinationEndpoint(), database: 'nowhere' },
  });
  const { code, stderr } = await mirror.command('wait', mirror.name, '--timeout', '6s');
  assert.notEqual(code, 0);
  assert.match(stderr, /nowhere/);
});

test('a live table that is gone on both sides keeps no other from streaming after a restart', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), TWO_TABLES);
  await mirror.write({ tables: [{ source: 'public.a' }, { source: 'public.b' }] });
  await mirror.start();
  await mirror.waitReady();
  await mirror.stop();
  await mirror.atSource('drop table b');
  await mirror.atDestination('drop table b');
  await mirror.start();
  await mirror.atSource(`insert into a values (11, 'new', null)`);
  await mirror.caughtUp();
  await mirror.assertSame(['a']);
});

test('a mirror is not Ready while another session reads its slot', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), TWO_TABLES);
  await mirror.write({ tables: [{ source: 'public.a' }] });
  await mirror.start();
  await mirror.waitReady();
  await mirror.stop();
  const { host, port, user } = mirror.sourceEndpoint();
  const { database } = mirror.source;
  const { password } = mirror.source.cluster;
  const thief = new Client({
    host,
    port,
    user,
    password,
    database,
    replication: 'database',
  } as never);
  thief.on('error', () => undefined);
  await thief.connect();
  const slot = `bunny_${mirror.name}`;
  thief
    .query(
      `START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names '${slot}')`,
    )
    .catch(() => undefined);
  await delay(500);
  const daemon = await mirror.start(['--once']);
  while (daemon.running) await delay(100);
  const log = await daemon.logTail();
  (thief as never as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  assert.notEqual(daemon.exitCode, 0, log);
});

test('a standby that is down holds up neither a resync nor hides a row from it', async () => {
  const clusters = await sharedClusters();
  await using mirror = await TestMirror.create(clusters, TWO_TABLES);
  await mirror.write({ tables: [{ source: 'public.a' }] });
  await mirror.start();
  await mirror.waitReady();
  await setStandbys(mirror, 'nobody');
  try {
    // The copy has to wait until the stream has passed this by.
    await mirror.atSource('set synchronous_commit = local; create table noise ()');
    await mirror.write({ tables: [{ source: 'public.a', resyncGeneration: 1 }] });
    const resync = await mirror.command('wait', mirror.name, '--timeout', '20s');
    assert.equal(resync.code, 0, resync.stderr);
    // Committed in the log and applied here, but for every snapshot it is still running.
    const hanging = mirror.atSource(`insert into a values (11, 'waits', null)`);
    for (let rows = 0; rows === 0; await delay(50))
      rows = (await mirror.atDestination('select from a where id = 11')).length;
    await mirror.stop();
    await mirror.write({ tables: [{ source: 'public.a', resyncGeneration: 2 }] });
    await mirror.start();
    await delay(4_000);
    await setStandbys(mirror, '');
    await hanging;
  } finally {
    await setStandbys(mirror, '');
  }
  await mirror.waitReady();
  await mirror.assertSame(['a']);
});

test('a foreign key of somebody else’s table that rows break after a resync is an error until it is mended', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), TWO_TABLES);
  await mirror.write({ tables: [{ source: 'public.a' }] });
  await mirror.start();
  await mirror.waitReady();
  await mirror.atDestination(
    'create table own (a int constraint own_fkey references a); insert into own values (3), (4)',
  );
  // A replica checks no foreign key: the row goes at the destination too, and its reference stays.
  await mirror.atSource('delete from a where id = 3');
  await mirror.caughtUp();
  await mirror.write({ tables: [{ source: 'public.a', resyncGeneration: 1 }] });
  const isKept = ({ status }: Status): boolean =>
    status.tables[0]?.error?.code === 'ConstraintViolated';
  await mirror.waitFor(isKept);
  await delay(3_000);
  assert.ok(isKept(await mirror.waitFor(() => true)), 'the error is gone, and nothing was mended');
  await mirror.atDestination('delete from own where a = 3');
  await mirror.waitReady();
  assert.deepEqual(
    await mirror.atDestination(`select convalidated from pg_constraint where conname = 'own_fkey'`),
    [{ convalidated: 't' }],
  );
  assert.deepEqual(await mirror.atDestination('select * from bunnydb.saved_foreign_keys'), []);
});

test('suspend and SIGTERM act at once while a pass waits for an index', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    `${TWO_TABLES} create index b_v on b (v);`,
  );
  // What is edited stands before the tables: a file that only loses its end looks cut off for a while.
  const tables = [{ source: 'public.a' }, { source: 'public.b' }];
  const spec = { cdc: { maxBatchSize: 4_000 }, tables };
  await mirror.write(spec);
  await mirror.start();
  await mirror.waitReady();
  const { host, port, user } = mirror.destinationEndpoint();
  const { database, cluster } = mirror.destination;
  const reader = new Client({ host, port, user, password: cluster.password, database });
  await reader.connect();
  // CREATE INDEX CONCURRENTLY waits for a transaction that is older than itself.
  await reader.query('begin isolation level repeatable read');
  await reader.query('create temp table old ()');
  await mirror.atDestination('drop index b_v');
  const builds = async (): Promise<boolean> =>
    (await mirror.atDestination('select from pg_stat_progress_create_index')).length > 0;
  const isRead = async (): Promise<boolean> =>
    (
      await mirror.atSource(
        `select from pg_replication_slots where slot_name = 'bunny_${mirror.name}' and active`,
      )
    ).length > 0;
  const reached = async (condition: () => Promise<boolean>): Promise<void> =>
    until(condition, { timeoutMs: 10_000, late: async () => new Error(await mirror.readLog()) });
  await mirror.write({ cdc: { maxBatchSize: 5_000 }, tables });
  await reached(builds);
  await mirror.write({ suspend: true, ...spec });
  await reached(async () => !(await isRead()));
  await reached(async () => !(await builds()));
  await mirror.write(spec);
  await reached(builds);
  const startMs = performance.now();
  await mirror.stop();
  assert.ok(performance.now() - startMs < 4_000, 'SIGTERM took too long');
  await reader.end();
});
