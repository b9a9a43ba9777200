/** What becomes of a mirror whose file was removed, and of a table that was taken out of its list. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { REMOVAL_CHECKPOINTS } from '../../src/core/checkpoint.ts';
import { silentLog } from '../../src/core/log.ts';
import { executeRemoval } from '../../src/execute/retire-mirror.ts';
import { observeMirror } from '../../src/observe/observe.ts';
import { planRemoval } from '../../src/plan/removal.ts';
import { openSession } from '../../src/postgres/session.ts';
import { statusPath } from '../../src/status/status-file.ts';
import { isReady, type Status } from '../../src/status/status.ts';
import { rejection } from '../execute/swap-stage.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { Gate } from './gate.ts';
import { InProcess } from './in-process.ts';
import { leftovers } from './leftovers.ts';
import { TestMirror, type TestSpec } from './test-mirror.ts';
import { Trap } from './trap.ts';

const SETUP = /* sql */ `
create table a (id int primary key, n int);
create table b (id int primary key, a int references a (id));
insert into a select g, g from generate_series(1, 1000) g;
insert into b select g, g from generate_series(1, 100) g;
`;
const PEER = `
apiVersion: bunnydb/v1
kind: Peer
metadata: {name: somewhere}
spec: {host: db, database: shop, user: bunny}
`;
const TABLES = [{ source: 'public.a' }, { source: 'public.b' }];

/** What the mirror made and did not take away again; and the mirrored tables that are there. */
async function remains(mirror: TestMirror): Promise<string[]> {
  const [source, destination] = await Promise.all([
    mirror.atSource(`
      select 'slot ' || slot_name as what from pg_replication_slots where database = current_database()
      union all select 'publication ' || pubname from pg_publication`),
    mirror.atDestination(`
      select 'table ' || relname as what from pg_class
      where relnamespace = 'public'::regnamespace and relkind = 'r'
      union all select 'ledger: ' || name from bunnydb.mirrors
      union all select 'ledger: ' || source_name from bunnydb.tables`),
  ]);
  const all = [...source, ...destination].map(({ what }) => what ?? '');
  return [...all, ...(await leftovers(mirror))].sort();
}

function readyLine({ status }: Status): string {
  return status.conditions.find(({ type }) => type === 'Ready')?.message ?? '';
}

async function ready(mirror: TestMirror): Promise<void> {
  await mirror.waitFor(isReady, 30_000);
}

test('Retain: nothing is left but the tables; a file that comes later starts from nothing', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await using loop = await InProcess.start(mirror, { tables: TABLES });
  await ready(mirror);
  loop.become('removed');
  await loop.gone();
  assert.deepEqual(await remains(mirror), ['table a', 'table b']);
  await mirror.assertSame(['a', 'b']);
  assert.deepEqual(loop.warnings, []);

  await mirror.atSource('update a set n = -n; insert into a values (0, 0)');
  await using again = await InProcess.start(mirror, { tables: TABLES });
  await mirror.waitFor(({ status }) => status.tables[0]?.error?.code === 'DestinationNotEmpty');
  await again.write({ resyncGeneration: 1, tables: TABLES });
  await ready(mirror);
  await mirror.assertSame(['a', 'b']);
});

