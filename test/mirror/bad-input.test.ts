/** What a newcomer gets wrong: each is one line with a hint, in the status file and on plan, and heals by itself. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Status } from '../../src/status/status.ts';
import { findFreePort, startCluster } from '../servers/cluster.ts';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';

const SETUP =
  'create table a (id int primary key); insert into a values (1); create table b (id int primary key)';
const TABLES = [{ source: 'public.a' }];

interface Expected {
  readonly code: ErrorCode;
  readonly message: RegExp;
  readonly hint: RegExp;
}

function ready(status: Status): { reason: string; message: string } | undefined {
  return status.status.conditions.find(({ type }) => type === 'Ready');
}

/** The whole mirror stands still: state, condition, and the same words on plan. */
async function assertMirrorFails(mirror: TestMirror, expected: Expected): Promise<void> {
  const status = await mirror.waitFor((one) => ready(one)?.reason === expected.code);
  assert.equal(status.status.state, 'FAILED');
  const message = ready(status)?.message ?? '';
  assert.match(message, expected.message);
  assert.match(message, expected.hint);
  assert.doesNotMatch(message, /\n/);
  const plan = await mirror.command('plan', mirror.name);
  assert.match(plan.stdout + plan.stderr, expected.message);
  assert.match(plan.stdout + plan.stderr, expected.hint);
}

test('no server there, then it is', async () => {
  const { source, destination } = await sharedClusters();
  await using mirror = await TestMirror.create({ source, destination }, SETUP);
  const nobody = { ...mirror.destinationEndpoint(), port: await findFreePort() };
  await mirror.write({ destination: nobody, tables: TABLES });
  await mirror.start();
  await assertMirrorFails(mirror, {
    code: 'ConnectionFailed',
    message: new RegExp(`127\\.0\\.0\\.1:${nobody.port}/`),
    hint: /Check that the server is up/,
  });
  await mirror.write({ tables: TABLES });
  await mirror.waitReady();
  await mirror.assertSame(['a']);
});

test('a wrong password, then the file has the right one', async () => {
  const { source, destination } = await sharedClusters();
  await using mirror = await TestMirror.create({ source, destination }, SETUP);
  const file = join(mirror.statusDirectory, '..', 'password');
  await writeFile(file, 'hunter2\n');
  await mirror.write({
    source: { ...mirror.sourceEndpoint(), password: { file } },
    tables: TABLES,
  });
  await mirror.start();
  await assertMirrorFails(mirror, {
    code: 'AuthenticationFailed',
    message: /password authentication failed for user/,
    hint: /Check user and password/,
  });
  // The mirror file stays as it is: the password is read again at each try.
  await writeFile(file, `${source.password}\n`);
  await mirror.waitReady();
  const log = await mirror.readLog();
  assert.doesNotMatch(log, /hunter2/);
  assert.ok(!log.includes(source.password));
});

test('wal_level is not logical', async () => {
  const { destination } = await sharedClusters();
  await using source = await startCluster({ settings: { wal_level: 'replica' } });
  await using mirror = await TestMirror.create({ source, destination }, SETUP);
  await mirror.write({ tables: TABLES });
  await mirror.start();
  await assertMirrorFails(mirror, {
    code: 'WalLevelNotLogical',
    message: /wal_level/,
    hint: /ALTER SYSTEM SET wal_level = 'logical'/,
  });
  await source.query('postgres', 'alter system set wal_level = logical');
  await source.stop();
  await source.start();
  await mirror.waitReady();
});

