/** Two daemons on one directory and one status directory: one owns the mirror, the other stands by and takes over. */
import assert from 'node:assert/strict';
import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { describe } from 'node:test';
import { isReady } from '../../src/status/status.ts';
import { runCommand } from '../servers/daemon.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { epochOf, ownerOf, standbys, startBeside } from './beside.ts';
import { leftovers, slotCount } from './leftovers.ts';
import { TestMirror } from './test-mirror.ts';
import { Writers, type Transaction } from './writers.ts';

const SETUP = /* sql */ `
create table accounts (id int primary key, balance bigint not null, note text);
insert into accounts select g, 0, md5(g::text) from generate_series(1, 2000) g;
create table history (writer int, round int);
alter table history replica identity full;
`;
const TABLES = ['accounts', 'history'];
const SPEC = { tables: TABLES.map((name) => ({ source: `public.${name}` })) };

const transaction: Transaction = (writer, round) => [
  `insert into history values (${writer}, ${round})`,
  `update accounts set balance = balance + 1 where id = ${1 + ((writer * 397 + round * 31) % 2000)}`,
];

/** How long it takes until a row that is written now arrives. */
async function arrivalMs(mirror: TestMirror, round: number): Promise<number> {
  const startMs = performance.now();
  await mirror.atSource(`insert into history values (-1, ${round})`);
  const row = `select from history where writer = -1 and round = ${round}`;
  await until(async () => (await mirror.atDestination(row)).length > 0, {
    timeoutMs: 60_000,
    late: async () => new Error(`row ${round} never came`),
  });
  return performance.now() - startMs;
}

