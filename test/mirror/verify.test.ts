/** Both sides are compared at one point of the source's history: after each copy, and when somebody asks. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Status } from '../../src/status/status.ts';
import type { CommandResult } from '../servers/daemon.ts';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';
import { Writers, type Transaction } from './writers.ts';

const schemaUrl = new URL('../../schemas/status.schema.json', import.meta.url);
const validate = new Ajv2020({ strict: true, allErrors: true }).compile(
  JSON.parse(readFileSync(schemaUrl, 'utf8')) as object,
);

function condition({ status }: Status, type: string): string | undefined {
  const found = status.conditions.find((one) => one.type === type);
  return found && `${found.status} ${found.reason}`;
}

function messageOf({ status }: Status, type: string): string {
  return status.conditions.find((one) => one.type === type)?.message ?? '';
}

async function waitFor(mirror: TestMirror, is: (status: Status) => boolean): Promise<Status> {
  const status = await mirror.waitFor(is);
  assert.ok(validate(status), JSON.stringify(validate.errors));
  return status;
}

async function verify(mirror: TestMirror, ...args: string[]): Promise<CommandResult> {
  return mirror.command('verify', mirror.name, '--timeout', '60s', ...args);
}

const BUSY = /* sql */ `
create table accounts (id int primary key, balance bigint not null, note text);
insert into accounts select g, 1000, repeat(md5(g::text), 3) from generate_series(1, 3000) g;
create table history (writer int, round int, at timestamptz default clock_timestamp());
alter table history replica identity full;
create table other (id bigint primary key, at timestamptz default clock_timestamp());
`;

/** Hot rows of all writers, in the order of their ids; the others of each writer alone. */
const busy: Transaction = (writer, round) => {
  const hot = [1 + ((writer * 37 + round * 31) % 100), 1 + ((writer * 11 + round) % 100)];
  const own = 10_000 * (writer + 1) + round;
  return [
    ...hot
      .sort((a, b) => a - b)
      .map((id) => `update accounts set balance = balance + 1 where id = ${id}`),
    `insert into history (writer, round) values (${writer}, ${round})`,
    'savepoint half',
    `delete from accounts where id = ${own - 5}`,
    `insert into accounts values (${own}, 1, 'new')`,
    ...(round % 3 === 0 ? ['rollback to savepoint half'] : []),
    `insert into other values (${1_000_000 * writer + round})`,
    ...(round % 20 === 19
      ? [
          `update accounts set note = note || '.' where id between ${500 * writer + 101} and ${500 * writer + 500}`,
        ]
      : []),
  ];
};

test('under five writers both sides are the same each time, and the stream does not wait for it', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), BUSY);
  const names = ['accounts', 'history', 'other'];
  await mirror.write({ tables: names.map((name) => ({ source: `public.${name}` })) });
  await using writers = await Writers.start(mirror.source, 5, busy);
  await mirror.start();
  await mirror.waitReady();
  const status = await waitFor(mirror, (now) => condition(now, 'Verified') !== undefined);
  assert.equal(condition(status, 'Verified'), 'True ReconciliationSucceeded');
  for (const table of status.status.tables) assert.equal(table.verification?.result, 'Match');
  const lsns = new Set<string>();
  let maxLag = 0;
  for (let round = 0; round < 12; round += 1) {
    const { code, stdout, stderr } = await verify(mirror, '-o', 'json');
    assert.equal(code, 0, stdout + stderr);
    const found = JSON.parse(stdout) as {
      table: string;
      result: string;
      rows: number;
      lsn: string;
    }[];
    assert.deepEqual(
      found.map(({ table, result }) => `${table} ${result}`),
      names.map((name) => `public.${name} Match`),
    );
    for (const { table, lsn, rows } of found) {
      assert.ok(rows > 0);
      lsns.add(`${table} ${lsn}`);
    }
    maxLag = Math.max(maxLag, (await mirror.status())?.status.lag?.seconds ?? 0);
  }
  assert.equal(lsns.size, 36, 'each time it was looked anew');
  assert.ok(maxLag < 3, `${maxLag} s behind`);
  const rounds = await writers.stop();
  await mirror.caughtUp();
  await mirror.assertSame(names);
  const [history] = await mirror.atDestination('select count(*) as rows from history');
  assert.equal(Number(history?.['rows']), rounds);
  await mirror.waitReady();
  await mirror.assertNothingToDo();
});

