import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import { once } from 'node:events';
import { join } from 'node:path';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { startCluster } from './cluster.ts';
import { until } from './processes.ts';
import { sharedClusters } from './shared.ts';

test('a cluster survives kill -9 and a stop with its data', async () => {
  await using cluster = await startCluster();
  const database = await cluster.createDatabase();
  await cluster.query(database, 'create table t (n int); insert into t values (1)');
  await cluster.crash();
  await assert.rejects(cluster.query(database, 'select 1'), { code: 'ECONNREFUSED' });
  await cluster.start();
  await cluster.query(database, 'insert into t values (2)');
  await cluster.stop();
  await cluster.start();
  assert.deepEqual(await cluster.query(database, 'select n from t order by n'), [
    { n: '1' },
    { n: '2' },
  ]);
});

test('the server does not run as root, and its files are gone afterwards', async () => {
  const cluster = await startCluster();
  const [row] = await cluster.query(
    'postgres',
    'select pg_backend_pid() as pid, version() as version',
  );
  assert.match(String(row?.['version']), /^PostgreSQL 1[4-9]/);
  const owner = await readFile(join(cluster.dataDirectory, 'postmaster.pid'), 'utf8');
  const postmaster = owner.split('\n')[0];
  if (process.platform === 'linux') {
    const status = await readFile(`/proc/${postmaster}/status`, 'utf8');
    assert.doesNotMatch(status, /^Uid:\s+0\b/m);
  }
  await cluster[Symbol.asyncDispose]();
  await assert.rejects(access(cluster.dataDirectory), { code: 'ENOENT' });
});

test('settings are taken, a bad one shows the end of the log', async () => {
  await using cluster = await startCluster({ settings: { wal_level: 'replica' } });
  assert.deepEqual(await cluster.query('postgres', 'show wal_level'), [{ wal_level: 'replica' }]);
  await assert.rejects(
    startCluster({ settings: { max_connections: 'many' } }),
    /invalid value for parameter "max_connections"/,
  );
});

test('a port in use is refused when asked for', async () => {
  const squatter = createServer().listen(0, '127.0.0.1');
  await once(squatter, 'listening');
  const address = squatter.address();
  assert.ok(typeof address === 'object' && address !== null);
  try {
    await assert.rejects(startCluster({ port: address.port }), /Address already in use/);
  } finally {
    squatter.close();
  }
});

test('the shared clusters differ, and drop a database with its slots', async () => {
  const { source, destination } = await sharedClusters();
  const identifier = 'select system_identifier from pg_control_system()';
  assert.notDeepEqual(
    await source.query('postgres', identifier),
    await destination.query('postgres', identifier),
  );
  const database = await source.createDatabase();
  const slot = `select pg_create_logical_replication_slot('s_${database}', 'pgoutput')`;
  await source.query(database, slot);
  await source.dropDatabase(database);
  const slots = await source.query('postgres', `select 1 from pg_replication_slots`);
  assert.deepEqual(slots, []);
});

test('servers end with the process that started them, also when it is killed', async () => {
  const program = `
    import { startCluster } from ${JSON.stringify(new URL('cluster.ts', import.meta.url).href)};
    const cluster = await startCluster();
    console.log(cluster.dataDirectory);
    setInterval(() => undefined, 1000);
  `;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = (await once(child.stdout, 'data')) as [Buffer];
  const dataDirectory = output.toString('utf8').trim();
  await access(dataDirectory);
  child.kill('SIGKILL');
  const gone = async (): Promise<boolean> =>
    access(dataDirectory).then(
      () => false,
      () => true,
    );
  await until(gone, {
    timeoutMs: 15_000,
    late: async () => new Error(`${dataDirectory} is still there`),
  });
});