async function assertWhole(mirror: TestMirror): Promise<void> {
  await mirror.caughtUp();
  await mirror.assertSame(TABLES);
  assert.deepEqual(await leftovers(mirror), []);
  assert.equal(await slotCount(mirror), 1);
  await mirror.assertNothingToDo();
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

describe('two daemons', { concurrency: 3 }, () => {
  test('an owner that is paused is relieved, and commits nothing when it wakes', async (t) => {
    await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
    await mirror.write(SPEC);
    await using first = await startBeside(mirror, 'first');
    await mirror.waitReady();
    await using second = await startBeside(mirror, 'second');
    await standbys(mirror, 1);
    await using writers = await Writers.start(mirror.source, 3, transaction);
    await arrivalMs(mirror, 0);
    let owner = await ownerOf(mirror, [first, second]);
    owner.daemon.signal('SIGSTOP');
    // It may have given the mirror away at that very moment; once it is stopped it cannot.
    while ((await ownerOf(mirror, [first, second])) !== owner) {
      owner.daemon.signal('SIGCONT');
      owner = await ownerOf(mirror, [first, second]);
      owner.daemon.signal('SIGSTOP');
    }
    const standby = owner === first ? second : first;
    const tookMs = await arrivalMs(mirror, 1);
    t.diagnostic(`streams ${Math.round(tookMs)} ms after SIGSTOP`);
    await standby.said('ended the session of an owner that was silent');
    await mirror.waitFor(isReady);
    const epoch = await epochOf(mirror);
    owner.daemon.signal('SIGCONT');
    await owner.said('stands by');
    // It told nothing of itself: the status is the owner's.
    await mirror.waitFor((now) => isReady(now) && now.status.state === 'RUNNING', 2_000);
    await arrivalMs(mirror, 2);
    const commits = await writers.stop();
    await assertWhole(mirror);
    const [history] = await mirror.atDestination(
      'select count(*) as n from history where writer >= 0',
    );
    assert.equal(Number(history?.['n']), commits);
    assert.equal(await epochOf(mirror), epoch);
    assert.ok(tookMs > 15_000, 'nobody is relieved who may be alive');
    assert.ok(tookMs < 35_000, `${tookMs} ms`);
  });

  test('kill -9: the standby streams within 10 s, and the status is right a second or two later', async (t) => {
    await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
    await mirror.write(SPEC);
    await using first = await startBeside(mirror, 'first');
    await mirror.waitReady();
    await using second = await startBeside(mirror, 'second');
    await standbys(mirror, 1);
    const owner = await ownerOf(mirror, [first, second]);
    const standby = owner === first ? second : first;
    assert.doesNotMatch(await standby.readLog(), /pass failed/);
    owner.daemon.signal('SIGKILL');
    const tookMs = await arrivalMs(mirror, 1);
    t.diagnostic(`streams ${Math.round(tookMs)} ms after kill -9`);
    assert.ok(tookMs < 10_000, `${tookMs} ms`);
    await standby.said('took over');
    const lsn = (await mirror.status())?.status.lag?.appliedLsn;
    await arrivalMs(mirror, 2);
    await mirror.waitFor((now) => isReady(now) && now.status.lag?.appliedLsn !== lsn, 3_000);
    await assertWhole(mirror);
  });

  test('SIGTERM hands over at once, and a comparison that is asked for meanwhile is made', async (t) => {
    await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
    await mirror.write(SPEC);
    await using first = await startBeside(mirror, 'first');
    await mirror.waitReady();
    await using second = await startBeside(mirror, 'second');
    await standbys(mirror, 1);
    const owner = await ownerOf(mirror, [first, second]);
    const verifying = mirror.command('verify', mirror.name, '--timeout', '60s');
    owner.daemon.signal('SIGTERM');
    const tookMs = await arrivalMs(mirror, 1);
    t.diagnostic(`streams ${Math.round(tookMs)} ms after SIGTERM`);
    assert.ok(tookMs < 5_000, `${tookMs} ms`);
    const { code, stdout, stderr } = await verifying;
    assert.equal(code, 0, stdout + stderr);
    await mirror.waitReady();
    await assertWhole(mirror);
  });

  test('a daemon that loses a mirror takes its last word away where the next owner does not write', async () => {
    await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
    await mirror.write(SPEC);
    const statusDirectory = join(dirname(mirror.log), 'own');
    const path = join(statusDirectory, `${mirror.name}.yaml`);
    await using first = await startBeside(mirror, 'first', { statusDirectory });
    await until(async () => exists(path), {
      timeoutMs: 60_000,
      late: async () => new Error('no status'),
    });
    await using second = await startBeside(mirror, 'second');
    await standbys(mirror, 1);
    // Unless it was given away just now, the lock goes as when the network forgets a connection.
    await mirror.atDestination(`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'bunnydb:${mirror.name}:owner'`);
    await second.said('took over');
    await mirror.waitReady();
    await until(async () => !(await exists(path)), {
      timeoutMs: 15_000,
      late: async () => new Error(`it stays:\n${await first.readLog()}`),
    });
    await arrivalMs(mirror, 1);
    await assertWhole(mirror);
  });

  test('run --once leaves a mirror alone that another daemon runs: exit code 1, and no status', async () => {
    await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
    await mirror.write(SPEC);
    await mirror.start();
    await mirror.waitReady();
    const epoch = await epochOf(mirror);
    const statusDirectory = join(dirname(mirror.log), 'once');
    const dirs = ['--dir', mirror.mirrorDirectory, '--status-dir', statusDirectory];
    const { code, stderr } = await runCommand(['run', '--once', ...dirs]);
    assert.equal(code, 1, stderr);
    assert.match(stderr, /another daemon runs the mirror/);
    assert.equal(await exists(join(statusDirectory, `${mirror.name}.yaml`)), false);
    await arrivalMs(mirror, 1);
    assert.equal(await epochOf(mirror), epoch);
  });

  test('who cannot reach the source stands by for nobody, tells nothing, and takes no mirror to fail with it', async () => {
    await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
    await mirror.write(SPEC);
    await using first = await startBeside(mirror, 'first');
    await mirror.waitReady();
    const statusDirectory = join(dirname(mirror.log), 'deaf');
    await using deaf = await startBeside(mirror, 'deaf', {
      statusDirectory,
      nodeArgs: ['--import', './test/mirror/deaf.ts'],
      env: { BUNNYDB_TEST_DEAF: String(mirror.sourceEndpoint().port) },
    });
    await deaf.said('cannot reach the source');
    await standbys(mirror, 0);
    await using second = await startBeside(mirror, 'second');
    await standbys(mirror, 1);
    first.daemon.signal('SIGKILL');
    await second.said('took over');
    await arrivalMs(mirror, 1);
    assert.doesNotMatch(await deaf.readLog(), /took over/);
    assert.equal(await exists(join(statusDirectory, `${mirror.name}.yaml`)), false);
    await mirror.waitReady();
    await assertWhole(mirror);
  });
});
