/** What was to be streamed is gone, or is another source's: nothing goes on in silence, and there is a way out. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { inspect } from 'node:util';
import { observe } from '../../src/observe/observe.ts';
import { isEmptyPlan, type Plan } from '../../src/plan/plan.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { openSession } from '../../src/postgres/session.ts';
import { loadDirectory } from '../../src/spec/load.ts';
import { isReady, type Status } from '../../src/status/status.ts';
import type { Cluster } from '../servers/cluster.ts';
import { startCluster } from '../servers/cluster.ts';
import { Backup, Standbys } from '../servers/copies.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { InProcess } from './in-process.ts';
import { Reader } from './reader.ts';
import { TestMirror, type TestSpec } from './test-mirror.ts';

const SETUP = /* sql */ `
create table a (id int primary key, v text);
create table b (id int primary key, v text);
insert into a select g, 'a' || g from generate_series(1, 1000) g;
insert into b select g, 'b' || g from generate_series(1, 10) g;
`;
const TABLES = ['a', 'b'];
const TIMEOUT_MS = 60_000;

function spec(more: Partial<TestSpec> = {}): TestSpec {
  return { tables: TABLES.map((name) => ({ source: `public.${name}` })), ...more };
}

function condition({ status }: Status, type: string): string | undefined {
  const found = status.conditions.find((one) => one.type === type);
  return found && `${found.status} ${found.reason}`;
}

/** The mirror says that it stands still, and why; returns its words. */
async function stopped(mirror: TestMirror, reason: string): Promise<string> {
  const status = await mirror.waitFor((now) => condition(now, 'Replicating') === `False ${reason}`);
  assert.equal(condition(status, 'Ready'), `False ${reason}`);
  return status.status.conditions.find(({ type }) => type === 'Replicating')?.message ?? '';
}

async function insert(mirror: TestMirror, id: number): Promise<void> {
  await mirror.atSource(`insert into a values (${id}, 'new'); insert into b values (${id}, 'new')`);
}

async function has(mirror: TestMirror, id: number): Promise<boolean> {
  return (await mirror.atDestination(`select from a where id = ${id}`)).length > 0;
}

/** There is nothing left to do, and all is as at the source, with what is written now. */
async function assertWhole(mirror: TestMirror, id: number): Promise<void> {
  const [file] = (await loadDirectory(mirror.mirrorDirectory)).mirrors;
  assert.ok(file);
  const options = { mirror: mirror.name, role: 'observer' } as const;
  await using source = await openSession(file.source, options);
  await using destination = await openSession(file.destination, options);
  let plan: Plan | undefined;
  await until(
    async () => {
      // A look is no snapshot: one that a swap moved tables under is made again.
      const look = await observe(file, { source, destination }).catch(() => undefined);
      plan = look && planMirror(file, look);
      return plan !== undefined && isEmptyPlan(plan);
    },
    { timeoutMs: TIMEOUT_MS, late: async () => new Error(inspect(plan)) },
  );
  await mirror.waitFor(isReady);
  await insert(mirror, id);
  await mirror.caughtUp();
  await mirror.assertSame(TABLES);
}

const GIVEN_UP = 'the slot is given up';

function given(loop: InProcess): string[] {
  return loop.warnings.filter((line) => line.includes(GIVEN_UP));
}

async function slotState(mirror: TestMirror): Promise<string | undefined | null> {
  return (await mirror.atDestination('select slot_state from bunnydb.mirrors'))[0]?.['slot_state'];
}

test('a slot that was dropped by hand, made again by hand, and given up by a raised counter and a kill -9', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const slot = `bunny_${mirror.name}`;
  await using loop = await InProcess.start(mirror, spec());
  await mirror.waitFor(isReady);
  await loop.stop();
  await mirror.atSource(`select pg_drop_replication_slot('${slot}')`);
  await insert(mirror, 2_001);
  loop.start({ kind: 'present' });
  assert.match(
    await stopped(mirror, 'SlotLost'),
    new RegExp(`^slot ${slot} is gone\\. .*resyncGeneration`),
  );
  await mirror.atSource(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  await insert(mirror, 2_002);
  loop.lookAgain();
  assert.match(
    await stopped(mirror, 'TargetRewound'),
    /has confirmed \S+, and only \S+ was applied: .*restored.*made or moved the slot by hand/,
  );
  assert.ok(!(await has(mirror, 2_001)) && !(await has(mirror, 2_002)));
  await loop.stop();

  // The new slot has to wait for it: that is when the daemon dies.
  const session = { mirror: 'blocker', role: 'writer' } as const;
  await using writer = await openSession(mirror.sourceEndpoint(), session);
  await writer.query('begin');
  await writer.query("insert into public.b values (3000, 'held')");
  const isWhole = 'select count(*) >= 1000 as whole from a';
  await using reader = await Reader.start(mirror.destination, [isWhole]);
  await mirror.write(spec({ resyncGeneration: 1, resyncStrategy: 'swap' }));
  await mirror.start();
  await until(async () => (await slotState(mirror)) === 'creating', {
    timeoutMs: TIMEOUT_MS,
    late: async () => new Error(await mirror.readLog()),
  });
  await mirror.kill();
  await writer.query('commit');
  await using next = await InProcess.start(
    mirror,
    spec({ resyncGeneration: 1, resyncStrategy: 'swap' }),
  );
  await assertWhole(mirror, 2_003);
  assert.ok((await reader.stop()).reads > 0);
  const told = (await mirror.readLog()).split('\n').filter((line) => line.includes(GIVEN_UP));
  assert.deepEqual([told.length, given(next).length], [1, 0]);
});

