/** What /metrics, /readyz and /healthz tell, from plain data; no database is there. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { pino } from 'pino';
import type { DaemonView, LoopView } from '../../src/daemon/http/daemon-view.ts';
import { parseHttpAddress, serveHttp, type HttpOptions } from '../../src/daemon/http/http.ts';
import { Metrics } from '../../src/daemon/http/metrics.ts';
import { readinessOf } from '../../src/daemon/http/readiness.ts';
import { GAUGES, samplesOf } from '../../src/daemon/http/samples.ts';
import type { Status } from '../../src/status/status.ts';
import { readSeries } from './series.ts';

const CONDITION = { reason: 'Streaming', message: '', lastTransitionTime: '' } as const;

/** Of a mirror of two tables, one of which is resynced. */
function status(name: string): Status {
  return {
    apiVersion: 'bunnydb/v1',
    kind: 'MirrorStatus',
    metadata: { name },
    status: {
      state: 'RESYNCING',
      observedSpecHash: 'sha256:0',
      resyncGeneration: { desired: 2, observed: 1 },
      conditions: [
        { type: 'Ready', status: 'False', ...CONDITION },
        { type: 'Replicating', status: 'True', ...CONDITION },
      ],
      source: { slot: `bunny_${name}`, walStatus: 'extended', retainedBytes: 4096 },
      lag: { bytes: 77, seconds: 1.5, appliedLsn: '0/1' },
      tables: [
        {
          source: 'public.a',
          destination: 'public.a',
          phase: 'Live',
          resyncStatus: 'none',
          resyncGeneration: { desired: 0, observed: 0 },
        },
        {
          source: 'public."b\\"',
          destination: 'public.b',
          phase: 'Copying',
          resyncStatus: 'in_progress',
          resyncGeneration: { desired: 3 },
        },
      ],
    },
  };
}

function loop(name: string, more: Partial<LoopView> = {}): LoopView {
  return {
    name,
    isSuspended: false,
    isOwner: true,
    hasPassed: true,
    status: status(name),
    spoolBytes: new Map([
      ['public.a', 100],
      ['public."b\\"', 8192],
    ]),
    ...more,
  };
}

const DIRECTORY = { lastGoodLook: new Date(1_700_000_000_500), validFiles: 3, invalidFiles: 1 };

function view(...mirrors: LoopView[]): DaemonView {
  return { directory: DIRECTORY, mirrors };
}

test('each thing that is known becomes a series, with its value', async () => {
  const series = readSeries(await new Metrics().render(view(loop('shop'))));
  const of = (name: string): Record<string, number> =>
    Object.fromEntries(
      [...series]
        .filter(([key]) => key.split('{')[0] === `bunnydb_${name}`)
        .map(([key, value]) => [key.slice(8), value]),
    );
  assert.deepEqual(of('directory_last_good_look_timestamp_seconds'), {
    directory_last_good_look_timestamp_seconds: 1_700_000_000.5,
  });
  assert.deepEqual(of('files'), { 'files{state="valid"}': 3, 'files{state="invalid"}': 1 });
  assert.deepEqual(of('owner'), { 'owner{mirror="shop"}': 1 });
  assert.deepEqual(of('suspended'), { 'suspended{mirror="shop"}': 0 });
  assert.deepEqual(of('condition'), {
    'condition{mirror="shop",type="Ready",status="True"}': 0,
    'condition{mirror="shop",type="Ready",status="False"}': 1,
    'condition{mirror="shop",type="Ready",status="Unknown"}': 0,
    'condition{mirror="shop",type="Replicating",status="True"}': 1,
    'condition{mirror="shop",type="Replicating",status="False"}': 0,
    'condition{mirror="shop",type="Replicating",status="Unknown"}': 0,
  });
  assert.deepEqual(of('replication_lag_bytes'), { 'replication_lag_bytes{mirror="shop"}': 77 });
  assert.deepEqual(of('replication_lag_seconds'), {
    'replication_lag_seconds{mirror="shop"}': 1.5,
  });
  assert.deepEqual(of('slot_retained_wal_bytes'), {
    'slot_retained_wal_bytes{mirror="shop"}': 4096,
  });
  assert.deepEqual(of('slot_wal_status'), {
    'slot_wal_status{mirror="shop",status="reserved"}': 0,
    'slot_wal_status{mirror="shop",status="extended"}': 1,
    'slot_wal_status{mirror="shop",status="unreserved"}': 0,
    'slot_wal_status{mirror="shop",status="lost"}': 0,
  });
  assert.deepEqual(of('resync_generation'), {
    'resync_generation{mirror="shop",which="desired"}': 2,
    'resync_generation{mirror="shop",which="observed"}': 1,
    'resync_generation{mirror="shop",table="public.a",which="desired"}': 0,
    'resync_generation{mirror="shop",table="public.a",which="observed"}': 0,
    'resync_generation{mirror="shop",table="public.\\"b\\\\\\"",which="desired"}': 3,
  });
  const phases = Object.entries(of('table_phase'));
  assert.equal(phases.length, 10);
  assert.deepEqual(
    phases.flatMap(([key, value]) => (value === 1 ? [key] : [])),
    [
      'table_phase{mirror="shop",table="public.a",phase="Live"}',
      'table_phase{mirror="shop",table="public.\\"b\\\\\\"",phase="Copying"}',
    ],
  );
  // A table that is Live has none any more, whatever the last look saw.
  assert.deepEqual(of('spool_bytes'), {
    'spool_bytes{mirror="shop",table="public.a"}': 0,
    'spool_bytes{mirror="shop",table="public.\\"b\\\\\\""}': 8192,
  });
});

