/** The life of a run: counters, failures, hands and other daemons that come between its steps. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { TableStatus } from '../../src/status/table-status.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { startBeside } from './beside.ts';
import { leftovers } from './leftovers.ts';
import { TestMirror, type TestSpec } from './test-mirror.ts';
import { Trap } from './trap.ts';

const SETUP = /* sql */ `
create table a (id int primary key, note text);
insert into a select g, 'row ' || g from generate_series(1, 1000) g;
create table b (id int primary key, note text);
insert into b select g, 'row ' || g from generate_series(1, 1000) g;
`;

function spec(a: number, b = 0, more: Partial<TestSpec> = {}): TestSpec {
  return {
    resyncStrategy: 'swap',
    tables: [
      { source: 'public.a', resyncGeneration: a },
      { source: 'public.b', resyncGeneration: b },
    ],
    ...more,
  };
}

async function liveMirror(more: Partial<TestSpec> = {}): Promise<TestMirror> {
  const mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write(spec(0, 0, more));
  await mirror.start();
  await mirror.waitReady();
  return mirror;
}

async function tableOf(mirror: TestMirror, source: string): Promise<TableStatus | undefined> {
  return (await mirror.status())?.status.tables.find((table) => table.source === source);
}

async function idOf(mirror: TestMirror, name: string): Promise<string> {
  const [row] = await mirror.atDestination(
    `select id from bunnydb.tables where source_name = '${name}'`,
  );
  return row?.['id'] ?? '';
}

async function reached(mirror: TestMirror, condition: () => Promise<boolean>): Promise<void> {
  await until(condition, {
    timeoutMs: 30_000,
    late: async () => new Error(await mirror.readLog()),
  });
}

test('a swap that failed and a change that the old table does not take: the counter goes back, and the change is not lost', async () => {
  await using mirror = await liveMirror();
  await mirror.atDestination(`
    create function refuse() returns event_trigger language plpgsql as $$
    begin raise exception 'no schema today' using errcode = 'insufficient_privilege'; end $$;
    create event trigger no_schema on ddl_command_start when tag in ('CREATE SCHEMA') execute function refuse();
    alter event trigger no_schema enable always`);
  await mirror.write(spec(1));
  await mirror.waitForPhase('a', 'Failed');
  await mirror.atDestination(`insert into a values (9000, 'by hand')`);
  await mirror.atSource(`insert into a values (9000, 'by the application')`);
  await mirror.caughtUp();
  await mirror.write(spec(0));
  await mirror.waitFor(({ status }) => status.tables[0]?.resyncGeneration.desired === 0);
  await mirror.atDestination('drop event trigger no_schema');
  await mirror.waitReady();
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
  assert.deepEqual(await leftovers(mirror), []);
});

test('rows deleted by hand while a swap runs are known to be missing when its counter goes back', async () => {
  await using mirror = await liveMirror();
  const reader = await mirror.holdLockAtDestination('public.a', 'access share');
  await mirror.write(spec(1));
  await mirror.waitForPhase('a', 'CatchingUp');
  await mirror.atDestination('delete from a where id = 7');
  await mirror.atSource(`update a set note = 'new' where id = 7`);
  await mirror.caughtUp();
  await mirror.write(spec(0));
  await mirror.waitForPhase('a', 'Live');
  await mirror.waitFor(({ status }) => status.tables[0]?.error?.code === 'RowsMissing');
  await reader.release();
  await mirror.write(spec(1));
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
});

test('what readers have is old while a swap replaces a table that cannot be written: the status says so', async () => {
  await using mirror = await liveMirror();
  const reader = await mirror.holdLockAtDestination('public.a', 'access share');
  await mirror.write(spec(1));
  await mirror.waitForPhase('a', 'CatchingUp');
  await mirror.atDestination(`insert into a values (9000, 'by hand')`);
  await mirror.atSource(`insert into a values (9000, 'by the application')`);
  const { status } = await mirror.waitFor((now) => now.status.tables[0]?.error !== undefined);
  assert.equal(status.tables[0]?.error?.code, 'ConstraintViolated');
  assert.equal(status.tables[0]?.resyncStatus, 'in_progress');
  await reader.release();
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
});

test('a swap that only waits for its lock takes no other copy’s place', async () => {
  const one = { snapshot: { tablesInParallel: 1 } };
  await using mirror = await liveMirror(one);
  const reader = await mirror.holdLockAtDestination('public.a', 'access share');
  await mirror.write(spec(1, 0, one));
  await mirror.waitFor(({ status }) => status.tables[0]?.resync?.waitsFor !== undefined);
  await mirror.write(spec(1, 1, one));
  const { status } = await mirror.waitFor(
    (now) => now.status.tables[1]?.resyncGeneration.observed === 1,
    20_000,
  );
  assert.equal(status.tables[0]?.resyncStatus, 'in_progress');
  await reader.release();
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
  assert.deepEqual(await leftovers(mirror), []);
});

