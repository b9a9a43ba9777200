/**
 * Canaries: passwords and values of rows that would be recognised anywhere. Everything that the program
 * says, in whatever form and whatever goes wrong, is searched for them. Keys of rows are told by design.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { buildProgram } from '../../src/cli/program.ts';
import { silentLog } from '../../src/core/log.ts';
import type { Status } from '../../src/status/status.ts';
import type { Daemon } from '../servers/daemon.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';

/** In each canary, whatever it is for. */
const CANARY = 'kanarie';

const SETUP = /* sql */ `
create table a (id int primary key, note text);
insert into a select g, '${CANARY} in row ' || g from generate_series(1, 100) g;
create table refused (id int primary key, note text);
insert into refused values (1, '17');
create table violating (id int primary key, note text);
insert into violating values (1, 'one')`;
const TABLES = ['a', 'refused', 'violating'].map((name) => ({ source: `public.${name}` }));

/** What was said, by who said it. */
type Said = Map<string, string>;

/** A command as a user runs it, but for the process; both of its outputs. */
async function say(mirror: TestMirror, verb: string, ...args: string[]): Promise<string> {
  let said = '';
  const add = (text: string): void => void (said += text);
  const program = buildProgram({
    out: { print: add, error: add, paint: (_style, text) => text },
    signal: new AbortController().signal,
    onHangup: () => undefined,
    createLog: () => silentLog(),
    isGithub: false,
    exit: () => undefined,
  });
  const hasStatus = ['status', 'wait', 'verify'].includes(verb);
  const directories = ['--dir', mirror.mirrorDirectory];
  if (hasStatus) directories.push('--status-dir', mirror.statusDirectory);
  await program.parseAsync(['node', 'bunnydb', verb, ...directories, ...args]);
  return said;
}

/** Every way to ask about the mirror. */
async function askAll(mirror: TestMirror): Promise<Said> {
  const { name } = mirror;
  const commands = [
    ['plan', name],
    ['plan', name, '-o', 'json'],
    ['status', name],
    ['status', name, '-o', 'yaml'],
    ['status', name, '-o', 'json'],
    ['validate'],
    ['validate', '-o', 'json'],
    ['validate', '-o', 'github'],
    ['validate', '-o', 'sarif'],
    ['wait', name, '--timeout', '100ms'],
    ['verify', name, 'public.a', '--timeout', '10s'],
    ['verify', name, 'public.a', '--timeout', '10s', '-o', 'json'],
  ];
  const said: Said = new Map();
  for (const [verb = '', ...args] of commands)
    said.set(`${verb} ${args.join(' ')}`, await say(mirror, verb, ...args));
  return said;
}

async function readAll(mirror: TestMirror): Promise<Said> {
  const said: Said = new Map([['the log', await mirror.readLog()]]);
  const entries = await readdir(mirror.statusDirectory, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((one) => one.isFile())) {
    const path = join(entry.parentPath, entry.name);
    said.set(path.slice(mirror.statusDirectory.length), await readFile(path, 'utf8'));
  }
  const rows = await mirror.atDestination(
    `select to_jsonb(m)::text as said from bunnydb.mirrors m
    union all select to_jsonb(t)::text from bunnydb.tables t`,
  );
  return said.set('the ledger', rows.map((row) => row['said']).join('\n'));
}