test('Delete: a table that something depends on stays and is named; without that it goes too', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    `${SETUP} create table never (id int primary key);`,
  );
  await mirror.atDestination('create table never (id int); insert into never values (1)');
  const tables = [...TABLES, { source: 'public.never' }];
  // With a foreign key between them a would wait for whoever reads b.
  const spec = { deletionPolicy: 'Delete', replicateForeignKeys: false, tables };
  await using loop = await InProcess.start(mirror, spec);
  await mirror.waitForPhase('a', 'Live');
  await mirror.waitForPhase('b', 'Live');
  await mirror.atDestination('create view totals as select count(*) from a');
  const reader = await mirror.holdLockAtDestination('b', 'access share');
  loop.become('removed');
  // Its first copy may still be compared, and is in the way of the drop for that long.
  const status = await mirror.waitFor(
    ({ status: { tables: found } }) =>
      found[0]?.error?.code === 'DropObstructed' && found[1]?.error !== undefined,
  );
  assert.match(
    status.status.tables[1]?.error?.message ?? '',
    /^waits for process .* on public\.b$/,
  );
  await reader.release();
  loop.lookAgain();
  await mirror.waitFor(({ status: { tables: found } }) => found[1]?.error === undefined);
  const { error } = status.status.tables[0] ?? {};
  assert.equal(error?.code, 'DropObstructed');
  assert.match(
    error?.message ?? '',
    /^public\.a cannot be dropped: view public\.totals depends on table public\.a$/,
  );
  assert.equal(status.status.state, 'TERMINATING');
  await mirror.waitFor((now) => readyLine(now).includes('view public.totals'));
  assert.deepEqual(await remains(mirror), [
    'ledger: a',
    `ledger: ${mirror.name}`,
    'table a',
    'table never',
  ]);
  await mirror.atDestination('drop view totals');
  loop.lookAgain();
  await loop.gone();
  assert.deepEqual(await remains(mirror), ['table never']);
});

const RUNNING = /* sql */ `
create table filled (id int primary key, body text);
create table swapped (id int primary key, body text);
insert into filled select g, repeat('x', 1000) from generate_series(1, 2000) g;
insert into swapped select g, repeat('x', 1000) from generate_series(1, 2000) g;
`;

test('in the middle of a truncate and of a swap: foreign keys come back, nothing of a copy stays', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), RUNNING);
  const spec = (filled: number, swapped: number): TestSpec => ({
    // The second copy takes a while: a range is a page.
    ...(filled > 0 ? { snapshot: { rowsPerPartition: 1, maxParallelWorkers: 1 } } : {}),
    tables: [
      { source: 'public.filled', resyncGeneration: filled },
      { source: 'public.swapped', resyncGeneration: swapped, resyncStrategy: 'swap' },
    ],
  });
  await using loop = await InProcess.start(mirror, spec(0, 0));
  await ready(mirror);
  await mirror.atDestination(`
    create table kept (filled int references filled (id));
    create table broken (filled int references filled (id));
    insert into broken values (2000);`);
  const reader = await mirror.holdLockAtDestination('swapped', 'access share');
  await loop.write(spec(0, 1));
  await mirror.waitFor(({ status }) => status.tables[1]?.resync?.waitsFor !== undefined);
  const filling = loop.passes('range-copied', 'public.filled');
  await loop.write(spec(1, 1));
  await filling;
  const other = await mirror.holdLockAtDestination('filled', 'share');
  loop.become('removed');
  await mirror.waitFor(({ status }) => status.state === 'TERMINATING');
  await Promise.all([reader.release(), other.release()]);
  loop.lookAgain();
  await loop.gone();
  assert.deepEqual(await remains(mirror), [
    'foreign key that is not valid broken.broken_filled_fkey',
    'table broken',
    'table filled',
    'table kept',
    'table swapped',
  ]);
  await mirror.assertSame(['swapped']);
  const keys = await mirror.atDestination(
    `select conname from pg_constraint where connamespace = 'public'::regnamespace and contype = 'f' and convalidated`,
  );
  assert.deepEqual(keys, [{ conname: 'kept_filled_fkey' }]);
  const told = loop.warnings.join('');
  assert.match(told, /"tables":\["public\.filled"\],"msg":"tables stay that were not copied/);
  assert.match(told, /foreign key broken_filled_fkey of public\.broken is not what it was/);
});