const SHOP = /* sql */ `
create table users (id int primary key, name text, secret text);
insert into users select g, 'name ' || g, 'secret' from generate_series(1, 20) g;
create table pairs (a text, b int, v text, primary key (a, b));
insert into pairs select 'k' || g, g, 'v' from generate_series(1, 5) g;
create table log (line text); alter table log replica identity full;
insert into log values ('one'), ('one'), ('two');
create table empty (id int primary key);
`;
const shop = (generation = 0): Record<string, unknown>[] => [
  {
    source: 'public.users',
    destination: 'crm.people',
    excludeColumns: ['secret'],
    resyncGeneration: generation,
  },
  { source: 'public.pairs' },
  { source: 'public.log' },
  { source: 'public.empty' },
];

test('what somebody changed at the destination is found with its keys, told everywhere, and mended by a resync', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SHOP);
  await mirror.write({ tables: shop() });
  await mirror.start();
  await mirror.waitReady();
  const good = await verify(mirror);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  assert.match(good.stdout, /^public\.users: Match at [0-9A-F]+\/[0-9A-F]+: 20 rows$/m);
  assert.match(good.stdout, /^public\.empty: Match at .*: 0 rows$/m);
  await mirror.atDestination(`
    set session_replication_role = replica;
    update crm.people set name = 'x' where id = 2;
    delete from crm.people where id in (3, 12);
    insert into crm.people (id, name) values (100, 'y');
    update pairs set v = 'w' where b = 2;
    delete from log where ctid = (select min(ctid) from log where line = 'one')`);
  const bad = await verify(mirror, 'public.users', 'public.log', 'public.pairs');
  assert.equal(bad.code, 2, bad.stdout + bad.stderr);
  const users =
    '20 rows at the source, 19 at the destination; 4 keys differ (id): 2 different, ' +
    '3 missing at the destination, 12 missing at the destination, 100 only at the destination';
  assert.deepEqual(
    bad.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/at [0-9A-F]+\/[0-9A-F]+/, 'at LSN')),
    [
      `public.users: Mismatch at LSN: ${users}`,
      'public.pairs: Mismatch at LSN: 5 rows on either side, and not the same; 1 key differs (a, b): (k2,2) different',
      'public.log: Mismatch at LSN: 3 rows at the source, 2 at the destination',
    ],
  );
  const status = await waitFor(
    mirror,
    (now) => condition(now, 'Verified') === 'False VerificationFailed',
  );
  assert.ok(messageOf(status, 'Verified').includes(`public.users: ${users}`));
  assert.equal(condition(status, 'Ready'), 'False VerificationFailed');
  assert.equal(condition(status, 'Stalled'), 'True VerificationFailed');
  assert.equal(condition(status, 'Replicating'), 'True Streaming');
  const [first] = status.status.tables;
  assert.equal(first?.phase, 'Live');
  assert.equal(first.verification?.result, 'Mismatch');
  assert.equal(first.verification.rows, 20);
  assert.equal(first.error?.code, 'VerificationFailed');
  assert.ok(first.error.message.includes(users));
  // It streams on, and is told once.
  await mirror.atSource(`insert into users values (21, 'new', 'secret')`);
  await mirror.caughtUp();
  await mirror.assertNothingToDo();
  assert.equal((await mirror.command('wait', mirror.name, '--timeout', '1s')).code, 1);
  // Mended by hand, and by a resync.
  await mirror.atDestination(`
    update pairs set v = 'v' where b = 2; insert into log values ('one')`);
  assert.equal((await verify(mirror, 'public.pairs', 'public.log')).code, 0);
  await mirror.write({ tables: shop(1) });
  await mirror.waitReady();
  const mended = await waitFor(
    mirror,
    (now) => condition(now, 'Ready') === 'True ReconciliationSucceeded',
  );
  assert.equal(condition(mended, 'Verified'), 'True ReconciliationSucceeded');
  assert.equal(mended.status.tables[0]?.verification?.rows, 21);
  assert.equal(mended.status.tables[0]?.error, undefined);
  await mirror.assertNothingToDo();
});

test('a comparison that cannot be made says why', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SHOP);
  await mirror.write({ tables: shop() });
  assert.equal((await mirror.command('verify', 'nobody')).code, 3);
  const early = await verify(mirror);
  assert.equal(early.code, 1);
  assert.match(early.stderr, /public\.users: not compared: no daemon runs the mirror/);
  await mirror.start();
  await mirror.waitReady();
  const unknown = await verify(mirror, 'public.user');
  assert.equal(unknown.code, 64);
  assert.match(unknown.stderr, /has no table public\.user; did you mean public\.users\?/);
  assert.match((await verify(mirror, '"public"."log"')).stdout, /^public\.log: Match/);
  assert.equal((await mirror.command('verify', mirror.name, '--timeout', '0s')).code, 4);
  assert.equal((await mirror.command('verify')).code, 64);
  const lock = await mirror.holdLockAtDestination('log', 'access exclusive');
  try {
    const late = await mirror.command('verify', mirror.name, 'public.log', '--timeout', '15s');
    assert.equal(late.code, 4, late.stdout + late.stderr);
    assert.match(late.stderr, /^public\.log: timed out: .*lock timeout/);
  } finally {
    await lock.release();
  }
  await mirror.waitReady();
  await mirror.atDestination('alter table pairs add constraint small check (b < 100)');
  await mirror.atSource(`insert into pairs values ('x', 500, 'v')`);
  await mirror.waitForPhase('pairs', 'Failed');
  const failed = await verify(mirror, 'public.pairs');
  assert.equal(failed.code, 1);
  assert.match(
    failed.stderr,
    /public\.pairs: not compared: it is (Failed:|CatchingUp, and compared by itself)/,
  );
  await mirror.write({ suspend: true, tables: shop() });
  assert.match((await verify(mirror)).stderr, /the mirror is suspended/);
});