/** What others on the machine and on both servers see of the daemon, and what it answers. */
async function lookAt(mirror: TestMirror, daemon: Daemon): Promise<Said> {
  const names = `select string_agg(application_name, ' ') as said from pg_stat_activity where application_name like 'bunnydb%'`;
  const [[atSource], [atDestination]] = await Promise.all([
    mirror.atSource(names),
    mirror.atDestination(names),
  ]);
  const [, port] = /"port":(\d+),"msg":"listening"/.exec(await mirror.readLog()) ?? [];
  const fetched = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${port}${path}`)).text();
  return new Map([
    ['argv', await readFile(`/proc/${daemon.pid}/cmdline`, 'utf8')],
    ['the title', await readFile(`/proc/${daemon.pid}/comm`, 'utf8')],
    ['sessions at the source', atSource?.['said'] ?? ''],
    ['sessions at the destination', atDestination?.['said'] ?? ''],
    ['/metrics', await fetched('/metrics')],
    ['/readyz', await fetched('/readyz?verbose')],
  ]);
}

function assertNoCanary(said: Said): void {
  for (const [where, text] of said) {
    assert.ok(text.length > 0, `${where} says nothing, which proves nothing`);
    const line = text.split('\n').find((one) => one.toLowerCase().includes(CANARY));
    assert.equal(line, undefined, `a canary in ${where}`);
  }
}

function codesOf({ status }: Status): Set<string> {
  const reasons = status.conditions.map(({ reason }): string => reason);
  return new Set([...reasons, ...status.tables.flatMap(({ error }) => error?.code ?? [])]);
}

const WRONG_FILES: Readonly<Record<string, string>> = {
  'url-as-host.yaml': `apiVersion: bunnydb/v1
kind: Peer
metadata: {name: url}
spec: {host: "postgres://u:${CANARY}@h:5432/d", database: d, user: u, password: ${CANARY}-literal}
`,
  'url-as-peer.yaml': `apiVersion: bunnydb/v1
kind: Mirror
metadata: {name: by_url}
spec: {source: "postgres://u:${CANARY}@h/d", destination: url, tables: [{source: public.a}]}
`,
  'broken.yaml': `apiVersion: bunnydb/v1
kind: Peer
spec: {host: h, password: {${CANARY}: x, file: [${CANARY}
`,
};

test('no password and no value of a row is anywhere in what the program says, whatever goes wrong', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const role = `singer_${mirror.name}`;
  const [envPassword, filePassword] = [`${CANARY} in env`, `${CANARY} in\n a file`];
  const file = join(mirror.mirrorDirectory, '..', 'password');
  await mirror.atSource(`create role ${role} superuser login password '${envPassword}'`);
  await mirror.atDestination(`create role ${role} superuser login password '${filePassword}'`);
  process.env['SINGER_PASSWORD'] = envPassword;
  await writeFile(file, `${CANARY}\nthat is wrong\n\n`);
  await mirror.write({
    source: { ...mirror.sourceEndpoint(), user: role, password: { env: 'SINGER_PASSWORD' } },
    destination: { ...mirror.destinationEndpoint(), user: role, password: { file } },
    tables: TABLES,
  });
  const said: Said = new Map();
  const daemon = await mirror.start(['--http', '127.0.0.1:0']);
  await mirror.waitFor((status) => codesOf(status).has('AuthenticationFailed'));
  said.set('plan, wrong file', await say(mirror, 'plan', mirror.name));
  await writeFile(file, `${filePassword}\n`);
  process.env['SINGER_PASSWORD'] = `${CANARY} that is wrong`;
  said.set('plan, wrong env', await say(mirror, 'plan', mirror.name));
  for (const [where, text] of said) assert.match(text, /AuthenticationFailed/, where);
  process.env['SINGER_PASSWORD'] = envPassword;
  await mirror.waitReady();

  // A constraint that holds no row as the source's, an index that takes no such value, and rows that differ.
  await mirror.atDestination(`
    alter table violating add check (length(note) < 5) not valid;
    create index on refused ((note::int));
    update a set note = '${CANARY} by hand' where id = 7;
    delete from a where id = 8`);
  await mirror.atSource(`
    insert into violating values (2, '${CANARY} in violation');
    insert into refused values (2, '${CANARY} of no number');
    update a set note = '${CANARY} in stream' where id in (8, 9)`);
  await mirror.waitFor((status) =>
    ['ConstraintViolated', 'ValueRefused', 'RowsMissing'].every((code) =>
      codesOf(status).has(code),
    ),
  );
  for (const [name, text] of Object.entries(WRONG_FILES))
    await writeFile(join(mirror.mirrorDirectory, name), text);
  await until(async () => (await mirror.readLog()).includes('url-as-peer.yaml'), {
    timeoutMs: 30_000,
    late: async () => new Error(await mirror.readLog()),
  });
  for (const part of [askAll(mirror), lookAt(mirror, daemon)])
    for (const [where, text] of await part) said.set(where, text);
  await mirror.stop();
  for (const [where, text] of await readAll(mirror)) said.set(where, text);

  // It was there to be found.
  assert.match(said.get('validate ') ?? '', /must not be written in the file/);
  assert.match(said.get(`verify ${mirror.name} public.a --timeout 10s`) ?? '', /7/);
  assert.ok((await mirror.atDestination(`select from a where note like '${CANARY}%'`)).length > 90);
  assertNoCanary(said);
  await mirror.atSource(`drop owned by ${role}; drop role ${role}`);
  await mirror.atDestination(`drop owned by ${role}; drop role ${role}`);
});

test('an error that nobody caught ends the daemon without the row that it is about', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: TABLES });
  // Once the program has begun: it is what listens to signals.
  const bomb = `setInterval(() => {
    if (process.listenerCount('SIGTERM') === 0) return;
    const cause = Object.assign(new Error('the cause'), { detail: '${CANARY}' });
    throw Object.assign(new Error('the end', { cause }), { where: '${CANARY}' });
  }, 20)`;
  const module = Buffer.from(bomb).toString('base64');
  const daemon = await mirror.start([], {
    nodeArgs: ['--import', `data:text/javascript;base64,${module}`],
  });
  await until(() => !daemon.running, {
    timeoutMs: 30_000,
    late: async () => new Error(await mirror.readLog()),
  });
  await daemon.ended();
  assert.equal(daemon.exitCode, 1);
  const log = await mirror.readLog();
  assert.match(log, /"level":"fatal".*"message":"the end".*"message":"the cause"/);
  assert.equal(log.includes(CANARY), false);
});
