/** The daemon as those see it who operate it: probes, metrics, log, SIGHUP. */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'node:test';
import { readSeries } from '../daemon/series.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { Gate } from './gate.ts';
import { TestMirror } from './test-mirror.ts';

const SETUP = /* sql */ `
create table a (id int primary key, note text);
insert into a select g, 'row ' || g from generate_series(1, 1000) g;
create table b (id int primary key);
insert into b select generate_series(1, 200)`;
const A = { source: 'public.a', resyncStrategy: 'swap' };
const B = { source: 'public.b' };
const HTTP = ['--http', '127.0.0.1:0'];

interface Line {
  readonly level: string;
  readonly time: string;
  readonly msg: string;
  readonly mirror?: string;
  readonly table?: string;
  readonly [field: string]: unknown;
}

async function readLines(mirror: TestMirror): Promise<Line[]> {
  const text = await mirror.readLog();
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
}

/** What somebody who reads along has to read. */
async function readNews(mirror: TestMirror): Promise<Line[]> {
  return (await readLines(mirror)).filter(({ level }) => level !== 'debug');
}

async function get(mirror: TestMirror, path: string): Promise<Response> {
  const listening = (await readLines(mirror)).findLast(({ msg }) => msg === 'listening');
  assert.ok(listening, 'the log says where it listens');
  return fetch(`http://127.0.0.1:${String(listening['port'])}${path}`);
}