test('a table that is missing is that table alone, and is copied when it comes', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: [...TABLES, { source: 'public.late' }] });
  await mirror.start();
  const status = await mirror.waitFor(
    ({ status: { tables } }) => tables[0]?.phase === 'Live' && tables[1]?.error !== undefined,
  );
  const error = status.status.tables[1]?.error;
  assert.equal(error?.code, 'TableMissing');
  assert.match(error?.message ?? '', /public\.late/);
  assert.equal(ready(status)?.reason, 'TableMissing');
  const plan = await mirror.command('plan', mirror.name);
  assert.match(plan.stdout, /public\.late/);
  assert.match(plan.stdout, /Create the table on the source/);
  await mirror.atSource(
    'create table late (id int primary key); insert into late select generate_series(1, 10)',
  );
  await mirror.waitReady();
  await mirror.assertSame(['a', 'late']);
});

test('no right to create at the destination', async () => {
  const { source, destination } = await sharedClusters();
  await using mirror = await TestMirror.create({ source, destination }, SETUP);
  const role = `weak_${mirror.name}`;
  await mirror.atDestination(`create role ${role} login password 'weak'`);
  const file = join(mirror.statusDirectory, '..', 'password');
  await writeFile(file, 'weak');
  const endpoint = { ...mirror.destinationEndpoint(), user: role, password: { file } };
  await mirror.write({ destination: endpoint, tables: TABLES });
  await mirror.start();
  await assertMirrorFails(mirror, {
    code: 'PermissionDenied',
    message: /CREATE|permission denied/i,
    hint: /Grant/i,
  });
  await mirror.atDestination(
    `grant create on database ${mirror.destination.database} to ${role};
     grant all on schema public to ${role};
     grant set on parameter session_replication_role to ${role}`,
  );
  await mirror.waitReady();
  await mirror.assertSame(['a']);
  await mirror.stop();
  await mirror.atDestination(`drop owned by ${role}; drop role ${role}`);
});

test('rows that are there already are nobody’s to throw away, unless the counter says so', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.atDestination('create table a (id int primary key); insert into a values (77)');
  await mirror.write({ tables: [...TABLES, { source: 'public.b' }] });
  await mirror.start();
  const status = await mirror.waitFor(
    ({ status: { tables } }) => tables[1]?.phase === 'Live' && tables[0]?.error !== undefined,
  );
  assert.equal(status.status.tables[0]?.error?.code, 'DestinationNotEmpty');
  assert.deepEqual(await mirror.atDestination('select id from a'), [{ id: '77' }]);
  await mirror.write({
    tables: [{ source: 'public.a', resyncGeneration: 1 }, { source: 'public.b' }],
  });
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
});

test('an existing table that does not fit is named, column by column, and left alone', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.atDestination('create table a (id text primary key)');
  await mirror.write({ tables: [...TABLES, { source: 'public.b' }] });
  await mirror.start();
  const status = await mirror.waitFor(
    ({ status: { tables } }) => tables[1]?.phase === 'Live' && tables[0]?.error !== undefined,
  );
  const error = status.status.tables[0]?.error;
  assert.equal(error?.code, 'SchemaMismatch');
  assert.match(error?.message ?? '', /id.*(integer.*text|text.*integer)/);
  await mirror.atDestination('drop table a');
  await mirror.waitReady();
  await mirror.assertSame(['a', 'b']);
});

test('a table that publishing would make read-only for its application is refused before it is published', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    `${SETUP};
     create table keyless (n int);
     insert into keyless values (1);
     create table doubled (n int, twice int generated always as (n * 2) stored);
     alter table doubled replica identity full;
     insert into doubled values (1);`,
  );
  const names = ['a', 'keyless', 'doubled'];
  await mirror.write({ tables: names.map((name) => ({ source: `public.${name}` })) });
  await mirror.start();
  const status = await mirror.waitFor(
    ({ status: { tables } }) => tables[0]?.phase === 'Live' && tables[2]?.error !== undefined,
  );
  const codes = status.status.tables.map(({ error }) => error?.code);
  assert.deepEqual(codes, [undefined, 'NoReplicaIdentity', 'NoReplicaIdentity']);
  await mirror.atSource('update keyless set n = 2; update doubled set n = 2; delete from keyless');
});