test('WAL that the source removed: while it was streamed, and while nobody read it', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await using loop = await InProcess.start(mirror, spec());
  await mirror.waitFor(isReady);
  await mirror.atSource("alter system set max_slot_wal_keep_size = '1MB'");
  await mirror.atSource('select pg_reload_conf()');
  try {
    const lock = await mirror.holdLockAtDestination('a', 'share');
    await insert(mirror, 2_001);
    await removeWal(mirror);
    await insert(mirror, 2_002);
    assert.match(await stopped(mirror, 'SlotLost'), /was invalidated \(wal_status lost/);
    await lock.release();
    const broken = loop.warnings.filter((line) => line.includes('ConnectionFailed'));
    assert.deepEqual(broken.slice(1), []);
    assert.ok(!(await has(mirror, 2_002)));

    let takenBack: Promise<void> | undefined;
    loop.at('snapshot-taken', 'public.a', () => {
      takenBack = loop.write(spec({ onSlotLoss: 'Stop' }));
    });
    await loop.write(spec({ onSlotLoss: 'Resync' }));
    // What was begun goes on.
    await until(() => takenBack !== undefined, {
      timeoutMs: TIMEOUT_MS,
      late: async () => new Error('nothing was copied'),
    });
    await takenBack;
    await assertWhole(mirror, 2_003);
    assert.equal(given(loop).length, 1);

    await loop.stop();
    await removeWal(mirror);
    await loop.write(spec({ onSlotLoss: 'Resync' }));
    loop.start({ kind: 'present' });
    await assertWhole(mirror, 2_004);
    assert.equal(given(loop).length, 2);
  } finally {
    await mirror.atSource('alter system reset max_slot_wal_keep_size');
    await mirror.atSource('select pg_reload_conf()');
  }
});

/** Writes WAL until the mirror's slot has lost what it needs. */
async function removeWal(mirror: TestMirror): Promise<void> {
  const status = `select wal_status from pg_replication_slots where slot_name = 'bunny_${mirror.name}'`;
  await until(
    async () => {
      for (let segment = 0; segment < 3; segment += 1)
        await mirror.atSource(
          "select pg_logical_emit_message(false, 'test', 'fill'), pg_switch_wal()",
        );
      await mirror.atSource('checkpoint');
      return (await mirror.atSource(status))[0]?.['wal_status'] === 'lost';
    },
    { timeoutMs: TIMEOUT_MS, late: async () => new Error('the slot loses nothing') },
  );
}

test('a destination that is restored from a backup', async () => {
  const { source } = await sharedClusters();
  await using destination = await startCluster();
  await using mirror = await TestMirror.create({ source, destination }, SETUP);
  await using loop = await InProcess.start(mirror, spec());
  await mirror.waitFor(isReady);
  await destination.stop('immediate');
  await using backup = await Backup.take(destination);
  await destination.start();
  await insert(mirror, 2_001);
  await mirror.caughtUp();
  await destination.stop('immediate');
  await backup.putBack();
  await destination.start();
  assert.match(
    await stopped(mirror, 'TargetRewound'),
    /the destination was restored from a backup/,
  );
  await insert(mirror, 2_002);
  assert.ok(!(await has(mirror, 2_001)) && !(await has(mirror, 2_002)));
  await loop.write(spec({ onSlotLoss: 'Resync' }));
  await assertWhole(mirror, 2_003);
});