test('what is not known has no series: before a look, without a stream, without a slot', () => {
  assert.deepEqual(samplesOf({ directory: undefined, mirrors: [] }), []);
  const names = samplesOf(
    view(loop('shop', { status: undefined, isOwner: false, isSuspended: true })),
  );
  assert.deepEqual(
    names.filter(({ labels }) => 'mirror' in labels).map(({ name, value }) => [name, value]),
    [
      ['owner', 0],
      ['suspended', 1],
    ],
  );
  const { lag: _lag, source: _source, ...rest } = status('shop').status;
  const quiet = samplesOf(view(loop('shop', { status: { ...status('shop'), status: rest } })));
  assert.deepEqual(
    quiet.filter(({ name }) => name.startsWith('slot') || name.startsWith('replication')),
    [],
  );
});

test('a slot that is gone is lost, as one that lost its WAL is', () => {
  const { lag: _lag, source: _source, conditions, ...rest } = status('shop').status;
  const gone = conditions.map((one) => ({ ...one, reason: 'SlotLost' as const }));
  const lost = { ...status('shop'), status: { ...rest, conditions: gone } };
  const series = samplesOf(view(loop('shop', { status: lost })));
  assert.deepEqual(
    series.flatMap(({ name, labels, value }) =>
      name === 'slot_wal_status' && value === 1 ? [labels['status']] : [],
    ),
    ['lost'],
  );
});

test('a standby counts no passes, nor what it counted while it had the mirror', async () => {
  const metrics = new Metrics();
  const standby = loop('shop', { isOwner: false, status: undefined });
  const own = (text: string): string[] =>
    [...readSeries(text).keys()].filter((key) => key.includes('mirror="shop"')).toSorted();
  const two = ['bunnydb_owner{mirror="shop"}', 'bunnydb_suspended{mirror="shop"}'];
  assert.deepEqual(own(await metrics.render(view(standby))), two);
  metrics.passEnded('shop', { result: 'success', seconds: 1 });
  metrics.rowsCopied('shop', 'public.a', 1);
  assert.ok(own(await metrics.render(view(loop('shop')))).length > 2);
  assert.deepEqual(own(await metrics.render(view(standby))), two);
});

