/** What is said of a slot that is lost, of another source, or somebody else's. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn } from '../../src/core/lsn.ts';
import { describeStep } from '../../src/plan/describe.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { bumped, LATER, LOST, OTHER_CLUSTER } from './slot-worlds.ts';
import { mirror, observed, publication, SLOT, type World } from './fixtures.ts';

test('a refusal says what is wrong and every way out', () => {
  const told = (world: World, file = mirror()): string =>
    planMirror(file, observed(world))
      .refusals.map(({ error }) => `${error.message} | ${error.hint}`)
      .join('\n');
  const wayOut =
    "nothing is applied. Set onSlotLoss: Resync, or raise the mirror's resyncGeneration: every table is copied again.";
  assert.equal(
    told({ slot: { ...SLOT, confirmedFlushLsn: 1_001n as Lsn } }),
    'slot bunny_shop has confirmed 0/3E9, and only 0/3E8 was applied: the destination was restored from a backup, or somebody made or moved the slot by hand' +
      ` | The source was told to forget changes that are not here, and ${wayOut}`,
  );
  assert.equal(
    told({ slot: { ...LOST, invalidationReason: 'wal_removed' } }),
    `slot bunny_shop was invalidated (wal_status lost, wal_removed) | Changes are gone from the source, and ${wayOut}`,
  );
  assert.match(
    told({ ...LATER, sourceWal: { timelineEnd: 999n as Lsn } }),
    /applied up to 0\/3E8 on timeline 1, and the source left that at 0\/3E7 when it failed over to timeline 2: the destination holds changes that this source never had/,
  );
  assert.match(told({ ...LATER, slot: undefined }), /failed over from timeline 1 to 2 without it/);
  assert.match(
    told({ mirrorRecord: undefined, ledger: { tables: [] } }),
    /exists on the source, in use, but this destination knows no mirror shop \| It may be this mirror's own: if its file led to another destination before, take that edit back\. Rename the mirror; or, only if no mirror shop runs anywhere and nobody else uses the slot, on the source, in database shop: select pg_drop_replication_slot\('bunny_shop'\);$/,
  );
  assert.match(
    told(OTHER_CLUSTER),
    /^the source is cluster 9; what was copied came from cluster 1 \| Correct the connection, or raise the mirror's resyncGeneration, in the same commit or a later one/,
  );
});

test('who takes another source is told what stays at the former one', () => {
  const left = (world: World): string => {
    const plan = planMirror(bumped(), observed({ publication: publication([]), ...world }));
    const reset = plan.steps.find(({ kind }) => kind === 'reset-slot');
    return reset === undefined ? '' : describeStep(reset).text;
  };
  assert.equal(
    left(OTHER_CLUSTER),
    'slot: it is of the former source, cluster 1; every table is copied again; left behind in cluster 1, database shop: ' +
      `select pg_drop_replication_slot('bunny_shop'); drop publication if exists "bunny_shop";`,
  );
  assert.equal(
    left({ source: { database: 'other' } }),
    'slot: it is of the former source, database shop; every table is copied again; left behind in database shop: drop publication if exists "bunny_shop";',
  );
  assert.doesNotMatch(left({ slot: undefined }), /left behind/);
});
