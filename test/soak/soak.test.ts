/** The soak in short; `npm run soak` is the long one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { Random } from './random.ts';
import { runSoak } from './run-soak.ts';

const MILLISECONDS = 30_000;

test('random writers, bumps, kills and readers: nothing is lost, doubled, empty or left over', async (t) => {
  const seed = Math.ceil(Math.random() * 1_000_000);
  t.diagnostic(`seed ${seed}: npm run soak -- --minutes 0.5 --seed ${seed}`);
  const summary = await runSoak({
    clusters: await sharedClusters(),
    seed,
    milliseconds: MILLISECONDS,
    say: (line) => t.diagnostic(line),
  });
  t.diagnostic(JSON.stringify(summary));
  assert.ok(Number(summary['commits']) > 0);
  assert.ok(Number(summary['reads']) > 0);
});

test('the same seed makes the same decisions, another one others', () => {
  const drawn = (seed: number): number[] => {
    const random = new Random(seed).fork('events');
    return Array.from({ length: 20 }, () => random.between(0, 1_000));
  };
  assert.deepEqual(drawn(7), drawn(7));
  assert.notDeepEqual(drawn(7), drawn(8));
});
