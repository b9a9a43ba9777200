/** The copy road: limits, small beside large, resyncs beside the stream, a copy that is cut off. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { until } from '../servers/processes.ts';
import { TestMirror } from './test-mirror.ts';

const BIG_ROWS = 300_000;
const SETUP = /* sql */ `
create table big (id int primary key, v text);
insert into big select g, repeat(md5(g::text), 4) from generate_series(1, ${BIG_ROWS}) g;
create table small1 (id int primary key); insert into small1 values (1);
create table small2 (id int primary key); insert into small2 values (1);
create table small3 (id int primary key); insert into small3 values (1);
analyze;
`;
const SMALL = ['small1', 'small2', 'small3'];

test('small tables are live and follow while a large one still copies; both limits hold', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({
    snapshot: { rowsPerPartition: 10_000, maxParallelWorkers: 3, tablesInParallel: 2 },
    tables: ['big', ...SMALL].map((name) => ({ source: `public.${name}` })),
  });
  // A row lock that the copy never asks for does nothing; a table lock at the destination holds its COPYs up.
  await mirror.start();
  await mirror.waitForPhase('big', 'Copying');
  let mostCopiers = 0;
  let mostTables = 0;
  await until(
    async () => {
      const [copiers] = await mirror.atDestination(
        `select count(*) as n from pg_stat_activity where datname = current_database() and application_name like '%:copier'`,
      );
      mostCopiers = Math.max(mostCopiers, Number(copiers?.['n']));
      const status = await mirror.status();
      const running = status?.status.tables.filter(({ resync }) => resync !== undefined) ?? [];
      mostTables = Math.max(mostTables, running.length);
      return status?.status.tables.every(({ phase }) => phase === 'Live') === true;
    },
    { timeoutMs: 120_000, late: async () => new Error('not live in time') },
  );
  // Two tables at once: three workers in the large one, and one in a small one.
  assert.ok(mostCopiers >= 2 && mostCopiers <= 4, `${mostCopiers} copiers at once`);
  assert.ok(mostTables <= 2, `${mostTables} tables at once`);
  await mirror.assertSame(['big', ...SMALL]);
});

test('a table that is held up does not hold up the others', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: ['big', ...SMALL].map((name) => ({ source: `public.${name}` })) });
  await mirror.start();
  await mirror.waitReady();
  // A reader of the destination keeps the resync's TRUNCATE out.
  const held = await mirror.holdLockAtDestination('big', 'access share');
  await mirror.write({
    tables: ['big', ...SMALL].map((name) => ({
      source: `public.${name}`,
      resyncGeneration: name === 'small3' ? 0 : 1,
    })),
  });
  const status = await mirror.waitFor(
    ({ status: { tables } }) =>
      tables[1]?.resyncStatus === 'completed' && tables[2]?.resyncStatus === 'completed',
  );
  assert.notEqual(status.status.tables[0]?.resyncStatus, 'completed');
  await mirror.atSource(
    'insert into small3 select generate_series(2, 50); update big set v = null where id <= 10',
  );
  await mirror.waitForRows('small3', 50);
  await held.release();
  await mirror.waitReady();
  await mirror.caughtUp();
  await mirror.assertSame(['big', ...SMALL]);
});

test('SIGTERM in the middle of a copy ends within 5 seconds; the copy starts again from an empty table', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({
    snapshot: { rowsPerPartition: 5_000 },
    tables: [{ source: 'public.big' }],
  });
  const daemon = await mirror.start();
  await until(
    async () => (await mirror.atDestination('select from big limit 1').catch(() => [])).length > 0,
    { timeoutMs: 60_000, late: async () => new Error('no row was copied') },
  );
  const stoppedAt = performance.now();
  daemon.signal('SIGTERM');
  await daemon.ended();
  assert.ok(performance.now() - stoppedAt < 5_000);
  assert.equal(daemon.exitCode, 0);
  // Gone from the source meanwhile: it must not survive from the first try.
  await mirror.atSource('delete from big where id % 2 = 0');
  await mirror.start();
  await mirror.waitReady();
  await mirror.assertSame(['big']);
});

test('the mirror’s own counter resyncs every table once, to the latest value', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const tables = SMALL.map((name) => ({ source: `public.${name}` }));
  await mirror.write({ tables });
  await mirror.start();
  await mirror.waitReady();
  await mirror.atDestination('delete from small1; insert into small2 values (99); truncate small3');
  await mirror.write({ resyncGeneration: 7, tables });
  await mirror.waitReady();
  await mirror.assertSame(SMALL);
  await mirror.assertNothingToDo();
  // A revert does nothing, and says so.
  await mirror.atDestination('insert into small1 values (5)');
  await mirror.write({ resyncGeneration: 3, tables });
  const status = await mirror.waitFor(({ status: { conditions } }) =>
    conditions.some(
      ({ type, status: value }) => type === 'ResyncGenerationBehind' && value === 'True',
    ),
  );
  assert.equal(status.status.state, 'RUNNING');
  const [row] = await mirror.atDestination('select count(*) as rows from small1');
  assert.equal(row?.['rows'], '2');
});