/** The daemon's own series by name and labels, the mirror's name left out. */
async function scrape(mirror: TestMirror): Promise<Map<string, number>> {
  const series = readSeries(await (await get(mirror, '/metrics')).text());
  return new Map(
    [...series].flatMap(([name, value]) =>
      name.startsWith('bunnydb_')
        ? [[name.slice('bunnydb_'.length).replace(/mirror="[^"]*",?/, ''), value] as const]
        : [],
    ),
  );
}

async function reached(mirror: TestMirror, condition: () => Promise<boolean>): Promise<void> {
  await until(condition, {
    timeoutMs: 30_000,
    late: async () => new Error(`not in time:\n${await mirror.readLog()}`),
  });
}

async function numberAt(
  place: (sql: string) => Promise<Record<string, string | null>[]>,
  sql: string,
): Promise<number> {
  const [row] = await place(sql);
  return Number(Object.values(row ?? {})[0]);
}

/** Makes the owner look again without giving it a reason to try anything sooner. */
async function nudge(mirror: TestMirror): Promise<void> {
  await mirror.atDestination(`select pg_notify('bunnydb', '${mirror.name}')`);
}

test('the metrics tell what the databases hold; what is removed has no series any more', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const source = async (sql: string): ReturnType<TestMirror['atSource']> => mirror.atSource(sql);
  const destination = async (sql: string): ReturnType<TestMirror['atSource']> =>
    mirror.atDestination(sql);
  await mirror.write({ tables: [A, B] });
  await mirror.start([...HTTP, '--removal-grace', '200ms']);
  await mirror.waitReady();
  await mirror.caughtUp();
  assert.equal((await get(mirror, '/healthz')).status, 200);
  assert.equal((await get(mirror, '/readyz')).status, 200);

  const first = await scrape(mirror);
  const slot = `select pg_current_wal_lsn() - restart_lsn from pg_replication_slots where slot_name = 'bunny_${mirror.name}'`;
  const retained = first.get('slot_retained_wal_bytes{}') ?? -1;
  assert.ok(retained >= 0 && retained <= (await numberAt(source, slot)), String(retained));
  assert.equal(first.get('slot_wal_status{status="reserved"}'), 1);
  for (const table of ['a', 'b']) {
    const labels = `table="public.${table}"`;
    const rows = await numberAt(destination, `select count(*) from ${table}`);
    assert.equal(first.get(`table_rows_copied_total{${labels}}`), rows);
    assert.equal(first.get(`table_phase{${labels},phase="Live"}`), 1);
    assert.equal(first.get(`spool_bytes{${labels}}`), 0);
  }
  for (const [name, value] of [
    ['owner{}', 1],
    ['suspended{}', 0],
    ['files{state="valid"}', 1],
    ['files{state="invalid"}', 0],
    ['condition{type="Ready",status="True"}', 1],
    ['condition{type="Replicating",status="False"}', 0],
    ['reconcile_total{result="error"}', 0],
    ['resync_generation{table="public.a",which="desired"}', 0],
    ['replication_lag_bytes{}', 0],
  ] as const)
    assert.equal(first.get(name), value, name);
  assert.ok((first.get('reconcile_duration_seconds_count{}') ?? 0) > 0);
  const lookedSecondsAgo =
    Date.now() / 1000 - (first.get('directory_last_good_look_timestamp_seconds') ?? 0);
  assert.ok(lookedSecondsAgo < 60, String(lookedSecondsAgo));

  // A resync whose swap a reader holds up: its spool grows.
  const reader = await mirror.holdLockAtDestination('public.a', 'access share');
  await mirror.write({ tables: [{ ...A, resyncGeneration: 1 }, B] });
  await mirror.waitForPhase('a', 'CatchingUp');
  await mirror.atSource(`update a set note = repeat('x', 500)`);
  await mirror.caughtUp();
  const spool = `select pg_total_relation_size('bunnydb.spool_' || id) from bunnydb.tables where source_name = 'a'`;
  await reached(mirror, async () => {
    await nudge(mirror);
    const now = await scrape(mirror);
    const bytes = now.get('spool_bytes{table="public.a"}') ?? 0;
    return (
      bytes > 100_000 &&
      bytes === (await numberAt(destination, spool)) &&
      now.get('table_phase{table="public.a",phase="CatchingUp"}') === 1 &&
      now.get('resync_generation{table="public.a",which="desired"}') === 1 &&
      now.get('resync_generation{table="public.a",which="observed"}') === 0
    );
  });
  await reader.release();
  await mirror.waitReady();
  await reached(mirror, async () => {
    const now = await scrape(mirror);
    return (
      now.get('resync_generation{table="public.a",which="observed"}') === 1 &&
      now.get('table_rows_copied_total{table="public.a"}') === 2000 &&
      now.get('spool_bytes{table="public.a"}') === 0
    );
  });

  await writeFile(join(mirror.mirrorDirectory, 'broken.yaml'), 'kind: [');
  await reached(mirror, async () => (await scrape(mirror)).get('files{state="invalid"}') === 1);
  await rm(join(mirror.mirrorDirectory, 'broken.yaml'));
  await mirror.write({ tables: [{ ...A, resyncGeneration: 1 }] });
  await reached(mirror, async () =>
    [...(await scrape(mirror)).keys()].every((name) => !name.includes('public.b')),
  );
  // A directory without any file means nothing: a peer stays.
  await writeFile(
    join(mirror.mirrorDirectory, 'peer.yaml'),
    'apiVersion: bunnydb/v1\nkind: Peer\nmetadata: {name: other}\nspec: {host: h, database: d, user: u}\n',
  );
  await rm(join(mirror.mirrorDirectory, 'mirror.yaml'));
  await reached(mirror, async () => {
    const text = await (await get(mirror, '/metrics')).text();
    return !text.includes(mirror.name);
  });
});

test('each thing that changes is one line, with its mirror and table; what goes on is none', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await using gate = await Gate.open(mirror.sourceEndpoint());
  const spec = { source: gate.connection, tables: [A] };
  await mirror.write(spec);
  const daemon = await mirror.start([...HTTP, '--log-level', 'info']);
  await mirror.waitReady();
  const passes = async (result: string): Promise<number> =>
    (await scrape(mirror)).get(`reconcile_total{result="${result}"}`) ?? 0;
  let read = 0;
  const first = await readNews(mirror);
  read += first.length;
  assert.ok(first.length > 5 && first.length < 30, JSON.stringify(first, undefined, 1));

  // Peace: passes, and not a word.
  const before = await passes('success');
  await reached(mirror, async () => {
    await nudge(mirror);
    return (await passes('success')) >= before + 5;
  });
  assert.deepEqual((await readNews(mirror)).slice(read), []);

  // The source is down for several tries.
  const failedBefore = await passes('error');
  await gate.shut();
  await reached(mirror, async () => (await passes('error')) >= failedBefore + 3);
  await gate.open();
  await mirror.waitReady();
  const outage = (await readNews(mirror)).slice(read);
  read += outage.length;
  assert.deepEqual(
    outage.map(({ level, msg, code }) => [level, msg, code]),
    [
      ['warn', 'pass failed', 'ConnectionFailed'],
      ['info', 'recovered', undefined],
    ],
    JSON.stringify(outage, undefined, 1),
  );

  // A file that is wrong, looked at many times.
  const file = join(mirror.mirrorDirectory, 'mirror.yaml');
  const good = await readFile(file, 'utf8');
  await writeFile(file, good.replace('tables:', 'tabels:'));
  await reached(mirror, async () => (await scrape(mirror)).get('files{state="invalid"}') === 1);
  const looked = async (): Promise<number> =>
    (await scrape(mirror)).get('directory_last_good_look_timestamp_seconds') ?? 0;
  for (let looks = 0; looks < 3; looks += 1) {
    const last = await looked();
    daemon.signal('SIGHUP');
    await reached(mirror, async () => (await looked()) > last);
  }
  await writeFile(file, good);
  await reached(mirror, async () => (await scrape(mirror)).get('files{state="invalid"}') === 0);
  const wrong = (await readNews(mirror)).slice(read);
  read += wrong.length;
  assert.deepEqual(
    wrong.map(({ level, mirror: name }) => [level, name]),
    [
      ['warn', mirror.name],
      ['warn', mirror.name],
      ['info', mirror.name],
    ],
    JSON.stringify(wrong, undefined, 1),
  );

  // A resync: its words are the plan's.
  await mirror.write({ ...spec, tables: [{ ...A, resyncGeneration: 1 }] });
  const plan = await mirror.command('plan', mirror.name);
  await mirror.waitReady();
  const resync = (await readNews(mirror)).slice(read);
  const begun = resync.find(({ msg, step }) => msg === 'step begun' && step === 'copy-table');
  assert.match(String(begun?.['what']), /^rows of public\.a: resync by swap to generation 1/);
  assert.equal(plan.code, 0);
  for (const line of resync) {
    assert.equal(line.mirror, mirror.name);
    assert.ok(line.table === 'public.a' || line['step'] === 'accept-spec', JSON.stringify(line));
  }

  for (const line of await readLines(mirror)) {
    assert.match(line.level, /^(?:info|warn)$/);
    assert.ok(Math.abs(Date.now() - Date.parse(line.time)) < 300_000);
    assert.ok(line.msg.length > 0);
  }
});