test('a source that fails over: to a standby that lacks what was applied, and to one that has it all', async () => {
  const { destination } = await sharedClusters();
  await using first = await startCluster();
  await using standbys = new Standbys();
  await using mirror = await TestMirror.create({ source: first, destination }, SETUP);
  await using loop = await InProcess.start(mirror, spec());
  await mirror.waitFor(isReady);
  const second = await standbys.add(first);
  await insert(mirror, 2_001);
  await mirror.caughtUp();
  await replayed(second, first);
  await second.stop('immediate');
  await insert(mirror, 2_002);
  await mirror.caughtUp();
  await first.crash();
  await second.start();
  await second.query('postgres', 'select pg_promote()');
  mirror.source = { ...mirror.source, cluster: second };
  await loop.write(spec());
  assert.match(
    await stopped(mirror, 'SlotLost'),
    /was applied up to \S+ on timeline 1, and the source left that at \S+ when it failed over to timeline 2/,
  );
  assert.ok(await has(mirror, 2_002));
  await loop.write(spec({ onSlotLoss: 'Resync' }));
  await assertWhole(mirror, 2_003);
  assert.ok(!(await has(mirror, 2_002)));

  const third = await standbys.add(second);
  await insert(mirror, 2_004);
  await mirror.caughtUp();
  await replayed(third, second);
  await second.crash();
  await third.query('postgres', 'select pg_promote()');
  mirror.source = { ...mirror.source, cluster: third };
  const copies = given(loop).length;
  await loop.write(spec({ onSlotLoss: 'Resync' }));
  await assertWhole(mirror, 2_005);
  assert.equal(given(loop).length, copies);
  const [ledger] = await mirror.atDestination('select source_timeline from bunnydb.mirrors');
  assert.equal(ledger?.['source_timeline'], '3');
});

/** Returns when the standby has everything that its primary has written. */
async function replayed(standby: Cluster, primary: Cluster): Promise<void> {
  const [row] = await primary.query('postgres', 'select pg_current_wal_flush_lsn() as lsn');
  await until(
    async () => {
      const sql = `select pg_last_wal_replay_lsn() >= '${row?.['lsn']}' as done`;
      return (await standby.query('postgres', sql))[0]?.['done'] === 't';
    },
    { timeoutMs: TIMEOUT_MS, late: async () => new Error('the standby does not follow') },
  );
}

test('another cluster and another database are taken only when the counter says so', async () => {
  const clusters = await sharedClusters();
  await using mirror = await TestMirror.create(clusters, SETUP);
  const slot = `bunny_${mirror.name}`;
  const former = mirror.source;
  await using loop = await InProcess.start(mirror, spec());
  await mirror.waitFor(isReady);
  const other = await clusters.destination.createDatabase();
  await clusters.destination.query(other, `${SETUP} update a set v = 'other'`);
  mirror.source = { cluster: clusters.destination, database: other };
  await loop.write(spec({ onSlotLoss: 'Resync' }));
  assert.match(
    await stopped(mirror, 'IdentityChanged'),
    /^the source is cluster \d+; what was copied came from cluster \d+\. .*resyncGeneration/,
  );
  await loop.write(spec({ resyncGeneration: 1 }));
  await assertWhole(mirror, 2_001);
  const [, where, drop = ''] =
    /"left":"(cluster \d+), database [^:]*: ([^;]*;)/.exec(given(loop)[0] ?? '') ?? [];
  assert.match(where ?? '', /^cluster/);
  await former.cluster.query(former.database, drop);
  assert.deepEqual(
    await former.cluster.query(
      'postgres',
      `select from pg_replication_slots where slot_name = '${slot}'`,
    ),
    [],
  );

  const third = await clusters.destination.createDatabase();
  await clusters.destination.query(third, `${SETUP} update a set v = 'third'`);
  mirror.source = { cluster: clusters.destination, database: third };
  await loop.write(spec({ resyncGeneration: 2 }));
  await assertWhole(mirror, 2_002);
  await former.cluster.dropDatabase(former.database);
  await clusters.destination.dropDatabase(other);
});

test("a mirror goes over to a DBA's publication and back, each time with a copy of everything", async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const publications = async (): Promise<string[]> =>
    (await mirror.atSource('select pubname from pg_publication order by 1')).map(
      (row) => row['pubname'] ?? '',
    );
  await using loop = await InProcess.start(mirror, spec());
  await mirror.waitFor(isReady);
  await mirror.atSource('create publication theirs for all tables');
  await loop.write(spec({ publication: 'theirs', onSlotLoss: 'Resync' }));
  assert.match(
    await stopped(mirror, 'ImmutableFieldChanged'),
    /^publication is theirs in the file; .*Take the edit back, or raise/,
  );
  await loop.write(spec({ publication: 'theirs', resyncGeneration: 1 }));
  await assertWhole(mirror, 2_001);
  assert.deepEqual(await publications(), ['theirs']);
  await loop.write(spec({ resyncGeneration: 2 }));
  await assertWhole(mirror, 2_002);
  assert.deepEqual(await publications(), [`bunny_${mirror.name}`, 'theirs']);
});
