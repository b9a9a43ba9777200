import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { dropPublication } from '../../src/execute/publication.ts';
import { openSession } from '../../src/postgres/session.ts';
import { mirrorTable, startPair } from './pair.ts';

test('a table joins when nobody is in the middle of writing it; the others do not wait', async () => {
  await using pair = await startPair([mirrorTable('public.a')]);
  await pair.onSource(`
    create table public.a (id int primary key);
    create table public.busy (id int primary key, day date) partition by range (id);
    create table public.busy_1 partition of public.busy for values from (0) to (10);
    create table public.free (id int primary key);
  `);
  await pair.execute();
  await using writer = await openSession(pair.mirror.source, { mirror: 'busy', role: 'writer' });
  await writer.query('begin');
  await writer.query('insert into public.busy_1 values (1)');

  const grown = pair.with({
    tables: [mirrorTable('public.a'), mirrorTable('public.busy'), mirrorTable('public.free')],
  });
  await assert.rejects(grown.execute(), (error: unknown) => {
    assert.ok(error instanceof MirrorError);
    assert.equal(error.code, 'LockTimeout');
    assert.match(error.message, /that writes public\.busy is open/);
    return true;
  });
  const withoutBusy = { tables: [mirrorTable('public.a'), mirrorTable('public.free')] };
  await pair.with(withoutBusy).execute();
  const members = async (): Promise<string[]> =>
    ((await grown.observe()).publication?.tables ?? []).map((table) => table.name);
  assert.deepEqual(await members(), ['a', 'free']);
  await writer.query('commit');
  await grown.execute();
  assert.deepEqual(await members(), ['a', 'busy', 'free']);
  assert.deepEqual((await grown.plan()).steps, []);
});

test('what was changed by hand is put right', async () => {
  await using pair = await startPair([mirrorTable('public.a')]);
  await pair.onSource('create table public.a (id int primary key); create table public.x (i int)');
  await pair.execute();
  const { name } = pair.mirror.publication;
  await pair.onSource(`
    alter publication ${name} set (publish_via_partition_root = false);
    alter publication ${name} add table public.x;
  `);
  await pair.execute();
  const { publication, tables } = await pair.observe();
  assert.deepEqual(publication, {
    tables: [{ schema: 'public', name: 'a', oid: tables[0]?.sourceShape?.oid }],
    allTables: false,
    viaPartitionRoot: true,
    operations: ['insert', 'update', 'delete', 'truncate'],
    partial: [],
  });
  assert.deepEqual((await pair.plan()).steps, []);

  await pair.onSource(`drop publication ${name}`);
  assert.deepEqual(
    (await pair.plan()).refusals.map((refusal) => refusal.error.code),
    ['SlotLost'],
  );
  const resync = pair.with({ onSlotLoss: 'Resync' });
  await resync.execute();
  assert.deepEqual((await resync.observe()).publication, publication);
  assert.deepEqual((await resync.plan()).steps, []);

  for (const changed of [true, false]) {
    const outcome = await dropPublication(pair, { kind: 'drop-publication', name });
    assert.equal(outcome.changed, changed);
  }
});

test('a row filter and a column list are seen', async () => {
  await using pair = await startPair([mirrorTable('public.a')]);
  await pair.onSource(`
    create table public.a (id int primary key, b int, c int);
    create publication ${pair.mirror.publication.name} for table public.a (id, c) where (id > 1);
  `);
  const { publication } = await pair.observe();
  assert.deepEqual(publication?.partial, [
    { table: { schema: 'public', name: 'a' }, rowFilter: true, columns: ['id', 'c'] },
  ]);
  assert.deepEqual(
    (await pair.plan()).refusals.map((refusal) => refusal.error.message),
    [`publication ${pair.mirror.publication.name} has a row filter for public.a`],
  );
});