test('SIGHUP tries at once what waits for its next try', async () => {
  const { source, destination } = await sharedClusters();
  await using mirror = await TestMirror.create({ source, destination }, SETUP);
  const file = join(mirror.mirrorDirectory, '..', 'password');
  await writeFile(file, 'wrong');
  await mirror.write({ source: { ...mirror.sourceEndpoint(), password: { file } }, tables: [B] });
  const daemon = await mirror.start();
  const failedTries = async (): Promise<number> =>
    (await readLines(mirror)).filter(({ msg }) => msg === 'pass failed').length;
  await reached(mirror, async () => (await failedTries()) === 3);
  const startMs = performance.now();
  await writeFile(file, `${source.password}\n`);
  daemon.signal('SIGHUP');
  await mirror.waitFor(({ status }) => status.lag !== undefined);
  // The next try by itself would be 4 s after the third, less a fifth.
  const tookMs = performance.now() - startMs;
  assert.ok(tookMs < 3_000, `${tookMs} ms`);
  await mirror.waitReady();
});

test('an address that is taken ends the daemon at its start, with a word why', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: [B] });
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  try {
    const { port } = other.address() as AddressInfo;
    const daemon = await mirror.start(['--http', `127.0.0.1:${port}`]);
    await reached(mirror, async () => !daemon.running);
    await daemon.ended();
    assert.equal(daemon.exitCode, 1);
    const [line, ...more] = await readLines(mirror);
    assert.deepEqual(more, []);
    assert.equal(line?.level, 'error');
    assert.match(JSON.stringify(line), new RegExp(`EADDRINUSE.*127\\.0\\.0\\.1:${port}`));
  } finally {
    other.close();
  }
  const wrong = await mirror.command('run', '--http', 'localhost');
  assert.equal(wrong.code, 64);
  assert.match(wrong.stderr, /HOST:PORT/);
});
