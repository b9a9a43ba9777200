/** A live mirror follows its file: what an edit asks for is done, and nothing else is touched. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Connection } from '../../src/core/mirror.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { assertSameRows, definitions, digest } from './compare.ts';
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
  // The one waits to be emptied and is Live, the other to change places: neither gets the column.
  await mirror.waitFor(({ status }) =>
    status.tables.every(({ resync }) => resync?.waitsFor !== undefined),
  );
  for (const name of PEOPLE)
    await mirror.atSource(
      `update ${name} set secret = 'later' where id < 100; insert into ${name} values (600, 'n', 's', 'h')`,
    );
  await mirror.caughtUp();
  for (const name of PEOPLE) {
    const leaked = `select 1 from ${name} where secret = 'later' or id = 600 and secret is not null`;
    assert.deepEqual(await mirror.atDestination(leaked), [], name);
  }
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

const TABLES = ['a', 'b', 'left_one', 'right_one', 'late'];

const SHOP = TABLES.map(
  (name) => /* sql */ `
create table ${name} (id int primary key, v text);
insert into ${name} select g, '${name}' from generate_series(1, 200) g;
`,
).join('');

/** How often each table was copied until now. */
async function copies(mirror: TestMirror): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const line of (await mirror.readLog()).trim().split('\n')) {
    const { table, step, msg } = JSON.parse(line) as Record<string, string>;
    if (msg !== 'copy step' || step !== 'Copying' || table === undefined) continue;
    counts[table] = (counts[table] ?? 0) + 1;
  }
  return counts;
}

async function walsender(mirror: TestMirror): Promise<string | null | undefined> {
  const [row] = await mirror.atSource(
    `select active_pid from pg_replication_slots where slot_name = 'bunny_${mirror.name}'`,
  );
  return row?.['active_pid'];
}

async function published(mirror: TestMirror): Promise<string | null | undefined> {
  const [row] = await mirror.atSource(
    `select string_agg(tablename, ' ' order by tablename) as tables
     from pg_publication_tables where pubname = 'bunny_${mirror.name}'`,
  );
  return row?.['tables'];
}

test('tables come, move, change places and go, and limits change, while the others stream on', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SHOP);
  const entry = (source: string, destination = source, more = {}): Record<string, unknown> => ({
    source: `public.${source}`,
    destination: `public.${destination}`,
    ...more,
  });
  const first = ['a', 'b', 'left_one', 'right_one'].map((name) => entry(name));
  await mirror.write({ tables: first });
  await mirror.start(['--removal-grace', '200ms']);
  await mirror.waitReady();
  await using writers = await Writers.start(mirror.source, 1, (_writer, round) =>
    TABLES.flatMap((name) => [
      `insert into ${name} values (${1_000 + round}, 'new')`,
      `update ${name} set v = '${round}' where id = ${(round % 200) + 1}`,
    ]),
  );
  const single = { 'public.a': 1, 'public.b': 1, 'public.left_one': 1, 'public.right_one': 1 };
  const sender = await walsender(mirror);

  const limits = {
    resyncStrategy: 'swap',
    onSlotLoss: 'Resync',
    cdc: { maxBatchSize: 50 },
    snapshot: { rowsPerPartition: 100_000, tablesInParallel: 1 },
  };
  await mirror.write({ ...limits, tables: first });
  await mirror.waitReady();
  assert.deepEqual(await copies(mirror), single);

  // One comes and one moves, whose key's name is taken where it goes; the table where it was stays as it is.
  const moved = [entry('a', 'archive'), ...first.slice(1), entry('late')];
  await mirror.write({ ...limits, tables: moved });
  await mirror.waitReady();
  assert.deepEqual(await copies(mirror), { ...single, 'public.a': 2, 'public.late': 1 });
  const [old] = await mirror.atDestination('select count(*) as rows from a');
  assert.ok(Number(old?.['rows']) >= 200);

  // Two change places: both hold rows, and only a counter says that they may be replaced.
  const exchanged = (more = {}): Record<string, unknown>[] => [
    ...moved.slice(0, 2),
    entry('left_one', 'right_one', more),
    entry('right_one', 'left_one', more),
    entry('late'),
  ];
  await mirror.write({ ...limits, tables: exchanged() });
  await mirror.waitFor(({ status }) => {
    const refused = status.tables.filter(({ error }) => error?.code === 'DestinationNotEmpty');
    return refused.length === 2;
  });
  // Taken back it has cost nothing: both were streamed on where they are.
  await mirror.write({ ...limits, tables: moved });
  await mirror.waitReady();
  assert.deepEqual(await copies(mirror), { ...single, 'public.a': 2, 'public.late': 1 });
  await mirror.assertNothingToDo();
  await mirror.write({ ...limits, tables: exchanged({ resyncGeneration: 1 }) });
  await mirror.waitReady();

  await mirror.write({ ...limits, tables: exchanged({ resyncGeneration: 1 }).slice(0, 4) });
  await until(async () => (await published(mirror)) === 'a b left_one right_one', {
    timeoutMs: 30_000,
    late: async () => new Error(`published: ${await published(mirror)}`),
  });
  await mirror.waitReady();
  const twice = { 'public.left_one': 2, 'public.right_one': 2, 'public.late': 1 };
  assert.deepEqual(await copies(mirror), { 'public.a': 2, 'public.b': 1, ...twice });
  assert.ok((await writers.stop()) > 0);
  await mirror.caughtUp();
  for (const [from, to] of [
    ['a', 'archive'],
    ['b', 'b'],
    ['left_one', 'right_one'],
    ['right_one', 'left_one'],
  ] as const)
    assert.equal(await digest(mirror.destination, to), await digest(mirror.source, from));
  assert.equal(await walsender(mirror), sender);
  await mirror.assertNothingToDo();
});

