/** kill -9 of the daemon at every named boundary between the steps of a resync: the next daemon comes to the same end. */
import assert from 'node:assert/strict';
import test, { describe } from 'node:test';
import { CHECKPOINTS } from '../../src/core/checkpoint.ts';
import { sharedClusters } from '../servers/shared.ts';
import {
  assertConverged,
  brokenAt,
  catalogOf,
  checkpointsOf,
  decorate,
  Load,
  resynced,
  SETUP,
  specOf,
  SUBJECT,
} from './subject.ts';
import { STRATEGIES } from './strategies.ts';
import { TestMirror } from './test-mirror.ts';
import { Trap } from './trap.ts';

test('every checkpoint is one that some strategy passes here', () => {
  const covered = new Set(STRATEGIES.flatMap((strategy) => checkpointsOf(strategy)));
  assert.deepEqual([...covered].sort(), [...CHECKPOINTS].sort());
  const broken = new Set(STRATEGIES.flatMap((strategy) => brokenAt(strategy)));
  assert.deepEqual(broken, covered);
});

// A mirror for each strategy, side by side; one table is resynced again and again, as it is in life.
describe('kill -9 at each checkpoint', { concurrency: STRATEGIES.length }, () => {
  for (const strategy of STRATEGIES)
    test(strategy, async (t) => {
      await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
      const trap = new Trap(mirror);
      await mirror.write(specOf(strategy, 0));
      let daemon = await mirror.start([], trap.node);
      await resynced(mirror, 0);
      await decorate(mirror);
      const catalog = await catalogOf(mirror);
      let generation = 0;
      let commits = 0;

      await t.test('a resync that nothing happens to passes all of them', async () => {
        await trap.passed(SUBJECT);
        generation += 1;
        await using load = await Load.start(mirror, generation);
        await mirror.write(specOf(strategy, generation));
        await resynced(mirror, generation);
        commits += await load.stop();
        const passed = new Set(await trap.passed(SUBJECT));
        assert.deepEqual([...passed].sort(), checkpointsOf(strategy).sort());
        await assertConverged(mirror, { catalog, commits });
      });

      for (const checkpoint of brokenAt(strategy))
        await t.test(checkpoint, async () => {
          generation += 1;
          await using load = await Load.start(mirror, generation);
          await trap.set({ checkpoint, table: SUBJECT, nth: 1, action: 'kill' });
          await mirror.write(specOf(strategy, generation));
          await trap.killed(daemon);
          // Nothing is set for this one: it passes everything.
          daemon = await mirror.start([], trap.node);
          await resynced(mirror, generation);
          commits += await load.stop();
          await assertConverged(mirror, { catalog, commits });
        });
    });
});
