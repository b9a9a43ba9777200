/** What goes wrong in one place stays there: a locked table, a step that fails, a writer that does not end. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Status } from '../../src/status/status.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';

const SETUP = /* sql */ `
create table a (id int primary key, v text);
create table b (id int primary key, v text);
create index a_v on a (v);
insert into a select g, 'a' || g from generate_series(1, 10) g;
insert into b select g, 'b' || g from generate_series(1, 10) g;
`;
const BOTH = [{ source: 'public.a' }, { source: 'public.b' }];

/** A session of somebody else at the source, in a transaction that lives until it is released. */
async function holdAtSource(
  mirror: TestMirror,
  sql: string,
): Promise<{ release: () => Promise<void> }> {
  const { host, port, user } = mirror.sourceEndpoint();
  const { cluster, database } = mirror.source;
  const client = new Client({ host, port, user, password: cluster.password, database });
  await client.connect();
  await client.query('begin');
  await client.query(sql);
  return { release: async () => client.end() };
}

function condition({ status }: Status, type: string): string | undefined {
  const found = status.conditions.find((one) => one.type === type);
  return found && `${found.status} ${found.reason}`;
}

const isLockTimeout = (status: Status): boolean =>
  condition(status, 'Ready') === 'False LockTimeout';

test('a locked source table holds up no other, neither after a restart nor in a running mirror', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: BOTH });
  await mirror.start();
  await mirror.waitReady();
  await mirror.stop();
  await mirror.atSource(`insert into a values (11, 'before'); insert into b values (11, 'before')`);
  const lock = await holdAtSource(mirror, 'lock table a in access exclusive mode');
  try {
    await mirror.start();
    await mirror.waitForRows('b', 11);
    await mirror.waitForRows('a', 11);
    assert.equal(condition(await mirror.waitFor(isLockTimeout), 'Replicating'), 'True Streaming');
    await mirror.write({ cdc: { maxBatchSize: 5_000 }, tables: BOTH });
    await mirror.atSource(`insert into b values (12, 'meanwhile')`);
    await mirror.caughtUp();
    await mirror.waitForRows('b', 12);
    assert.equal(condition(await mirror.waitFor(isLockTimeout), 'Replicating'), 'True Streaming');
  } finally {
    await lock.release();
  }
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
});

test('a lost publication is found before anything is streamed, table locks or not', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: BOTH });
  await mirror.start();
  await mirror.waitReady();
  await mirror.stop();
  await mirror.atSource(
    `drop publication "bunny_${mirror.name}"; insert into b values (11, 'unseen')`,
  );
  await mirror.start();
  await mirror.waitFor((status) => condition(status, 'Replicating') === 'False SlotLost');
  assert.doesNotMatch(await mirror.readLog(), /publication "[^"]*" does not exist/);
});

test('a destination table that is dropped while no daemon runs is copied, not followed on from nothing', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: BOTH });
  await mirror.start();
  await mirror.waitReady();
  await mirror.stop();
  await mirror.atDestination('drop table b');
  for (let id = 11; id < 40; id += 1) await mirror.atSource(`insert into b values (${id}, 'new')`);
  await mirror.start();
  // The status file is still the former daemon's: not yet by that.
  await until(
    async () => (await mirror.atDestination(`select to_regclass('b') as b`))[0]?.['b'] === 'b',
    { timeoutMs: 20_000, late: async () => new Error(await mirror.readLog()) },
  );
  await mirror.waitForRows('b', 39);
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
});

test('a schema that cannot be made stops neither the stream nor a resync of another table', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    `${SETUP} create schema other; create table other.c (id int primary key); insert into other.c values (1);`,
  );
  await mirror.write({ tables: BOTH });
  await mirror.start();
  await mirror.waitReady();
  await mirror.stop();
  await mirror.atDestination(`
    create function refuse() returns event_trigger language plpgsql as $$
    begin raise exception 'no schema today' using errcode = 'insufficient_privilege'; end $$;
    create event trigger no_schema on ddl_command_start when tag in ('CREATE SCHEMA') execute function refuse()`);
  const tables = [{ source: 'public.a', resyncGeneration: 1 }, ...BOTH.slice(1)];
  await mirror.write({ tables: [...tables, { source: 'other.c' }] });
  await mirror.start();
  const failed = await mirror.waitFor(
    (status) =>
      condition(status, 'Ready') === 'False PermissionDenied' &&
      status.status.tables[0]?.resyncStatus === 'completed',
  );
  assert.equal(condition(failed, 'Replicating'), 'True Streaming');
  assert.equal(failed.status.tables[0]?.error, undefined);
  // A table that leaves while the step fails is let go: that is the stream's part of a pass.
  await mirror.write({ tables: [...tables.slice(0, 1), { source: 'other.c' }] });
  await until(async () => (await mirror.atDestination('select from bunnydb.tables')).length === 1, {
    timeoutMs: 20_000,
    late: async () => new Error(await mirror.readLog()),
  });
  await mirror.atSource(`insert into a values (11, 'new')`);
  await mirror.caughtUp();
  await mirror.assertSame(['a']);
  const still = await mirror.waitFor(({ status }) => status.tables.length === 2);
  assert.equal(condition(still, 'Ready'), 'False PermissionDenied');
  await mirror.atDestination('drop event trigger no_schema');
  await mirror.waitReady();
  await mirror.assertSame(['a', 'other.c']);
  await mirror.assertNothingToDo();
});

test('a table that cannot join yet is locked at its back-off and not at each pass; its error stays', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: BOTH.slice(0, 1) });
  await mirror.start();
  await mirror.waitReady();
  const writer = await holdAtSource(mirror, `insert into b values (11, 'open')`);
  const tries = new Set<string>();
  try {
    await mirror.write({ tables: BOTH });
    const hasError = ({ status }: Status): boolean =>
      status.tables[1]?.error?.code === 'LockTimeout';
    await mirror.waitFor(hasError);
    for (const endMs = performance.now() + 8_000; performance.now() < endMs; await delay(100)) {
      await mirror.atDestination(`select pg_notify('bunnydb', '${mirror.name}')`);
      const waiting = await mirror.atSource(
        `select l.waitstart::text as since from pg_locks l join pg_class c on c.oid = l.relation
        where c.relname = 'b' and not l.granted`,
      );
      for (const { since } of waiting) tries.add(String(since));
      assert.ok(hasError(await mirror.waitFor(() => true)), 'the error is gone, its cause is not');
    }
  } finally {
    await writer.release();
  }
  // 1, 2 and 4 seconds apart, with jitter; without a back-off it would be about eight.
  assert.ok(tries.size <= 3, `${tries.size} tries in 8 s`);
  await mirror.waitReady();
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
});
