/** What was to be streamed is gone, or is another source's: nothing goes on in silence, and there is a way out. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { openSession } from '../../src/postgres/session.ts';
import type { Status } from '../../src/status/status.ts';
import type { Cluster } from '../servers/cluster.ts';
import { startCluster } from '../servers/cluster.ts';
import { Backup, Standbys } from '../servers/copies.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { Reader } from './reader.ts';
import { TestMirror, type TestSpec } from './test-mirror.ts';
import { Trap } from './trap.ts';

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

/** Everything is as at the source, what is written now comes too, and there is nothing to do. */
async function assertWhole(mirror: TestMirror, id: number): Promise<void> {
  await mirror.waitReady();
  await insert(mirror, id);
  await mirror.caughtUp();
  await mirror.assertSame(TABLES);
  await mirror.assertNothingToDo();
}

async function logged(mirror: TestMirror, text: string): Promise<string[]> {
  return (await mirror.readLog()).split('\n').filter((line) => line.includes(text));
}

async function slotState(mirror: TestMirror): Promise<string | undefined | null> {
  return (await mirror.atDestination('select slot_state from bunnydb.mirrors'))[0]?.['slot_state'];
}

test('a slot that was dropped by hand, then made again by hand, then given up by a raised counter and a kill -9', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const slot = `bunny_${mirror.name}`;
  await mirror.write(spec());
  await mirror.start();
  await mirror.waitReady();
  await mirror.kill();
  await until(
    async () => {
      await mirror.atSource(`select pg_drop_replication_slot('${slot}')`).catch(() => undefined);
      return (
        (await mirror.atSource(`select from pg_replication_slots where slot_name = '${slot}'`))
          .length === 0
      );
    },
    { timeoutMs: TIMEOUT_MS, late: async () => new Error('the slot stays in use') },
  );
  await insert(mirror, 2_001);
  const daemon = await mirror.start();
  assert.match(
    await stopped(mirror, 'SlotLost'),
    new RegExp(`^slot ${slot} is gone\\. .*resyncGeneration`),
  );
  await mirror.atSource(`select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  await insert(mirror, 2_002);
  daemon.signal('SIGHUP');
  assert.match(
    await stopped(mirror, 'TargetRewound'),
    /has confirmed \S+, and only \S+ was applied: .*restored.*made or moved the slot by hand/,
  );
  assert.ok(!(await has(mirror, 2_001)) && !(await has(mirror, 2_002)));

  // The new slot has to wait for it: that is when the daemon dies.
  await using writer = await openSession(mirror.sourceEndpoint(), {
    mirror: 'blocker',
    role: 'writer',
  });
  await writer.query('begin');
  await writer.query("insert into public.b values (3000, 'held')");
  await using reader = await Reader.start(mirror.destination, [
    'select count(*) >= 1000 as whole from a',
  ]);
  await mirror.write(spec({ resyncGeneration: 1, resyncStrategy: 'swap' }));
  await until(async () => (await slotState(mirror)) === 'creating', {
    timeoutMs: TIMEOUT_MS,
    late: async () => new Error(await mirror.readLog()),
  });
  await mirror.kill();
  await writer.query('commit');
  await mirror.start();
  await assertWhole(mirror, 2_003);
  assert.ok((await reader.stop()).reads > 0);
  assert.equal((await logged(mirror, 'the slot is given up')).length, 1);
});

test('WAL that the source removed: beside a daemon that hangs, and while none runs', async () => {
  const clusters = await sharedClusters();
  await using mirror = await TestMirror.create(clusters, SETUP);
  const trap = new Trap(mirror);
  await mirror.write(spec());
  const daemon = await mirror.start([], trap.node);
  await mirror.waitReady();
  await mirror.atSource("alter system set max_slot_wal_keep_size = '1MB'");
  await mirror.atSource('select pg_reload_conf()');
  try {
    daemon.signal('SIGSTOP');
    await removeWal(mirror);
    await insert(mirror, 2_001);
    daemon.signal('SIGCONT');
    assert.match(await stopped(mirror, 'SlotLost'), /was invalidated \(wal_status lost/);
    const broken = await logged(mirror, '"code":"ConnectionFailed"');
    assert.deepEqual(broken.filter((line) => line.includes('pass failed')).slice(1), []);
    assert.ok(!(await has(mirror, 2_001)));

    await trap.set({ checkpoint: 'snapshot-taken', table: 'public.a', nth: 1, action: 'hold' });
    await mirror.write(spec({ onSlotLoss: 'Resync', snapshot: { tablesInParallel: 1 } }));
    await trap.held(daemon);
    // Taken back in the middle: what was begun goes on.
    await mirror.write(spec({ onSlotLoss: 'Stop' }));
    await trap.release();
    await assertWhole(mirror, 2_002);

    await mirror.stop();
    await removeWal(mirror);
    await mirror.write(spec({ onSlotLoss: 'Resync' }));
    await mirror.start();
    await until(async () => (await logged(mirror, 'the slot is given up')).length === 2, {
      timeoutMs: TIMEOUT_MS,
      late: async () => new Error(await mirror.readLog()),
    });
    await assertWhole(mirror, 2_003);
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
  await mirror.write(spec());
  await mirror.start();
  await mirror.waitReady();
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
  await mirror.write(spec({ onSlotLoss: 'Resync' }));
  await assertWhole(mirror, 2_003);
});

test('a source that fails over: to a standby that lacks what was applied, and to one that has it all', async () => {
  const { destination } = await sharedClusters();
  await using first = await startCluster();
  await using standbys = new Standbys();
  await using mirror = await TestMirror.create({ source: first, destination }, SETUP);
  await mirror.write(spec());
  await mirror.start();
  await mirror.waitReady();
  const onFirst = mirror.sourceEndpoint();
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
  // A copy has its primary's password, which the daemon knows under its first port.
  const at = ({ port }: Cluster): TestSpec['source'] => ({ ...onFirst, port });
  await mirror.write(spec({ source: at(second) }));
  assert.match(
    await stopped(mirror, 'SlotLost'),
    /was applied up to \S+ on timeline 1, and the source left that at \S+ when it failed over to timeline 2/,
  );
  assert.ok(await has(mirror, 2_002));
  await mirror.write(spec({ source: at(second), onSlotLoss: 'Resync' }));
  await assertWhole(mirror, 2_003);
  assert.ok(!(await has(mirror, 2_002)));

  const third = await standbys.add(second);
  await insert(mirror, 2_004);
  await mirror.caughtUp();
  await replayed(third, second);
  await second.crash();
  await third.query('postgres', 'select pg_promote()');
  mirror.source = { ...mirror.source, cluster: third };
  const copies = (await logged(mirror, 'the slot is given up')).length;
  await mirror.write(spec({ source: at(third), onSlotLoss: 'Resync' }));
  await assertWhole(mirror, 2_005);
  assert.equal((await logged(mirror, 'the slot is given up')).length, copies);
  assert.equal((await logged(mirror, 'failed over from timeline 2 to 3')).length, 1);
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
  await mirror.write(spec());
  await mirror.start();
  await mirror.waitReady();
  const other = await clusters.destination.createDatabase();
  await clusters.destination.query(other, `${SETUP} update a set v = 'other'`);
  mirror.source = { cluster: clusters.destination, database: other };
  await mirror.write(spec({ onSlotLoss: 'Resync' }));
  assert.match(
    await stopped(mirror, 'IdentityChanged'),
    /^the source is cluster \d+; what was copied came from cluster \d+\. .*resyncGeneration/,
  );
  await mirror.write(spec({ resyncGeneration: 1 }));
  await assertWhole(mirror, 2_001);
  const [given = ''] = await logged(mirror, 'the slot is given up');
  const [, where, drop = ''] = /"left":"(cluster \d+), database [^:]*: ([^;]*;)/.exec(given) ?? [];
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
  await mirror.write(spec({ resyncGeneration: 2 }));
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
  await mirror.write(spec());
  await mirror.start();
  await mirror.waitReady();
  await mirror.atSource('create publication theirs for all tables');
  await mirror.write(spec({ publication: 'theirs', onSlotLoss: 'Resync' }));
  assert.match(
    await stopped(mirror, 'ImmutableFieldChanged'),
    /^publication is theirs in the file; .*Take the edit back, or raise/,
  );
  await mirror.write(spec({ publication: 'theirs', resyncGeneration: 1 }));
  await assertWhole(mirror, 2_001);
  assert.deepEqual(await publications(), ['theirs']);
  await mirror.write(spec({ resyncGeneration: 2 }));
  await assertWhole(mirror, 2_002);
  assert.deepEqual(await publications(), [`bunny_${mirror.name}`, 'theirs']);
});