test('values that print by settings print equally under whatever a role or a database sets', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    `
    create type mood as enum ('fine', 'bad, "very"');
    create table t (id int primary key, f double precision, r real, at timestamptz, d date, i interval, b bytea,
      n numeric, j json, jb jsonb, m mood, x text, a text[], c money, u uuid, bits bit varying, ch char(5));
    insert into t select g, g / 3.0, g / 7.0, timestamptz '2026-03-29 01:30:00 Europe/Berlin' + g * interval '1 hour',
      date '2026-01-02' + g, g * interval '1 month 3 days 04:05:06.7', decode(md5(g::text), 'hex'), g / 9.0,
      '{"b": 1,  "a": 1}', '{"b": 1, "a": null}', case g % 2 when 0 then 'fine' else 'bad, "very"' end::mood,
      case g % 3 when 0 then null when 1 then '' else E'ä\\n,"(' end, array['x', null, '', 'NULL'], g::text::money,
      md5(g::text)::uuid, g::bit(8)::bit varying, 'ab'
    from generate_series(1, 300) g;
    insert into t (id, f) values (1001, '-0'), (1002, 'NaN'), (1003, '-infinity'), (1004, 1e-300);
    do $$ begin execute format('alter database %I set extra_float_digits = 0', current_database());
      execute format('alter database %I set intervalstyle = iso_8601', current_database());
      execute format('alter database %I set timezone = %L', current_database(), 'Asia/Tokyo');
      execute format('alter database %I set bytea_output = escape', current_database()); end $$;`,
  );
  await mirror.atDestination(`
    do $$ begin execute format('alter database %I set datestyle = %L', current_database(), 'German');
      execute format('alter database %I set intervalstyle = sql_standard', current_database());
      execute format('alter database %I set extra_float_digits = -2', current_database());
      execute format('alter database %I set timezone = %L', current_database(), 'America/New_York');
      execute format('alter database %I set search_path = pg_catalog', current_database()); end $$;`);
  await mirror.write({ tables: [{ source: 'public.t' }] });
  await mirror.start();
  await mirror.waitReady();
  const { code, stdout, stderr } = await verify(mirror);
  assert.equal(code, 0, stdout + stderr);
  assert.match(stdout, /304 rows/);
  // The last bit of a float, the zero's sign, null or empty: nothing is the same as something else.
  await mirror.atDestination(`
    update public.t set f = f + 1e-16 where id = 1; update public.t set f = 0 where id = 1001;
    update public.t set x = '' where id = 3; update public.t set a = array['x', 'NULL', '', 'NULL'] where id = 4`);
  const bad = await verify(mirror);
  assert.equal(bad.code, 2);
  assert.match(
    bad.stdout,
    /4 keys differ \(id\): 1 different, 3 different, 4 different, 1001 different$/m,
  );
});

test('a table that was copied and not yet compared is compared by the next daemon; one that was adopted only when asked', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SHOP);
  await mirror.write({ tables: shop() });
  await mirror.start();
  await mirror.waitReady();
  await mirror.stop();
  // As if it had been killed in between; the status is the former daemon's.
  const statusFile = join(mirror.statusDirectory, `${mirror.name}.yaml`);
  await rm(statusFile);
  await mirror.atDestination(`update bunnydb.tables set verification = null`);
  await mirror.start();
  await waitFor(mirror, (now) => condition(now, 'Verified') === 'True ReconciliationSucceeded');
  await mirror.stop();
  await rm(statusFile);
  await mirror.atDestination(`update bunnydb.tables set verification = null, source_oid = null`);
  await mirror.start();
  await mirror.waitReady();
  const adopted = await waitFor(
    mirror,
    (now) => condition(now, 'Ready') === 'True ReconciliationSucceeded',
  );
  assert.equal(condition(adopted, 'Verified'), 'Unknown Progressing');
  assert.equal((await verify(mirror)).code, 0);
  await waitFor(mirror, (now) => condition(now, 'Verified') === 'True ReconciliationSucceeded');
});