test('a source that is away: nothing is dropped; what the status says to run by hand works, and it ends by itself', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await using gate = await Gate.open(mirror.sourceEndpoint());
  const spec = { source: gate.connection, deletionPolicy: 'Delete', tables: TABLES };
  await using loop = await InProcess.start(mirror, spec);
  await ready(mirror);
  await gate.shut();
  loop.become('removed');
  const status = await mirror.waitFor((now) => readyLine(now).includes('By hand'));
  assert.equal(status.status.state, 'TERMINATING');
  const statements = /: (select .*?;) (drop .*?;) If/.exec(readyLine(status))?.slice(1) ?? [];
  assert.equal(statements.length, 2, readyLine(status));
  assert.match(readyLine(status), new RegExp(`delete \\.applied/${mirror.name}\\.yaml`));
  await mirror.assertSame(['a', 'b']);
  for (const statement of statements) await mirror.atSource(statement);
  assert.deepEqual(await remains(mirror), [
    'ledger: a',
    'ledger: b',
    `ledger: ${mirror.name}`,
    'table a',
    'table b',
  ]);
  await gate.open();
  loop.lookAgain();
  await loop.gone();
  assert.deepEqual(await remains(mirror), []);
});

test('a file that led elsewhere last, and was refused: not forgotten while its slot keeps WAL', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await using loop = await InProcess.start(mirror, { tables: TABLES });
  await ready(mirror);
  const elsewhere = { ...mirror.destinationEndpoint(), database: 'postgres' };
  await loop.write({ destination: elsewhere, tables: TABLES });
  await mirror.waitFor(({ status }) => status.state === 'FAILED');
  for (const restart of [false, true]) {
    if (restart) {
      await loop.stop();
      loop.start({ kind: 'removed' });
    } else loop.become('removed');
    await mirror.waitFor((now) => readyLine(now).includes('Put it back as it was'));
  }
  assert.equal(loop.retired, 0);
  await loop.write({ tables: TABLES });
  await ready(mirror);
  loop.become('removed');
  await loop.gone();
  assert.deepEqual(await remains(mirror), ['table a', 'table b']);
});

test('a file that comes back stops the removal, also after a crash: everything is copied again', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await using loop = await InProcess.start(mirror, { tables: TABLES });
  await ready(mirror);
  const copiedAgain = async (): Promise<void> => {
    await ready(mirror);
    await mirror.caughtUp();
    await mirror.assertSame(['a', 'b']);
  };
  const back = loop.passes('publication-dropped', '', () => loop.become('present'));
  loop.become('removed');
  await back;
  await mirror.atSource('update a set n = n + 1');
  await mirror.waitFor(({ status }) => status.state !== 'TERMINATING');
  await copiedAgain();
  await loop.cutOffAt('slot-forgotten');
  await mirror.atSource('update a set n = n + 1; insert into a values (-1, -1)');
  // The last word of the loop that was cut off may be that all is well.
  await rm(statusPath(mirror.statusDirectory, mirror.name), { force: true });
  loop.start({ kind: 'present' });
  await copiedAgain();
  await mirror.assertNothingToDo();
  assert.equal(loop.retired, 0);
});

test('a first copy that was cut off by the removal is made again, whatever rows it left', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const spec = { snapshot: { rowsPerPartition: 100 }, tables: TABLES };
  await using loop = await InProcess.start(mirror, spec);
  await loop.passes('range-copied', 'public.a', () => loop.become('removed'));
  await loop.passes('slot-released', '', () => loop.become('present'));
  await ready(mirror);
  await mirror.assertSame(['a', 'b']);
});

test('whoever lost the mirror undoes nothing of it', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await using loop = await InProcess.start(mirror, { deletionPolicy: 'Delete', tables: TABLES });
  await ready(mirror);
  await loop.stop();
  await mirror.atDestination(`
    create table outside (a int, foreign key (a) references a (id));
    insert into bunnydb.saved_foreign_keys
      (mirror, table_schema, table_name, owner_schema, owner_name, name, definition)
    values ('${mirror.name}', 'public', 'a', 'public', 'outside', 'k', 'FOREIGN KEY (a) REFERENCES public.a(id)')`);
  const before = await remains(mirror);
  const options = { mirror: mirror.name, role: 'owner' as const };
  await using source = await openSession(loop.mirror.source, options);
  await using destination = await openSession(loop.mirror.destination, options);
  const look = await observeMirror(loop.mirror, { source, destination });
  const { mirror: record, tables } = look.ledger;
  assert.ok(record);
  const owner = { mirror: mirror.name, epoch: record.epoch - 1n };
  const log = silentLog();
  const ctx = { mirror: loop.mirror, source, destination, owner, look, record, tables, log };
  const { steps } = planRemoval(loop.mirror, look);
  assert.deepEqual(
    steps.map(({ kind }) => kind),
    [
      'release-slot',
      'drop-publication',
      'restore-foreign-key',
      'drop-table',
      'drop-table',
      'forget-mirror',
    ],
  );
  for (const step of steps) await rejection(executeRemoval(ctx, step), 'NotOwner');
  assert.deepEqual(await remains(mirror), before);
  const keys = await mirror.atDestination(`select 1 from pg_constraint where conname = 'k'`);
  assert.deepEqual(keys, []);
});

