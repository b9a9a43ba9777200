/** What a counter that moves while its table is truncated and filled does. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Status } from '../../src/status/status.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { leftovers } from './leftovers.ts';
import { TestMirror, type TestSpec } from './test-mirror.ts';
import { Trap } from './trap.ts';

const SETUP = /* sql */ `
create table a (id int primary key, note text);
insert into a select g, 'row ' || g from generate_series(1, 1000) g;
create table b (id int primary key, a int references a);
insert into b select g, g from generate_series(1, 100) g;
`;

function spec(generation: number, mirror = 0): TestSpec {
  return {
    resyncGeneration: mirror,
    tables: [{ source: 'public.a', resyncGeneration: generation }, { source: 'public.b' }],
  };
}

interface HeldMirror {
  readonly mirror: TestMirror;
  readonly release: () => Promise<void>;
}

/** With a reader that keeps `a` from being emptied. */
async function waitingMirror(): Promise<HeldMirror> {
  const mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write(spec(0));
  await mirror.start();
  await mirror.waitReady();
  const { release } = await mirror.holdLockAtDestination('public.a', 'access share');
  await mirror.write(spec(1));
  await mirror.waitFor(isHeldUp);
  return { mirror, release };
}

function isHeldUp({ status }: Status): boolean {
  return status.tables.some(
    ({ resync }) => resync?.waitsFor?.startsWith('waits for process') === true,
  );
}

/** With an `a` that was emptied, and somebody who keeps it from being filled. */
async function emptiedMirror(): Promise<HeldMirror> {
  const mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const trap = new Trap(mirror);
  await mirror.write(spec(0));
  const daemon = await mirror.start([], trap.node);
  await mirror.waitReady();
  await trap.set({ checkpoint: 'emptied', table: 'public.a', nth: 1, action: 'hold' });
  await mirror.write(spec(1));
  await trap.held(daemon);
  assert.deepEqual(await mirror.atDestination('select count(*) from a'), [{ count: '0' }]);
  const { release } = await mirror.holdLockAtDestination('public.a', 'share');
  await trap.release();
  return { mirror, release };
}

async function observedOf(mirror: TestMirror): Promise<unknown> {
  const status = await mirror.status();
  return status?.status.tables.find(({ source }) => source === 'public.a')?.resyncGeneration;
}

/** The generation that the copy under way is for, by the ledger. */
async function aimOf(mirror: TestMirror): Promise<unknown> {
  const [row] = await mirror.atDestination(
    `select state #>> '{run,generation,table}' as aim from bunnydb.tables where source_name = 'a'`,
  );
  return row?.['aim'];
}

test('a truncate that waits for a reader is said so, and nothing has begun: all tables follow on', async () => {
  const { mirror: held, release } = await waitingMirror();
  await using mirror = held;
  await mirror.atSource(`
    insert into a values (1001, 'meanwhile');
    update a set note = 'changed' where id = 1000;
    insert into b values (1000, 1000), (1001, 1001)`);
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
  assert.deepEqual(await leftovers(mirror), []);
  await release();
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
  assert.deepEqual(await leftovers(mirror), []);
});

test('a counter that goes back while the truncate waits: nothing was emptied, nothing is copied', async () => {
  const { mirror: held, release } = await waitingMirror();
  await using mirror = held;
  await mirror.write(spec(0));
  await mirror.waitReady();
  await release();
  // Rows by hand are there until a copy replaces them.
  await mirror.atDestination(`update a set note = 'by hand' where id = 1`);
  await mirror.atSource(`insert into a values (1001, 'later')`);
  await mirror.caughtUp();
  await mirror.assertNothingToDo();
  assert.deepEqual(
    await mirror.atDestination('select note from a where id in (1, 1001) order by id'),
    [{ note: 'by hand' }, { note: 'later' }],
  );
  assert.deepEqual(await leftovers(mirror), []);
});

test('another strategy while the truncate waits: it begins as that', async () => {
  const { mirror: held, release } = await waitingMirror();
  await using mirror = held;
  await mirror.write({ ...spec(1), resyncStrategy: 'swap' });
  await mirror.waitFor(({ status }) => status.tables[0]?.resync?.strategy === 'swap');
  await mirror.waitForPhase('a', 'CatchingUp');
  await release();
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
  assert.deepEqual(await leftovers(mirror), []);
});

test('a counter that goes back cannot bring the rows back: the copy ends, and the next bump counts', async () => {
  const { mirror: held, release } = await emptiedMirror();
  await using mirror = held;
  await mirror.write(spec(0));
  await until(async () => (await aimOf(mirror)) === '0', {
    timeoutMs: 60_000,
    late: async () => new Error('the copy is still for the counter that went back'),
  });
  await release();
  await mirror.waitReady();
  assert.deepEqual(await observedOf(mirror), { desired: 0, observed: 0 });
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
  await mirror.atDestination(`update a set note = 'by hand'`);
  await mirror.write(spec(1));
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
});

test('bumped again, and the mirror too: one copy more, for the newest of both', async () => {
  const { mirror: held, release } = await emptiedMirror();
  await using mirror = held;
  await mirror.write(spec(7, 3));
  await release();
  await mirror.waitReady();
  assert.deepEqual(await observedOf(mirror), { desired: 7, observed: 7 });
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
  assert.deepEqual(await leftovers(mirror), []);
});
