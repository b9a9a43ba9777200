/** Comparisons while the source does what makes them hard: commits that nobody sees yet, truncations, large transactions. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { setStandbys } from './standbys.ts';
import { TestMirror } from './test-mirror.ts';
import { Trap } from './trap.ts';
import { Writers } from './writers.ts';

test('a commit that waits for a standby is applied here and seen by no snapshot: no difference is told', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    'create table a (id int primary key); insert into a values (1)',
  );
  await mirror.write({ tables: [{ source: 'public.a' }] });
  await mirror.start();
  await mirror.waitReady();
  await setStandbys(mirror, 'nobody');
  try {
    const hanging = mirror.atSource('insert into a values (2)');
    await mirror.waitForRows('a', 2);
    const early = await mirror.command('verify', mirror.name, '--timeout', '4s');
    assert.equal(early.code, 4, early.stdout + early.stderr);
    await setStandbys(mirror, '');
    await hanging;
  } finally {
    await setStandbys(mirror, '');
  }
  const { code, stdout } = await mirror.command('verify', mirror.name, '--timeout', '60s');
  assert.equal(code, 0, stdout);
  assert.match(stdout, /Match at .*: 2 rows/);
});

test('a truncation ends a comparison that is under way: the stream waits for neither', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    `create table a (id int primary key, v text);
    insert into a select g, repeat(md5(g::text), 20) from generate_series(1, 200000) g;
    create table b (id int primary key)`,
  );
  await mirror.write({ tables: [{ source: 'public.a' }, { source: 'public.b' }] });
  await mirror.start();
  await mirror.waitReady();
  const asked = mirror.command('verify', mirror.name, 'public.a', '--timeout', '60s');
  await until(
    async () => {
      const readers = await mirror.atDestination(
        `select from pg_locks l join pg_stat_activity s using (pid)
        where l.relation = 'a'::regclass and s.application_name like 'bunnydb:%:verifier'`,
      );
      return readers.length > 0;
    },
    { timeoutMs: 60_000, late: async () => new Error('nobody compares') },
  );
  // In the source's queue behind our own reader, and then at the destination.
  const truncated = mirror.atSource('truncate a; insert into a values (1, 1)');
  await truncated;
  await mirror.atSource('insert into b values (1)');
  await mirror.waitForRows('b', 1);
  await mirror.waitForRows('a', 1);
  const { code, stdout, stderr } = await asked;
  assert.equal(code, 0, stdout + stderr);
  assert.equal((await mirror.status())?.status.tables[0]?.error, undefined);
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
});

test('large transactions, which come in parts, are either in both views or in none', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    'create table a (id bigint primary key, v text); create table b (id bigint primary key)',
  );
  await mirror.write({ tables: [{ source: 'public.a' }, { source: 'public.b' }] });
  await mirror.start();
  await mirror.waitReady();
  // The first writer's are a few megabytes each, one in ten of its own.
  await using writers = await Writers.start(mirror.source, 3, (writer, round) => {
    if (writer > 0) return [`insert into b values (${1_000_000 * writer + round})`];
    if (round % 10 > 0) return [`insert into a values (${-round}, 'small')`];
    return [
      `insert into a select g, repeat('x', 400) from generate_series(${6_000 * round}, ${6_000 * round + 8_000}) g on conflict do nothing`,
      `delete from a where id between 0 and ${6_000 * round - 1}`,
    ];
  });
  for (let round = 0; round < 5; round += 1) {
    const { code, stdout, stderr } = await mirror.command(
      'verify',
      mirror.name,
      '--timeout',
      '60s',
    );
    assert.equal(code, 0, stdout + stderr);
  }
  await writers.stop();
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
});

test('kill -9 between the hand-over and its proof: the next daemon compares', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    'create table a (id int primary key); insert into a values (1)',
  );
  const write = async (resyncGeneration: number): Promise<void> =>
    mirror.write({ tables: [{ source: 'public.a', resyncGeneration }] });
  const found = async (): Promise<string | undefined> => {
    const [row] = await mirror.atDestination(
      `select observed_table_generation || coalesce(' ' || (verification ->> 'result') || ' ' ||
        (verification -> 'generation' ->> 'table'), ' unproven') as found from bunnydb.tables`,
    );
    return row?.['found'] ?? undefined;
  };
  const trap = new Trap(mirror);
  await write(0);
  let daemon = await mirror.start([], trap.node);
  await mirror.waitReady();
  assert.equal(await found(), '0 Match 0');
  for (const [index, checkpoint] of (['handed-over', 'compared'] as const).entries()) {
    const generation = index + 1;
    await trap.set({ checkpoint, table: 'public.a', nth: 1, action: 'kill' });
    await write(generation);
    await trap.killed(daemon);
    assert.equal(await found(), `${generation} unproven`);
    daemon = await mirror.start([], trap.node);
    await until(async () => (await found()) === `${generation} Match ${generation}`, {
      timeoutMs: 60_000,
      late: async () => new Error(await daemon.logTail()),
    });
  }
  await mirror.waitReady();
  await mirror.assertNothingToDo();
});