const KEYED = /* sql */ `
create table parents (id int primary key, v text);
create table children (id int primary key, parent int constraint to_parent references parents, v text);
create index parents_v on parents (v);
insert into parents select g, 'v' from generate_series(1, 300) g;
insert into children select g, g, 'v' from generate_series(1, 300) g;
`;

test('indexes and foreign keys are asked for, not asked for, and put right beside the stream', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), KEYED);
  const tables = [{ source: 'public.parents' }, { source: 'public.children' }];
  const off = { replicateIndexes: false, replicateForeignKeys: false, tables };
  await mirror.write(off);
  const daemon = await mirror.start();
  await mirror.waitReady();
  await using writers = await Writers.start(mirror.source, 1, (_writer, round) => [
    `insert into parents values (${1_000 + round}, 'new')`,
    `insert into children values (${1_000 + round}, ${1_000 + round}, 'new')`,
  ]);
  const all = await definitions(mirror.source);
  const bare = all.filter((line) => !line.includes('parents_v') && !line.includes('to_parent'));
  assert.deepEqual(await definitions(mirror.destination), bare);

  await mirror.write({ tables });
  await mirror.waitReady();
  assert.deepEqual(await definitions(mirror.destination), all);
  await mirror.write(off);
  await mirror.waitReady();
  assert.deepEqual(await definitions(mirror.destination), all);
  const [kept] = (await mirror.plan()).notices;
  assert.match(kept?.message ?? '', /are false, .* drop index concurrently "public"\."parents_v"/);

  await mirror.write({ tables });
  await mirror.waitReady();
  await mirror.atDestination(
    `alter table children drop constraint to_parent; drop index parents_v;
     alter table parents drop constraint parents_pkey`,
  );
  daemon.signal('SIGHUP');
  await until(async () => isDeepStrictEqual(await definitions(mirror.destination), all), {
    timeoutMs: 30_000,
    late: async () => new Error((await definitions(mirror.destination)).join('\n')),
  });
  assert.ok((await writers.stop()) > 0);
  await mirror.caughtUp();
  await mirror.assertSame(['parents', 'children']);
  await mirror.assertNothingToDo();

  // What was written while a table was out of the publication is gone: it says so, and a resync mends it.
  await mirror.atSource(
    `alter publication bunny_${mirror.name} drop table parents; insert into parents values (0, 'unseen')`,
  );
  daemon.signal('SIGHUP');
  const lost = await mirror.waitFor(({ status }) => status.tables[0]?.error !== undefined);
  assert.equal(lost.status.tables[0]?.error?.code, 'SlotLost');
  assert.match(lost.status.tables[0]?.error?.hint ?? '', /Bump its resyncGeneration/);
  await mirror.write({
    tables: [{ source: 'public.parents', resyncGeneration: 1 }, tables[1] ?? {}],
  });
  await mirror.waitReady();
  await mirror.assertSame(['parents', 'children']);
  await mirror.assertNothingToDo();
});

/** Another address of a server: whoever connects to it is passed on. */
async function anotherAddress(server: Connection): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const upstream = connect(server.port, server.host);
    for (const socket of [client, upstream]) sockets.add(socket.on('error', () => undefined));
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
    },
  };
}

test('a connection that moves to another address of the same server goes on without a copy', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SHOP);
  const [source, destination] = [mirror.sourceEndpoint(), mirror.destinationEndpoint()];
  await using atSource = await anotherAddress(source);
  await using atDestination = await anotherAddress(destination);
  const tables = ['a', 'b'].map((name) => ({ source: `public.${name}` }));
  await mirror.write({ tables });
  await mirror.start();
  await mirror.waitReady();
  await using writers = await Writers.start(mirror.source, 2, (writer, round) => [
    `insert into a values (${1_000 + 2 * round + writer}, 'new')`,
    `update b set v = '${round}' where id = ${((2 * round + writer) % 200) + 1}`,
  ]);
  for (const ends of [
    { source: { ...source, port: atSource.port } },
    {
      source: { ...source, host: 'localhost' },
      destination: { ...destination, port: atDestination.port },
    },
    { destination: { ...destination, host: 'localhost' } },
  ]) {
    const before = await walsender(mirror);
    await mirror.write({ ...ends, tables });
    await mirror.waitReady();
    assert.notEqual(await walsender(mirror), before);
  }
  assert.ok((await writers.stop()) > 0);
  await mirror.caughtUp();
  await mirror.assertSame(['a', 'b']);
  assert.deepEqual(await copies(mirror), { 'public.a': 1, 'public.b': 1 });
  await mirror.assertNothingToDo();
});
