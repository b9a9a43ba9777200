/** What the daemon talks to goes away at a named step of a resync: the same daemon comes to the same end. */
import test, { describe } from 'node:test';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import { type Cluster, startCluster } from '../servers/cluster.ts';
import {
  assertConverged,
  brokenAt,
  catalogOf,
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

interface Fault {
  readonly what: string;
  readonly at: readonly Checkpoint[];
  /** While the daemon is held still; it finds out when it goes on. */
  readonly strike: (mirror: TestMirror, destination: Cluster) => Promise<void>;
}

const FAULTS: readonly Fault[] = [
  {
    what: 'the destination crashes',
    at: ['rows-copied', 'catching-up', 'rest-replayed', 'swapped'],
    strike: async (_mirror, destination) => {
      await destination.crash();
      await destination.start();
    },
  },
  {
    what: 'the sessions at the source end',
    at: ['snapshot-taken', 'range-copied', 'catching-up'],
    strike: async (mirror) => {
      const ended = await mirror.atSource(
        `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'bunnydb:%'`,
      );
      // The walsender, and the snapshot's or the observer's.
      if (ended.length < 2) throw new Error(`only ${ended.length} sessions to end`);
    },
  },
];

describe('a server is lost at a checkpoint', { concurrency: STRATEGIES.length }, () => {
  for (const strategy of STRATEGIES)
    test(strategy, async (t) => {
      // Of their own: a crash ends every mirror's sessions. And durable, or more is lost than was not flushed.
      await using source = await startCluster();
      await using destination = await startCluster({ settings: { fsync: 'on' } });
      await using mirror = await TestMirror.create({ source, destination }, SETUP);
      const trap = new Trap(mirror);
      await mirror.write(specOf(strategy, 0));
      const daemon = await mirror.start([], trap.node);
      await resynced(mirror, 0);
      await decorate(mirror);
      const catalog = await catalogOf(mirror);
      let generation = 0;
      let commits = 0;
      for (const { what, at, strike } of FAULTS)
        for (const checkpoint of at.filter((one) => brokenAt(strategy).includes(one)))
          await t.test(`${what}: ${checkpoint}`, async () => {
            generation += 1;
            await using load = await Load.start(mirror, generation);
            await trap.set({ checkpoint, table: SUBJECT, nth: 1, action: 'hold' });
            await mirror.write(specOf(strategy, generation));
            await trap.held(daemon);
            await strike(mirror, destination);
            await trap.release();
            await resynced(mirror, generation);
            commits += await load.stop();
            await assertConverged(mirror, { catalog, commits });
          });
    });
});
