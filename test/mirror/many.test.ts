/** A hundred mirrors in one daemon. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManyMirrors } from './many.ts';

const COUNT = 100;
/** For the daemon to see a file and to begin the copy. */
const BUMP_LIMIT_MS = 2_000;

test('a hundred mirrors are Ready, and a bump in one of them acts within 2 s', async (t) => {
  await using many = await ManyMirrors.create(COUNT);
  const daemon = await many.start();
  await many.allReady();
  const tookMs = await many.bump('many_42', 1);
  t.diagnostic(`the bumped copy began after ${tookMs.toFixed(0)} ms`);
  assert.ok(tookMs < BUMP_LIMIT_MS, `it took ${tookMs.toFixed(0)} ms`);
  await many.allReady();
  await daemon.assertRunning();
  const [done] = await many.destination.query(
    'postgres',
    'select count(*) as resynced from bunnydb.tables where observed_table_generation = 1',
  );
  assert.equal(done?.['resynced'], '1', 'nobody else was copied');
});
