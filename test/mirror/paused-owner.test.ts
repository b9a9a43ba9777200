/**
 * An owner that is held still at a checkpoint of a resync and loses its mirror there: the standby takes
 * over and comes to the same end, and when the former owner wakes it changes nothing any more.
 */
import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { ResyncStrategy } from '../../src/core/mirror.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { type Beside, epochOf, ownerOf, startBeside } from './beside.ts';
import {
  assertConverged,
  catalogOf,
  decorate,
  Load,
  resynced,
  SETUP,
  specOf,
  SUBJECT,
} from './subject.ts';
import { TestMirror } from './test-mirror.ts';
import { Trap } from './trap.ts';

/** Before statements that no transaction fences, with a transaction open that others wait for, at the very end. */
const HELD_AT: Readonly<Record<ResyncStrategy, readonly Checkpoint[]>> = {
  truncate: ['rows-copied'],
  swap: ['swapped', 'handed-over'],
};

/** As a standby does after 20 s of silence. */
async function relieve(mirror: TestMirror): Promise<void> {
  await mirror.atDestination(`
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
    where application_name = 'bunnydb:${mirror.name}:owner'`);
}

/** Returns when the daemon that was held has seen that the mirror is not its own. */
async function standsBy(mirror: TestMirror, former: Beside): Promise<void> {
  const look = async (): Promise<boolean> => {
    const rows = await mirror.atDestination(`
      select pid from pg_stat_activity
      where datname = current_database() and application_name = 'bunnydb:${mirror.name}:standby'`);
    return rows.length === 1;
  };
  const late = async (): Promise<Error> => new Error(await former.readLog());
  await until(look, { timeoutMs: 30_000, late });
}

describe('an owner that is held still and relieved', { concurrency: 2 }, () => {
  for (const strategy of ['truncate', 'swap'] as const)
    test(strategy, async (t) => {
      await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
      const trap = new Trap(mirror);
      await mirror.write(specOf(strategy, 0));
      await using first = await startBeside(mirror, 'first', trap.node);
      await resynced(mirror, 0);
      await decorate(mirror);
      const catalog = await catalogOf(mirror);
      await using second = await startBeside(mirror, 'second', trap.node);
      await standsBy(mirror, second);
      let generation = 0;
      let commits = 0;

      for (const checkpoint of HELD_AT[strategy])
        await t.test(checkpoint, async () => {
          generation += 1;
          await using load = await Load.start(mirror, generation);
          await trap.set({ checkpoint, table: SUBJECT, nth: 1, action: 'hold' });
          await mirror.write(specOf(strategy, generation));
          await trap.held(first.daemon);
          const former = await ownerOf(mirror, [first, second]);
          await relieve(mirror);
          await resynced(mirror, generation);
          const next = await ownerOf(mirror, [first, second]);
          assert.notEqual(next, former);
          const epoch = await epochOf(mirror);
          await trap.release();
          await standsBy(mirror, former);
          commits += await load.stop();
          await assertConverged(mirror, { catalog, commits });
          assert.equal(await epochOf(mirror), epoch);
        });
    });
});
