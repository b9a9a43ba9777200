/** `bunnydb check` as a process, on real servers: what it tells to run is what mends it. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { TestMirror } from '../mirror/test-mirror.ts';
import { findFreePort } from '../servers/cluster.ts';
import { sharedClusters } from '../servers/shared.ts';

interface Told {
  readonly check: string;
  readonly result: string;
  readonly table: string | null;
  readonly code: string | null;
  readonly message: string;
  readonly fix: string | null;
}

async function check(mirror: TestMirror): Promise<{ code: number; checks: readonly Told[] }> {
  const { code, stdout, stderr } = await mirror.command('check', mirror.name, '-o', 'json');
  assert.ok(code !== 3, stderr);
  const { mirrors } = JSON.parse(stdout) as { mirrors: { checks: Told[] }[] };
  return { code, checks: mirrors[0]?.checks ?? [] };
}

function failed(checks: readonly Told[]): string[] {
  return checks.filter(({ result }) => result === 'fail').map((one) => one.check);
}

const SETUP = /* sql */ `
create role shop_owner; create role weak login password 'weak';
create table customers (id int primary key, secret text);
create table log (what text);
create unlogged table scratch (id int primary key);
alter table customers enable row level security;
alter table customers owner to shop_owner; alter table log owner to shop_owner; alter table scratch owner to shop_owner;
insert into customers values (1, 's');
`;
const EVERYTHING_THERE = /* sql */ `
select string_agg(what, ', ' order by what) as there from (
  select 'relation ' || oid::regclass as what from pg_class where oid >= 16384
  union all select 'schema ' || nspname from pg_namespace where oid >= 16384
  union all select 'publication ' || pubname from pg_publication
  union all select 'slot ' || slot_name from pg_replication_slots where database = current_database()) found`;

test('a role without rights: what check tells to run is all that is missing', async () => {
  process.env['WEAK_PASSWORD'] = 'weak';
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.atDestination(
    "create role weak login password 'weak'; revoke create on schema public from public",
  );
  const weak = (): object => ({ user: 'weak', password: { env: 'WEAK_PASSWORD' } });
  await mirror.write({
    source: { ...mirror.sourceEndpoint(), ...weak() },
    destination: { ...mirror.destinationEndpoint(), ...weak() },
    tables: ['customers', 'log', 'scratch'].map((name) => ({ source: `public.${name}` })),
  });
  const before = [
    await mirror.atSource(EVERYTHING_THERE),
    await mirror.atDestination(EVERYTHING_THERE),
  ];
  const first = await check(mirror);
  assert.equal(first.code, 1);
  assert.deepEqual(
    [...new Set(failed(first.checks))],
    [
      'replication-right',
      'publication',
      'source-tables',
      'table-owner',
      'select-right',
      'source-row-security',
      'replica-identity',
      'ledger',
      'replica-role',
      'create-tables',
    ],
  );
  const plan = await mirror.command('plan', '-o', 'json');
  const { plans } = JSON.parse(plan.stdout) as { plans: { refusals: { message: string }[] }[] };
  assert.deepEqual(
    first.checks
      .filter(({ result, check: name }) => result === 'fail' && !OWN.has(name))
      .map(({ message }) => message)
      .toSorted(),
    plans[0]?.refusals.map(({ message }) => message).toSorted(),
  );
  assert.deepEqual(
    [await mirror.atSource(EVERYTHING_THERE), await mirror.atDestination(EVERYTHING_THERE)],
    before,
  );

  // What a table is hidden behind comes to light when that is mended, as with plan.
  for (let round = first, rounds = 0; failed(round.checks).length > 0; rounds += 1) {
    assert.ok(rounds < 3, JSON.stringify(round.checks));
    for (const { result, fix } of round.checks)
      if (result === 'fail') await mend(mirror, fix ?? '');
    round = await check(mirror);
    if (failed(round.checks).length === 0) assert.equal(round.code, 0);
  }
  const run = await mirror.command('run', '--once');
  assert.equal(run.code, 0, run.stderr);
  await mirror.assertSame(['customers']);
  const text = await mirror.command('check');
  assert.equal(text.code, 0, text.stdout);
  assert.match(text.stdout, /^ {2}pass free-slot +the mirror has its slot$/m);
  await mirror.assertNothingToDo();

  await mirror.atDestination(
    "create role reader login password 'weak'; grant usage on schema bunnydb to reader; grant create on schema bunnydb to reader;" +
      'grant select, insert, update on all tables in schema bunnydb to reader',
  );
  await mirror.write({
    destination: { ...mirror.destinationEndpoint(), ...weak(), user: 'reader' },
    tables: [{ source: 'public.customers' }],
  });
  const stranger = await check(mirror);
  assert.deepEqual(failed(stranger.checks), ['ledger', 'replica-role', 'write-tables']);
});

/** What only check asks for. */
const OWN = new Set(['replica-role', 'create-tables']);

async function mend(mirror: TestMirror, fix: string): Promise<void> {
  const [, side, sql] =
    /on the (source|destination)[^:]*: ([^;]*;(?: GRANT [^;]*;)*)/i.exec(fix) ?? [];
  assert.ok(sql !== undefined, fix);
  await (side === 'source' ? mirror.atSource(sql) : mirror.atDestination(sql));
}

test('one server that does not answer is told, and the other is checked; an invalid file is no failure of the others', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    'create table a (id int primary key); create table b (id int)',
  );
  const tables = [{ source: 'public.a' }, { source: 'public.b' }];
  const away = { ...mirror.destinationEndpoint(), port: await findFreePort() };
  await mirror.write({ tables, destination: away });
  const one = await check(mirror);
  assert.equal(one.code, 1);
  assert.deepEqual(failed(one.checks), ['replica-identity', 'destination-connection']);
  const of = (name: string): Told | undefined => one.checks.find((told) => told.check === name);
  assert.match(of('destination-connection')?.message ?? '', /^refused: /);
  assert.equal(of('select-right')?.message, 'every column may be read (2 tables)');
  assert.equal(of('types')?.result, 'skip');

  const nowhere = { ...mirror.sourceEndpoint(), database: 'nowhere' };
  await mirror.atDestination('create view a as select 1 as id');
  await mirror.write({ tables, source: nowhere });
  const other = await check(mirror);
  assert.deepEqual(failed(other.checks), ['source-connection', 'write-tables']);
  assert.match(other.checks[0]?.message ?? '', /^database: /);

  const bad = join(mirror.mirrorDirectory, 'bad.yaml');
  await writeFile(bad, 'kind: Mirror\n');
  const all = await mirror.command('check');
  assert.equal(all.code, 3);
  assert.match(all.stdout, /^ {2}fail source-connection +database: /m);
  assert.match(all.stderr, /bad\.yaml:1/);
  await rm(bad);
});
