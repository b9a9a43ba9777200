/** A mirror's life beside its tables: files that change, failures of one table, quiet times, exit codes. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { until } from '../servers/processes.ts';
import { TestMirror } from './test-mirror.ts';

const SETUP = /* sql */ `
create table a (id int primary key, v int); insert into a values (1, 1);
create table b (id int primary key, v int); insert into b values (1, 1);
`;
const tables = (...names: string[]): { source: string }[] =>
  names.map((name) => ({ source: `public.${name}` }));

test('a row that the destination refuses fails its table alone; it comes back when the cause is gone', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: tables('a', 'b') });
  await mirror.start();
  await mirror.waitReady();
  await mirror.atDestination('alter table a add constraint small check (v < 100)');
  await mirror.atSource(
    'begin; insert into a values (2, 500); insert into b values (2, 500); commit',
  );
  await mirror.atSource(
    'insert into a values (3, 3); update a set v = 4 where id = 1; insert into b values (3, 3)',
  );
  const status = await mirror.waitFor(
    ({
      status: {
        tables: [a],
      },
    }) => a?.error !== undefined,
  );
  assert.equal(status.status.tables[0]?.error?.code, 'ConstraintViolated');
  assert.equal(status.status.conditions.find(({ type }) => type === 'Replicating')?.status, 'True');
  await mirror.waitForRows('b', 3);
  await mirror.atSource('insert into a values (4, 4); delete from a where id = 3');
  await mirror.atDestination('alter table a drop constraint small');
  await mirror.waitReady();
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
});

test('a quiet mirror in a busy cluster lets the source remove its WAL', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: tables('a') });
  await mirror.start();
  await mirror.waitReady();
  await mirror.caughtUp();
  // 20 MB of WAL that the mirror has nothing to do with.
  await mirror.atSource(
    'create table noise as select repeat(md5(g::text), 30) as t from generate_series(1, 20000) g',
  );
  const [written] = await mirror.atSource('select pg_current_wal_flush_lsn() as lsn');
  await until(
    async () => {
      const [slot] = await mirror.atSource(
        `select confirmed_flush_lsn >= '${written?.['lsn']}' as reached from pg_replication_slots where slot_name = 'bunny_${mirror.name}'`,
      );
      return slot?.['reached'] === 't';
    },
    { timeoutMs: 30_000, late: async () => new Error('the slot did not move') },
  );
});

test('a table added to the file is copied while the others stream; one taken out is left as it is', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: tables('a') });
  await mirror.start();
  await mirror.waitReady();
  await mirror.write({ tables: tables('a', 'b') });
  await mirror.atSource('insert into a values (2, 2); insert into b values (2, 2)');
  await mirror.waitReady();
  await mirror.atSource('insert into b values (3, 3)');
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
  await mirror.write({ tables: tables('b') });
  await mirror.waitReady();
  await mirror.atSource('insert into a values (4, 4); insert into b values (4, 4)');
  await mirror.caughtUp();
  await mirror.assertSame(['b']);
  const [left] = await mirror.atDestination('select count(*) as rows from a');
  assert.equal(left?.['rows'], '2');
  await mirror.assertNothingToDo();
});

test('a file that breaks, or goes, stops nothing; a status file that is deleted comes again', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: tables('a') });
  await mirror.start();
  await mirror.waitReady();
  const file = join(mirror.mirrorDirectory, 'mirror.yaml');
  await writeFile(
    file,
    `apiVersion: bunnydb/v1\nkind: Mirror\nmetadata:\n  name: ${mirror.name}\nspec:\n  sorce: x\n`,
  );
  const broken = await mirror.waitFor(({ status: { conditions } }) =>
    conditions.some(({ type, status }) => type === 'SpecAccepted' && status === 'False'),
  );
  const condition = (type: string): string | undefined =>
    broken.status.conditions.find((one) => one.type === type)?.status;
  assert.equal(condition('Ready'), 'False');
  assert.equal(condition('Replicating'), 'True');
  await mirror.atSource('insert into a values (2, 2)');
  await mirror.caughtUp();
  await mirror.assertSame(['a']);
  await rm(file);
  await rm(mirror.statusDirectory, { recursive: true });
  await mirror.waitFor(() => true);
  await mirror.atSource('insert into a values (3, 3)');
  await mirror.caughtUp();
  await mirror.assertSame(['a']);
  await mirror.write({ tables: tables('a') });
  await mirror.waitReady();
});

test('suspend stops the stream and resume goes on where it stopped', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: tables('a') });
  await mirror.start();
  await mirror.waitReady();
  await mirror.write({ suspend: true, tables: tables('a') });
  await mirror.waitFor(({ status }) => status.state === 'SUSPENDED');
  await mirror.atSource('insert into a values (2, 2)');
  await mirror.write({ suspend: false, tables: tables('a') });
  await mirror.waitReady();
  await mirror.caughtUp();
  await mirror.assertSame(['a']);
});

test('a lost slot stops the mirror loudly, or copies everything again where the file says so', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: tables('a', 'b') });
  await mirror.start();
  await mirror.waitReady();
  await mirror.stop();
  await mirror.atSource(
    `select pg_drop_replication_slot('bunny_${mirror.name}'); insert into a values (2, 2)`,
  );
  await mirror.start();
  const lost = await mirror.waitFor(({ status: { conditions } }) =>
    conditions.some(({ type, reason }) => type === 'Replicating' && reason === 'SlotLost'),
  );
  assert.equal(lost.status.state, 'FAILED');
  await mirror.write({ onSlotLoss: 'Resync', tables: tables('a', 'b') });
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
  await mirror.assertNothingToDo();
});

test('run --once and wait tell scripts how it went', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const once = async (): Promise<number> =>
    (await mirror.command('run', '--once', '--status-dir', mirror.statusDirectory)).code;
  // Refused as a whole, and for something that may come by itself.
  await mirror.write({ publication: 'nobody_made_it', tables: tables('a', 'b') });
  assert.equal(await once(), 1);
  await mirror.write({ tables: tables('a', 'b') });
  assert.equal((await mirror.command('wait', mirror.name, '--timeout', '0s')).code, 4);
  assert.equal((await mirror.command('plan', '--detailed-exitcode')).code, 2);
  assert.equal(await once(), 0);
  assert.equal((await mirror.command('wait', mirror.name, '--timeout', '0s')).code, 0);
  assert.equal((await mirror.command('plan', '--detailed-exitcode')).code, 0);
  assert.equal((await mirror.command('status', mirror.name)).code, 0);
  await mirror.write({ tables: tables('a', 'b', 'missing') });
  assert.equal((await mirror.command('wait', mirror.name, '--timeout', '0s')).code, 4);
  assert.equal(await once(), 1);
  assert.equal((await mirror.command('wait', 'nobody', '--timeout', '0s')).code, 3);
  assert.equal((await mirror.command('wait')).code, 64);
  assert.equal((await mirror.command('validate')).code, 0);
  await writeFile(join(mirror.mirrorDirectory, 'bad.yaml'), 'kind: Mirror\n');
  assert.equal((await mirror.command('validate')).code, 3);
});
