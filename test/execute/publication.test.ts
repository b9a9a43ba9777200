import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { dropPublication } from '../../src/execute/publication.ts';
import { observeMemberships } from '../../src/observe/publication.ts';
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
  const before = (await pair.observe()).ledger.mirror?.publicationIdentity;
  assert.ok(before);
  await pair.onSource(`alter publication ${name} add table public.x`);
  await pair.execute();
  const { publication, tables } = await pair.observe();
  assert.deepEqual(publication, {
    identity: before,
    tables: [{ schema: 'public', name: 'a', oid: tables[0]?.sourceShape?.oid }],
    allTables: false,
    viaPartitionRoot: true,
    operations: ['insert', 'update', 'delete', 'truncate'],
    partial: [],
  });
  assert.deepEqual((await pair.plan()).steps, []);

  const resync = pair.with({ onSlotLoss: 'Resync' });
  // What else was altered with it, and put back, nobody can tell.
  for (const change of [
    `alter publication ${name} set (publish_via_partition_root = false)`,
    `drop publication ${name}`,
  ]) {
    await pair.onSource(change);
    assert.deepEqual(
      (await pair.plan()).refusals.map((refusal) => refusal.error.code),
      ['SlotLost'],
    );
    await resync.execute();
    const { publication: mended, ledger } = await resync.observe();
    assert.deepEqual(mended && { ...mended, identity: before }, publication);
    assert.deepEqual(mended?.identity, ledger.mirror?.publicationIdentity);
    assert.deepEqual((await resync.plan()).steps, []);
  }

  // A ledger of an older program does not know it: what we alter ourselves is known afterwards.
  await pair.onSource(`alter publication ${name} set (publish_via_partition_root = false)`);
  await pair.onDestination('update bunnydb.mirrors set publication_identity = null');
  assert.deepEqual(
    (await resync.plan()).steps.map(({ kind }) => kind),
    ['alter-publication', 'record-source'],
  );
  await resync.execute();
  assert.deepEqual((await resync.plan()).steps, []);
  assert.deepEqual((await pair.plan()).refusals, []);

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

test('each way in which a table is published is seen, and whether it is the same as before', async () => {
  await using pair = await startPair([]);
  await pair.onSource(`
    create schema s;
    create table public.a (id int primary key);
    create table public.b (id int primary key);
    create table public.whole (id int primary key) partition by range (id);
    create table s.part partition of public.whole for values from (0) to (10);
    create publication few for table public.a, public.whole;
    create publication every for all tables;
  `);
  const tables = ['public.a', 'public.b', 'public.whole', 's.part'];
  const oids = await Promise.all(
    tables.map(async (table) =>
      Number((await pair.source.query(`select '${table}'::regclass::oid as oid`))[0]?.['oid']),
    ),
  );
  const ways = async (name = 'few'): Promise<(readonly string[])[]> => {
    const of = await observeMemberships(pair.source, name, oids);
    return oids.map(of);
  };
  const before = await ways();
  assert.deepEqual(
    before.map((each) => each.map((way) => way.replace(/\d+/, 'n'))),
    [['table n'], [], ['table n'], ['table n']],
  );
  assert.deepEqual(before[3], before[2], 'a partition comes with its root');
  const [all] = await ways('every');
  assert.match(all?.[0] ?? '', /^all \d+$/);
  assert.deepEqual(await ways('every'), [all, all, all, all]);
  assert.deepEqual(await ways('none'), [[], [], [], []]);

  await pair.onSource('alter publication few add tables in schema s');
  const joined = await ways();
  assert.deepEqual(joined.slice(0, 3), before.slice(0, 3));
  assert.match(joined[3]?.join(' ') ?? '', /^schema \d+ table \d+$/);
  await pair.onSource('alter publication few set table public.a where (id < 5), public.whole');
  const filtered = await ways();
  assert.notDeepEqual(filtered[0], before[0]);
  assert.deepEqual(filtered.slice(1), before.slice(1));
  await pair.onSource('alter publication few set table public.a (id), public.whole');
  const listed = await ways();
  assert.notDeepEqual(listed[0], filtered[0]);
  await pair.onSource('alter table public.a rename to c');
  await pair.onSource('vacuum full pg_publication_rel');
  assert.deepEqual(await ways(), listed);
});
