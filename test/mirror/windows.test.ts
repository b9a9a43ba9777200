/** Maintenance windows on real servers: resyncs and swaps wait, the stream does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isReady } from '../../src/status/status.ts';
import { sharedClusters } from '../servers/shared.ts';
import { leftovers } from './leftovers.ts';
import { InProcess } from './in-process.ts';
import { reasonOf } from './reason-of.ts';
import { TestMirror, type TestSpec } from './test-mirror.ts';

const SETUP = /* sql */ `
create table a (id int primary key, note text);
insert into a select g, 'row ' || g from generate_series(1, 100) g;
`;
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

/** A minute of a day that is three days away from now. */
function closed(): object[] {
  const day = DAYS[(new Date().getUTCDay() + 3) % 7];
  return [{ days: [day], start: '12:00', duration: '1m' }];
}

function spec(generation: number, maintenanceWindows: object[]): TestSpec {
  return {
    resyncStrategy: 'swap',
    maintenanceWindows,
    tables: [{ source: 'public.a', resyncGeneration: generation }],
  };
}

test('a first copy waits for no window; a resync and a swap do, and changes stream all the while', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write(spec(0, closed()));
  await mirror.start();
  await mirror.waitReady();

  await mirror.write(spec(1, closed()));
  const held = await mirror.waitFor(
    (status) => reasonOf(status, 'Ready') === 'OutsideMaintenanceWindow',
  );
  assert.equal(held.status.state, 'RUNNING');
  assert.equal(reasonOf(held, 'Replicating'), 'Streaming');
  assert.match(
    held.status.conditions[0]?.message ?? '',
    /waits for the maintenance window that opens at \d{4}-.*T12:00:00.000Z/,
  );
  await mirror.atSource(`insert into a values (1000, 'while held')`);
  await mirror.caughtUp();
  await mirror.assertSame(['a']);
  const plan = await mirror.command('plan', mirror.name, '--detailed-exitcode');
  assert.equal(plan.code, 2);
  assert.match(plan.stdout, /resync by swap .*waits for the maintenance window/);

  // Open while it is filled, shut before it can swap.
  const { release } = await mirror.holdLockAtDestination('public.a', 'access share');
  await mirror.write(spec(1, []));
  await mirror.waitFor(({ status }) => status.tables[0]?.resync?.step === 'HandingOver');
  await mirror.write(spec(1, closed()));
  await mirror.waitFor(
    ({ status }) => status.tables[0]?.resync?.waitsFor?.includes('maintenance window') === true,
  );
  await release();
  await mirror.atSource(`update a set note = 'while held again' where id = 1`);
  await mirror.caughtUp();
  await mirror.assertSame(['a']);
  const [row] = await mirror.atDestination(`select state ->> 'phase' as phase from bunnydb.tables`);
  assert.equal(row?.['phase'], 'CatchingUp');

  await mirror.write(spec(1, [{ start: '00:00', duration: '24h' }]));
  await mirror.waitReady();
  await mirror.assertSame(['a']);
  await mirror.assertNothingToDo();
  assert.deepEqual(await leftovers(mirror), []);
});

test('a truncate that waits for its lock when the window shuts has not begun: the table follows on', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const bumped = (maintenanceWindows: object[]): TestSpec => ({
    maintenanceWindows,
    tables: [{ source: 'public.a', resyncGeneration: 1 }],
  });
  await using loop = await InProcess.start(mirror, { tables: [{ source: 'public.a' }] });
  await mirror.waitFor(isReady);
  await mirror.atDestination(`update a set note = 'by hand' where id = 1`);
  const reader = await mirror.holdLockAtDestination('public.a', 'access share');
  await loop.write(bumped([]));
  await mirror.waitFor(
    ({ status }) => status.tables[0]?.resync?.waitsFor?.startsWith('waits for process') === true,
  );
  await loop.write(bumped(closed()));
  await mirror.waitFor(
    (now) =>
      reasonOf(now, 'Ready') === 'OutsideMaintenanceWindow' &&
      now.status.observedSpecHash === loop.mirror.specHash,
  );
  await reader.release();
  await mirror.atSource(`insert into a values (1000, 'while shut')`);
  await mirror.waitForRows('a', 101);
  assert.deepEqual(await mirror.atDestination('select note from a where id = 1'), [
    { note: 'by hand' },
  ]);
  assert.deepEqual(await leftovers(mirror), []);
  await loop.write(bumped([{ start: '00:00', duration: '24h' }]));
  await mirror.waitFor(
    (now) => isReady(now) && now.status.observedSpecHash === loop.mirror.specHash,
  );
  await mirror.assertSame(['a']);
  await mirror.assertNothingToDo();
});

test('a failed table is brought on outside the windows, without a column that is left out meanwhile', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const without = (excludeColumns: string[]): TestSpec => ({
    maintenanceWindows: closed(),
    tables: [{ source: 'public.a', excludeColumns }],
  });
  await using loop = await InProcess.start(mirror, without([]));
  await mirror.waitFor(isReady);
  await mirror.atDestination('alter table a add constraint low check (id < 1000)');
  await mirror.atSource(`insert into a values (1000, 'left out')`);
  await mirror.waitForPhase('a', 'Failed');
  const { release } = await mirror.holdLockAtDestination('public.a', 'share');
  loop.lookAgain();
  await mirror.waitForPhase('a', 'CatchingUp');
  await loop.write(without(['note']));
  await mirror.waitFor(({ status }) => status.observedSpecHash === loop.mirror.specHash);
  await release('alter table a drop constraint low');
  loop.lookAgain();
  await mirror.waitForPhase('a', 'Live');
  assert.deepEqual(await mirror.atDestination('select note from a where id = 1000'), [
    { note: null },
  ]);
  await loop.write({ tables: [{ source: 'public.a' }] });
  await mirror.waitFor(
    (now) => isReady(now) && now.status.observedSpecHash === loop.mirror.specHash,
  );
  await mirror.assertSame(['a']);
  await mirror.assertNothingToDo();
});
