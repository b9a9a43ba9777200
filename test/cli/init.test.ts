/** `bunnydb tables` and `init` as processes: from a database to a mirror that is Ready. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { parseConnectionUrl } from '../../src/cli/connection-url.ts';
import { init, type InitOptions } from '../../src/cli/init.ts';
import { TestMirror } from '../mirror/test-mirror.ts';
import { sharedClusters } from '../servers/shared.ts';

const SETUP = /* sql */ `
create table customers (id int primary key, name text);
create table orders (id int primary key, customer int references customers);
create table audit (what text); alter table audit replica identity full;
create table log (what text);
create table U&"x\\000a  deletionPolicy: Delete" (what text);
create unlogged table scratch (id int primary key);
create table parts (id int primary key) partition by range (id);
create table parts_1 partition of parts for values from (0) to (100);
create foreign data wrapper nowhere; create server nowhere foreign data wrapper nowhere;
create foreign table far (id int) server nowhere;
create schema "Odd.Schema";
create table "Odd.Schema".U&"a: b #c\\000a ""d""" (id int primary key);
create table "Odd.Schema"."no" (id int primary key);
insert into customers select g, 'n' from generate_series(1, 1200) g; insert into orders values (1, 1);
insert into parts values (1); insert into audit values ('a'), ('a');
analyze customers;
`;

async function withPeers(): Promise<TestMirror> {
  const mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const peer = async (name: string, spec: object): Promise<void> =>
    writeFile(
      join(mirror.mirrorDirectory, `${name}.yaml`),
      stringify({ apiVersion: 'bunnydb/v1', kind: 'Peer', metadata: { name }, spec }),
    );
  await peer('from', mirror.sourceEndpoint());
  await peer('to', mirror.destinationEndpoint());
  return mirror;
}

