/** What a mirror cannot make right by itself is said, and mended by a resync. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';

const SETUP = /* sql */ `
create table a (id int primary key, v int); insert into a select g, g from generate_series(1, 20) g;
create table b (id int primary key, v int); insert into b values (1, 1);
`;
const tables = (generation: number): Record<string, unknown>[] => [
  { source: 'public.a', resyncGeneration: generation },
  { source: 'public.b' },
];

test('rows that somebody deleted at the destination: the table follows on and asks for a resync, also after a restart', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: tables(0) });
  await mirror.start();
  await mirror.waitReady();
  await mirror.atDestination('delete from a where id <= 3');
  await mirror.atSource('update a set v = 0 where id <= 5; insert into b values (2, 2)');
  const status = await mirror.waitFor(
    ({
      status: {
        tables: [a],
      },
    }) => a?.error !== undefined,
  );
  const [a, b] = status.status.tables;
  assert.equal(a?.error?.code, 'RowsMissing');
  assert.match(a?.error?.message ?? '', /3 rows/);
  assert.equal(a?.phase, 'Live');
  assert.equal(b?.error, undefined);
  await mirror.atSource('insert into a values (100, 100)');
  await mirror.waitForRows('a', 18);
  await mirror.stop();
  await mirror.start();
  await mirror.waitFor(
    ({
      status: {
        tables: [first],
      },
    }) => first?.error?.code === 'RowsMissing',
  );
  assert.equal((await mirror.command('wait', mirror.name, '--timeout', '5s')).code, 1);
  await mirror.write({ tables: tables(1) });
  await mirror.waitReady();
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
});

test('a source table that is renamed, written and renamed back has lost nothing', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: tables(0) });
  const daemon = await mirror.start();
  await mirror.waitReady();
  await mirror.atSource('alter table a rename to a2');
  await mirror.atSource(
    'insert into a2 values (200, 1); truncate a2; insert into a2 values (201, 1)',
  );
  daemon.signal('SIGHUP');
  await mirror.waitFor(
    ({
      status: {
        tables: [a],
      },
    }) => a?.error?.code === 'TableMissing',
  );
  await mirror.atSource('alter table a2 rename to a');
  daemon.signal('SIGHUP');
  await mirror.waitReady();
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
});
