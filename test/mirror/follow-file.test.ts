/** A live mirror follows its file: what an edit asks for is done, and nothing else is touched. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { assertSameRows } from './compare.ts';
import { Reader } from './reader.ts';
import { TestMirror, type TestSpec } from './test-mirror.ts';
import { Writers } from './writers.ts';

const PEOPLE = ['swapped', 'truncated'] as const;

const SETUP = PEOPLE.map(
  (name) => /* sql */ `
create table ${name} (id int primary key, name text, secret text not null, hint text);
create index ${name}_secret on ${name} (secret);
insert into ${name} select g, 'name ' || g, 'secret ' || g, 'hint' from generate_series(1, 500) g;
`,
).join('');

/** Both tables by their strategies, without those columns. */
function people(excludeColumns: readonly string[], more: Partial<TestSpec> = {}): TestSpec {
  const tables = PEOPLE.map((name) => ({
    source: `public.${name}`,
    excludeColumns: [...excludeColumns],
    resyncStrategy: name === 'swapped' ? 'swap' : 'truncate',
  }));
  return { ...more, tables };
}

async function columnsAt(mirror: TestMirror, table: string): Promise<string | null | undefined> {
  const [row] = await mirror.atDestination(
    `select string_agg(attname || case when attnotnull then '!' else '' end, ' ' order by attname) as columns
     from pg_attribute where attrelid = '${table}'::regclass and attnum > 0 and not attisdropped`,
  );
  return row?.['columns'];
}

test('a column that is left out, comes back, is dropped and comes back again, under writes and before readers', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write(people([]));
  await mirror.start();
  await mirror.waitReady();
  await using writers = await Writers.start(mirror.source, 2, (writer, round) => {
    const id = 1_000 + 2 * round + writer;
    return PEOPLE.flatMap((name) => [
      `insert into ${name} values (${id}, 'new', 'secret', 'hint')`,
      `update ${name} set secret = 'changed', hint = '${round}' where id = ${(round % 400) + 1}`,
      `delete from ${name} where id = ${id - 50} and id % 3 = 0`,
    ]);
  });
  await using reader = await Reader.start(mirror.destination, [
    'select count(*) >= 500 as whole from swapped',
  ]);

  await mirror.write(people(['secret']));
  await mirror.waitReady();
  assert.match(
    await mirror.readLog(),
    /file: 2 fields changed\\nspec\.tables\[public\.swapped\]\.excludeColumns: \[\] -> \[secret\] \(needs-resync\)/,
  );
  for (const name of PEOPLE) {
    assert.equal(await columnsAt(mirror, name), 'hint id! name secret');
    assert.deepEqual(
      await mirror.atDestination(`select 1 as leaked from ${name} where secret is not null`),
      [],
    );
  }

  await mirror.write(people([]));
  await mirror.waitReady();
  await mirror.write(people(['secret', 'hint'], { deletionPolicy: 'Delete' }));
  await mirror.waitReady();
  for (const name of PEOPLE) assert.equal(await columnsAt(mirror, name), 'id! name');
  await mirror.caughtUp();
  await mirror.assertNothingToDo();

  await mirror.write(people([], { deletionPolicy: 'Delete' }));
  await mirror.waitReady();
  assert.ok((await writers.stop()) > 0);
  assert.ok((await reader.stop()).reads > 0);
  await mirror.caughtUp();
  for (const name of PEOPLE) {
    assert.equal(await columnsAt(mirror, name), 'hint id! name secret!');
    const all = `(select id, name, secret, hint from ${name})`;
    await assertSameRows(mirror.source, mirror.destination, [all]);
  }
  await mirror.assertNothingToDo();
  assert.doesNotMatch(await mirror.readLog(), /table failed/);
});

test('an exclusion that is taken back while the copy waits: nothing that went by without it is missing, also after kill -9', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const all = PEOPLE.map((name) => `(select id, name, secret, hint from ${name})`);
  await mirror.write(people([]));
  await mirror.start();
  await mirror.waitReady();
  const held = await Promise.all(
    PEOPLE.map(async (name) => mirror.holdLockAtDestination(name, 'access share')),
  );
  await mirror.write(people(['secret']));
  await mirror.waitForPhase('swapped', 'CatchingUp');
  await mirror.waitForPhase('truncated', 'Copying');
  for (const name of PEOPLE)
    await mirror.atSource(
      `update ${name} set secret = 'later' where id < 100; insert into ${name} values (600, 'n', 's', 'h')`,
    );
  await mirror.caughtUp();
  const leaked = `select 1 from swapped where secret = 'later' or id = 600 and secret is not null`;
  assert.deepEqual(await mirror.atDestination(leaked), []);
  await mirror.kill();
  await mirror.write(people([]));
  await mirror.start();
  for (const { release } of held) await release();
  await mirror.waitReady();
  await mirror.caughtUp();
  await assertSameRows(mirror.source, mirror.destination, all);
  await mirror.assertNothingToDo();

  // The other way round the old table lacks nothing: it stays.
  await mirror.write(people(['hint']));
  await mirror.waitReady();
  const before = await mirror.atDestination(`select 'swapped'::regclass::oid as oid`);
  const again = await mirror.holdLockAtDestination('swapped', 'access share');
  await mirror.write(people([]));
  await mirror.waitForPhase('swapped', 'CatchingUp');
  await mirror.write(people(['hint']));
  await mirror.waitForPhase('swapped', 'Live');
  await again.release();
  await mirror.waitReady();
  assert.deepEqual(await mirror.atDestination(`select 'swapped'::regclass::oid as oid`), before);
  await mirror.assertNothingToDo();
});