test('tables tells what a database has, init writes a file of it, and one run makes that Ready', async () => {
  await using mirror = await withPeers();
  const { name, mirrorDirectory: dir } = mirror;
  const before = await mirror.command('tables', 'from');
  assert.equal(before.code, 0, before.stderr);
  const line = (text: string, table: string): string[] =>
    (text.split('\n').find((one) => one.startsWith(`${table} `)) ?? '').split(/ {2,}/);
  assert.deepEqual(line(before.stdout, 'public.customers').toSpliced(2, 1), [
    'public.customers',
    '~1,200',
    '(id)',
    'yes',
  ]);
  assert.deepEqual(line(before.stdout, 'public.orders').slice(1, 2), ['never analysed']);
  assert.deepEqual(line(before.stdout, 'public.audit').slice(3), ['REPLICA IDENTITY FULL', 'yes']);
  assert.deepEqual(line(before.stdout, 'public.log').slice(3), ['none', 'no']);
  for (const reason of [
    'public.log has no usable replica identity\n .*ALTER TABLE "public"."log" REPLICA IDENTITY FULL;',
    'public.scratch is unlogged .*\n .*ALTER TABLE "public"."scratch" SET LOGGED;',
    'public.far is a foreign table',
  ])
    assert.match(before.stdout, new RegExp(`^  ${reason}`, 'm'));
  assert.match(
    before.stdout,
    /^10 tables, ~1,200 rows, 9 never analysed, .* with indexes, 4 cannot be mirrored/m,
  );
  assert.ok(!before.stdout.includes('parts_1'));

  const made = await mirror.command('init', name, '--source', 'from', '--destination', 'to');
  assert.equal(made.code, 0, made.stderr);
  const path = join(dir, `${name}.yaml`);
  const text = await readFile(path, 'utf8');
  assert.match(text, /^# yaml-language-server: \$schema=\S+schemas\/mirror\.schema\.json$/m);
  assert.match(text, /^    # Left out: public\.log\n    #   public\.log has no usable/m);
  assert.match(made.stdout, /: 6 tables, 4 left out$/m);
  assert.equal((await mirror.command('validate', '--strict')).code, 0);
  assert.equal((await mirror.command('check', name)).code, 0);

  const run = await mirror.command('run', '--once');
  assert.equal(run.code, 0, run.stderr);
  await mirror.assertSame(['customers', 'orders', 'audit', 'parts', '"Odd.Schema"."no"']);
  await mirror.assertNothingToDo();

  const again = await mirror.command('init', name, '--source', 'from', '--destination', 'to');
  assert.equal(again.code, 1);
  assert.match(again.stderr, /is there already\n {2}Nothing was written\./);
  const other = await mirror.command('init', 'other', '--source', 'from', '--destination', 'to');
  assert.equal(other.code, 1);
  assert.ok(other.stderr.includes(`is written by mirror ${name} too (${path}:`), other.stderr);
  assert.equal(await readFile(path, 'utf8'), text);

  const after = await mirror.command('tables', name, '--destination', '-o', 'json');
  const found = JSON.parse(after.stdout) as { table: string; writtenBy: string[] }[];
  assert.equal(found.length, 6);
  assert.ok(found.every(({ writtenBy }) => writtenBy.join(' ') === name));
});

test('init by URL prints a part of a database, and no password comes near it', async () => {
  await using mirror = await withPeers();
  const { host, port, user, database, password } = mirror.sourceEndpoint();
  assert.ok(password !== undefined && 'env' in password);
  const url = `postgres://${user}@${host}:${port}/${database}?sslmode=prefer`;
  const ends = ['--source', url, '--source-password-env', password.env, '--destination', 'to'];

  const chosen = ['--table', 'public.orders', '--strategy', 'swap', '--output', '-'];
  const part = await mirror.command('init', 'part', ...ends, ...chosen);
  assert.equal(part.code, 0, part.stderr);
  assert.match(part.stdout, /^ {2}resyncStrategy: swap /m);
  assert.ok(part.stdout.includes(`password: {env: ${password.env}}`));
  assert.match(
    part.stdout,
    / {4}# foreign key orders_customer_fkey is not made: it references public\.customers, .*\n {4}- source: public\.orders\n$/,
  );

  const inProcess = async (
    name: string,
    change: Partial<InitOptions>,
  ): Promise<{ code: number; told: string }> => {
    const told: string[] = [];
    const ends = { source: 'from', destination: 'to', strategy: 'truncate' } as const;
    const out = {
      print: (text: string) => assert.fail(text),
      error: (text: string) => void told.push(text),
    };
    const code = await init(name, { dir: mirror.mirrorDirectory, ...ends, ...change }, out);
    return { code, told: told.join('') };
  };
  const refused: readonly (readonly [number, RegExp, Partial<InitOptions>])[] = [
    [64, /--source-password-env NAME/, { source: url.replace('@', ':hush-hush@') }],
    [64, /parameter ssl; /, { source: `${url}&ssl=1` }],
    [64, /--source is a Peer/, { sourcePasswordEnv: 'X' }],
    [1, /did you mean from\?/, { source: 'form' }],
    [1, /public\.parts_1 is a partition of public\.parts/, { table: ['public.parts_1'] }],
    [1, /Did you mean public\.orders\?/, { table: ['orders'] }],
    [1, /schema nowhere of the source has no table/, { schema: ['nowhere'] }],
    [1, /no table can be mirrored\n {2}public\.log has no/, { table: ['public.log'] }],
  ];
  for (const [wanted, words, change] of refused) {
    const { code, told } = await inProcess('part', change);
    assert.match(told, words);
    assert.equal(code, wanted, told);
    assert.ok(!told.includes('hush-hush'));
  }
  const named = await inProcess('Part', {});
  assert.match(named.told, /metadata\.name/);
  assert.deepEqual((await readdir(mirror.mirrorDirectory)).toSorted(), ['from.yaml', 'to.yaml']);
});

test('a URL says what a file says of a connection, and no more', () => {
  assert.deepEqual(
    parseConnectionUrl(
      'postgresql://b%40d@[::1]:6000/Sh%2Dop?sslmode=verify-full&sslrootcert=%2Fca.pem',
      { file: '/run/secret' },
    ),
    {
      host: '::1',
      port: 6000,
      database: 'Sh-op',
      user: 'b@d',
      password: { file: '/run/secret' },
      sslMode: 'verify-full',
      sslRootCert: '/ca.pem',
    },
  );
  const refused = [
    'mysql://u@h/d',
    'postgres://h/d',
    'postgres://u@h',
    'postgres://u@h/d/e',
    'postgres://u@h/%zz',
    'postgres://u@h/d?password=x',
    'postgres://u:x@h/d',
    'postgres://u@h:port/d',
    'postgres://u@h/d?options=x',
  ];
  for (const url of refused) assert.equal(typeof parseConnectionUrl(url, undefined), 'string', url);
});