test('counters begin at zero, add up, and go with their mirror or table', async () => {
  const metrics = new Metrics();
  const rows = 'bunnydb_table_rows_copied_total{mirror="shop",table="public.a"}';
  const passes = 'bunnydb_reconcile_total{mirror="shop",result="error"}';
  const seconds = 'bunnydb_reconcile_duration_seconds_sum{mirror="shop"}';
  const first = readSeries(await metrics.render(view(loop('shop'))));
  assert.deepEqual([first.get(rows), first.get(passes)], [0, 0]);
  metrics.rowsCopied('shop', 'public.a', 1000);
  metrics.rowsCopied('shop', 'public.a', 500);
  metrics.passEnded('shop', { result: 'error', seconds: 2 });
  metrics.passEnded('shop', { result: 'success', seconds: 0.5 });
  metrics.passEnded('other', { result: 'success', seconds: 1 });
  const both = readSeries(await metrics.render(view(loop('shop'), loop('other'))));
  assert.deepEqual([both.get(rows), both.get(passes), both.get(seconds)], [1500, 1, 2.5]);
  assert.equal(both.get('bunnydb_reconcile_duration_seconds_bucket{le="1",mirror="shop"}'), 1);
  const [kept] = status('shop').status.tables;
  const one = {
    ...status('shop'),
    status: { ...status('shop').status, tables: kept ? [kept] : [] },
  };
  const less = readSeries(await metrics.render(view(loop('shop', { status: one }))));
  assert.equal(less.get(rows), 1500);
  assert.deepEqual(
    [...less.keys()].filter((key) => key.includes('"other"') || key.includes('b\\\\')),
    [],
  );
  const none = readSeries(await metrics.render(view()));
  assert.deepEqual(
    [...none.keys()].filter((key) => key.includes('mirror=')),
    [],
  );
});

test('each series has the labels that its metric has, and no other', () => {
  for (const { name, labels } of samplesOf(view(loop('shop')))) {
    const known: readonly string[] = GAUGES[name].labels;
    const isOwnCounter = name === 'resync_generation' && !('table' in labels);
    const wanted = isOwnCounter ? known.filter((label) => label !== 'table') : known;
    assert.deepEqual(Object.keys(labels), wanted, name);
  }
});

test('names and texts are as Prometheus wants them', async () => {
  const text = await new Metrics().render(view(loop('shop')));
  const types = [...text.matchAll(/^# TYPE (bunnydb_\S+) (\S+)$/gm)].map(([, name, type]) => ({
    name: name ?? '',
    type,
  }));
  assert.equal(types.length, Object.keys(GAUGES).length + 4);
  for (const { name, type } of types) {
    assert.match(text, new RegExp(`^# HELP ${name} [A-Z1].*\\.$`, 'm'));
    assert.equal(name.endsWith('_total'), type === 'counter', name);
  }
  assert.match(text, /^bunnydb_build_info\{version="\d+\.\d+\.\d+[^"]*"\} 1$/m);
  assert.match(text, /^process_cpu_seconds_total \d/m);
});

test('a hundred mirrors of twenty tables are told in time that grows with them, and no faster', async () => {
  const tables = Array.from({ length: 20 }, (_, index) => ({
    source: `public.t${index}`,
    destination: `public.t${index}`,
    phase: 'Live' as const,
    resyncStatus: 'none' as const,
    resyncGeneration: { desired: 0, observed: 0 },
  }));
  const many = (count: number): DaemonView =>
    view(
      ...Array.from({ length: count }, (_, index) => {
        const { status: base, ...head } = status(`m${index}`);
        return loop(`m${index}`, { status: { ...head, status: { ...base, tables } } });
      }),
    );
  const metrics = new Metrics();
  const timed = async (now: DaemonView): Promise<number> => {
    // Processor time: others may be at work on the machine.
    const start = process.cpuUsage();
    await metrics.render(now);
    return process.cpuUsage(start).user / 1000;
  };
  const [small, large] = [many(10), many(100)];
  for (const now of [small, large]) await timed(now);
  const best = async (now: DaemonView): Promise<number> =>
    Math.min(await timed(now), await timed(now), await timed(now));
  const [smallMs, largeMs] = [await best(small), await best(large)];
  // Ten times as much; quadratic would be a hundred times.
  assert.ok(largeMs < 40 * smallMs, `${smallMs} ms for 10, ${largeMs} ms for 100`);
});

test('ready is: the directory was looked at, and every mirror had a pass, however it ended', () => {
  const texts = (now: DaemonView): string[] =>
    readinessOf(now).map(({ isDone, text }) => `${isDone} ${text}`);
  assert.deepEqual(texts({ directory: undefined, mirrors: [] }), ['false directory: not read yet']);
  assert.deepEqual(texts(view(loop('a'), loop('b', { hasPassed: false, status: undefined }))), [
    'true directory: read',
    'true mirror a: first pass done, Ready is False (Streaming)',
    'false mirror b: no pass has ended yet',
  ]);
});