test('bumped again while a swap that another daemon began waits for its lock: it starts again', async () => {
  await using mirror = await liveMirror();
  const reader = await mirror.holdLockAtDestination('public.a', 'access share');
  await mirror.write(spec(1));
  await mirror.waitForPhase('a', 'CatchingUp');
  await mirror.stop();
  await mirror.start();
  await reached(
    mirror,
    async () => (await tableOf(mirror, 'public.a'))?.resync?.tries !== undefined,
  );
  await mirror.write(spec(5));
  await reached(mirror, async () => {
    const [row] = await mirror.atDestination(
      `select state -> 'run' -> 'generation' ->> 'table' as generation from bunnydb.tables where source_name = 'a'`,
    );
    return row?.['generation'] === '5';
  });
  await reader.release();
  await mirror.waitReady();
  assert.deepEqual((await tableOf(mirror, 'public.a'))?.resyncGeneration, {
    desired: 5,
    observed: 5,
  });
  await mirror.assertSame(['a', 'b']);
});

test('a daemon that lost its mirror between a hand-over and its end leaves the next one’s shadow alone', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const trap = new Trap(mirror);
  await mirror.write(spec(0));
  const former = await mirror.start([], trap.node);
  await mirror.waitReady();
  await trap.set({ checkpoint: 'handed-over', table: 'public.a', nth: 1, action: 'hold' });
  await mirror.write(spec(1));
  await trap.held(former);
  // Its lock is gone, as when the network forgets a connection; its other sessions are not.
  const end = `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bunnydb:${mirror.name}:`;
  await mirror.atDestination(`${end}owner'`);
  await mirror.atSource(`${end}walsender'`);
  const left = await mirror.atDestination(
    `select pid from pg_stat_activity where application_name like 'bunnydb:${mirror.name}:%'`,
  );
  assert.ok(left.length > 0);
  const isReady = (generation: number) => (now: { status: { tables: readonly TableStatus[] } }) =>
    now.status.tables[0]?.resyncGeneration.observed === generation;
  await using _next = await startBeside(mirror, 'next');
  await mirror.waitFor(isReady(1));
  await reached(mirror, async () => (await leftovers(mirror)).length === 0);
  const reader = await mirror.holdLockAtDestination('public.a', 'access share');
  await mirror.write(spec(2));
  await mirror.waitForPhase('a', 'CatchingUp');
  const id = await idOf(mirror, 'a');
  const shadowOid = async (): Promise<unknown> =>
    mirror.atDestination(`select to_regclass('bunnydb_shadow_${id}.a')::oid as oid`);
  const before = await shadowOid();
  await trap.release();
  await reached(mirror, async () => {
    const pids = left.map(({ pid }) => pid).join(',');
    return (
      (await mirror.atDestination(`select from pg_stat_activity where pid in (${pids})`)).length ===
      0
    );
  });
  assert.deepEqual(await shadowOid(), before);
  await reader.release();
  await mirror.waitFor(isReady(2));
  await mirror.assertSame(['a', 'b']);
});

test('kill -9 while a table is let go with its swap: all of it is gone, or nothing', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const trap = new Trap(mirror);
  await mirror.write(spec(0));
  const daemon = await mirror.start([], trap.node);
  await mirror.waitReady();
  const reader = await mirror.holdLockAtDestination('public.a', 'access share');
  await mirror.write(spec(1));
  await mirror.waitForPhase('a', 'CatchingUp');
  await trap.set({ checkpoint: 'old-dropped', table: 'public.a', nth: 1, action: 'kill' });
  await mirror.write(spec(0, 0, { tables: [{ source: 'public.b' }] }));
  await trap.killed(daemon);
  const parts = async (): Promise<unknown> =>
    mirror.atDestination(`
      select (select count(*) from bunnydb.tables where source_name = 'a') as known,
        (select count(*) from pg_class where relname ~ '^spool_' and relkind = 'r') as spools,
        (select count(*) from pg_namespace where nspname ~ '^bunnydb_shadow_') as shadows`);
  await reached(mirror, async () => {
    const [row] = await mirror.atDestination(
      `select count(*) from pg_stat_activity where application_name like 'bunnydb:%' and datname = current_database()`,
    );
    return row?.['count'] === '0';
  });
  assert.deepEqual(await parts(), [{ known: '1', spools: '1', shadows: '1' }]);
  await reader.release();
  await mirror.start();
  await mirror.waitReady();
  assert.deepEqual(await leftovers(mirror), []);
});

test('a source table that is dropped and made again in a publication of all tables: never silently followed from nothing', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    `${SETUP} create publication everything for all tables`,
  );
  const own = { publication: 'everything' };
  await mirror.write(spec(0, 0, own));
  const daemon = await mirror.start();
  await mirror.waitReady();
  await mirror.atSource(`
    drop table a;
    create table a (id int primary key, note text);
    insert into a values (1, 'another table')`);
  daemon.signal('SIGHUP');
  await mirror.waitFor(({ status }) => status.tables[0]?.error?.code === 'SlotLost', 20_000);
  await mirror.write(spec(1, 0, own));
  await mirror.waitReady();
  await mirror.atSource(`insert into a values (2, 'followed')`);
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
});
