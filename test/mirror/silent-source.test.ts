/** A source that stops answering without a word: its sessions are stopped, as on a host that vanished. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Condition, ConditionType } from '../../src/status/conditions.ts';
import { isReady, type Status } from '../../src/status/status.ts';
import { startCluster } from '../servers/cluster.ts';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';

/** Stops the server processes of the mirror's sessions at the source; disposing wakes them. */
async function silence(mirror: TestMirror): Promise<Disposable> {
  const rows = await mirror.atSource(
    'select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
  );
  const pids = rows.map((row) => Number(row['pid']));
  assert.ok(pids.length >= 2, 'the walsender and the observer');
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return {
    [Symbol.dispose]: () => {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    },
  };
}

function conditionOf({ status }: Status, wanted: ConditionType): Condition | undefined {
  return status.conditions.find(({ type }) => type === wanted);
}

test('a source that does not answer is not Ready, until it answers; a stop does not wait for it', async () => {
  // A server of its own: a stopped backend would hold up others' tests.
  await using source = await startCluster();
  const { destination } = await sharedClusters();
  await using mirror = await TestMirror.create(
    { source, destination },
    'create table a (id int primary key)',
  );
  await mirror.write({ tables: [{ source: 'public.a' }] });
  await mirror.start();
  await mirror.waitReady();
  {
    using _silence = await silence(mirror);
    const status = await mirror.waitFor(
      (now) => conditionOf(now, 'Replicating')?.status === 'Unknown',
      45_000,
    );
    assert.equal(conditionOf(status, 'Replicating')?.reason, 'ConnectionFailed');
    assert.match(
      conditionOf(status, 'Replicating')?.message ?? '',
      /^the source has not answered for 3\d s$/,
    );
    assert.equal(isReady(status), false);
    assert.ok((status.status.lag?.seconds ?? 0) >= 30);
  }
  await mirror.waitReady();
  await mirror.atSource('insert into a values (1)');
  await mirror.caughtUp();
  await mirror.assertSame(['a']);
  assert.doesNotMatch(await mirror.readLog(), /pass failed/);

  using _silence = await silence(mirror);
  const startMs = performance.now();
  await mirror.stop();
  assert.ok(performance.now() - startMs < 4_500, 'SIGTERM took too long');
  assert.match(await mirror.readLog(), /"stopped"/);
});