test('an address is HOST:PORT, the host may be left out or an IPv6 address in brackets', () => {
  assert.deepEqual(parseHttpAddress('127.0.0.1:9090'), { host: '127.0.0.1', port: 9090 });
  assert.deepEqual(parseHttpAddress('localhost:0'), { host: 'localhost', port: 0 });
  assert.deepEqual(parseHttpAddress(':9090'), { port: 9090 });
  assert.deepEqual(parseHttpAddress('[::1]:9090'), { host: '::1', port: 9090 });
  for (const wrong of [
    '',
    '9090',
    'host',
    'host:',
    '::1:9090',
    'host:65536',
    'http://host:1',
    'a b:1',
    'host:-1',
    '[]:1',
    ':9090/x',
  ])
    assert.equal(parseHttpAddress(wrong), undefined, wrong);
});

/** A server on a free port; `now` is what the daemon knows. */
async function serve(
  now: () => DaemonView,
): Promise<
  AsyncDisposable & { get: (path: string, method?: string) => Promise<Response>; log: () => string }
> {
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const options: HttpOptions = {
    address: { host: '127.0.0.1', port: 0 },
    metrics: new Metrics(),
    view: now,
    log,
  };
  const server = await serveHttp(options);
  const { port } = JSON.parse(lines[0] ?? '{}') as { port: number };
  return {
    get: async (path, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method }),
    log: () => lines.join(''),
    [Symbol.asyncDispose]: async () => server[Symbol.asyncDispose](),
  };
}

test('over HTTP: alive at once; not ready until everything had its turn, and from then on for good', async () => {
  let now: DaemonView = { directory: undefined, mirrors: [] };
  await using server = await serve(() => now);
  const read = async (path: string): Promise<[number, string]> => {
    const response = await server.get(path);
    return [response.status, await response.text()];
  };
  assert.deepEqual(await read('/healthz'), [200, 'ok\n']);
  assert.deepEqual(await read('/readyz'), [503, '- directory: not read yet\nnot ready\n']);
  now = view(loop('a'), loop('b', { hasPassed: false }));
  assert.deepEqual(await read('/readyz'), [503, '- mirror b: no pass has ended yet\nnot ready\n']);
  assert.deepEqual((await read('/readyz?verbose'))[1].split('\n').slice(0, 2), [
    '+ directory: read',
    '+ mirror a: first pass done, Ready is False (Streaming)',
  ]);
  now = view(loop('a'), loop('b', { isOwner: false, status: undefined }));
  assert.deepEqual(await read('/readyz'), [200, 'ok\n']);
  now = view(loop('a'), loop('new', { hasPassed: false, status: undefined }));
  assert.deepEqual(await read('/readyz'), [200, 'ok\n']);
  assert.match((await read('/readyz?verbose'))[1], /^- mirror new: no pass has ended yet$/m);
});

test('over HTTP: metrics in the text format, HEAD without a body, nothing else and nothing to write', async () => {
  await using server = await serve(() => view(loop('shop')));
  const metrics = await server.get('/metrics');
  assert.match(metrics.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  assert.equal(readSeries(await metrics.text()).get('bunnydb_owner{mirror="shop"}'), 1);
  const head = await server.get('/metrics', 'HEAD');
  assert.deepEqual([head.status, await head.text()], [200, '']);
  for (const [path, method] of [
    ['/', 'GET'],
    ['/metrics/', 'GET'],
    ['/metricsx', 'GET'],
    ['/healthz', 'POST'],
    ['/readyz', 'DELETE'],
  ] as const)
    assert.equal((await server.get(path, method)).status, 404, `${method} ${path}`);
});

test('a view that throws is that request’s failure', async () => {
  await using server = await serve(() => {
    throw new Error('no view');
  });
  assert.equal((await server.get('/metrics')).status, 500);
  assert.equal((await server.get('/healthz')).status, 200);
  assert.match(server.log(), /no view/);
});

test('an address in use is refused before anything begins', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  const { port } = other.address() as AddressInfo;
  const log = pino({ level: 'silent' });
  const options = { address: { host: '127.0.0.1', port }, metrics: new Metrics(), view, log };
  await assert.rejects(serveHttp(options), { code: 'EADDRINUSE' });
  other.close();
});