test('a table out of the list, with Delete: dropped, or named and tried again while the others go on', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    `${SETUP} create table c (id int primary key); create table d (id int primary key);`,
  );
  const spec = (...names: string[]): TestSpec => ({
    deletionPolicy: 'Delete',
    tables: names.map((name) => ({ source: `public.${name}` })),
  });
  await using loop = await InProcess.start(mirror, spec('a', 'b', 'c'));
  await ready(mirror);
  await mirror.atDestination('create view of_c as select id from c');
  await loop.write(spec('a', 'd'));
  // b goes, d comes, a streams; c has a view and stays.
  await mirror.waitForPhase('d', 'Live');
  await mirror.atSource('insert into a values (5000, 5000)');
  await mirror.waitForRows('a', 1001);
  await mirror.waitFor((now) =>
    /^public\.c is out of the file and not gone: .* view public\.of_c depends/.test(readyLine(now)),
  );
  assert.match(loop.warnings.join(''), /"table":"public\.c","code":"DropObstructed"/);
  assert.deepEqual(
    (await remains(mirror)).filter((line) => line.startsWith('table')),
    ['table a', 'table c', 'table d'],
  );
  await mirror.atDestination('drop view of_c');
  loop.lookAgain();
  await ready(mirror);
  assert.deepEqual(
    (await remains(mirror)).filter((line) => line.startsWith('table')),
    ['table a', 'table d'],
  );
  await mirror.assertNothingToDo();
  assert.deepEqual(await leftovers(mirror), []);
});

test('cut off after each step of a removal: the next one goes on', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await using loop = await InProcess.start(mirror, { deletionPolicy: 'Delete', tables: TABLES });
  await ready(mirror);
  for (const checkpoint of REMOVAL_CHECKPOINTS) {
    await loop.cutOffAt(checkpoint, checkpoint === 'table-dropped' ? 'public.a' : '');
    assert.equal(loop.retired, 0);
    loop.start({ kind: 'removed' });
  }
  await loop.gone();
  assert.deepEqual(await remains(mirror), []);
});

test('kill -9 in a removal: the next daemon goes on, though the file is away; a later file is a new mirror', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const trap = new Trap(mirror);
  const grace = ['--removal-grace', '0s'];
  const spec = { deletionPolicy: 'Delete', tables: TABLES };
  await mirror.write(spec);
  // A directory without any file is a lost mount.
  await writeFile(join(mirror.mirrorDirectory, 'peer.yaml'), PEER);
  let daemon = await mirror.start(grace, trap.node);
  await ready(mirror);
  for (const [checkpoint, table] of [
    ['slot-forgotten', ''],
    ['table-dropped', 'public.a'],
  ] as const) {
    await trap.set({ checkpoint, table, nth: 1, action: 'kill' });
    await rm(join(mirror.mirrorDirectory, 'mirror.yaml'), { force: true });
    await trap.killed(daemon);
    daemon = await mirror.start(grace, trap.node);
  }
  await until(async () => (await mirror.status()) === undefined, {
    timeoutMs: 30_000,
    late: async () => new Error(await daemon.logTail()),
  });
  assert.deepEqual(await remains(mirror), []);
  await mirror.write(spec);
  await ready(mirror);
  await mirror.assertSame(['a', 'b']);
});
