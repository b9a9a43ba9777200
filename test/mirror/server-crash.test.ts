/** The servers crash, not the daemon: it comes back by itself, with nothing lost and nothing doubled. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import test from 'node:test';
import { startCluster } from '../servers/cluster.ts';
import { TestMirror } from './test-mirror.ts';
import { Writers } from './writers.ts';

const SETUP = /* sql */ `
create table counters (id int primary key, n int not null);
insert into counters select g, 0 from generate_series(1, 100) g;
create table history (writer int, round int);
alter table history replica identity full;
create table big (id int primary key, v text);
insert into big select g, repeat(md5(g::text), 4) from generate_series(1, 100000) g;
`;
const TABLES = ['counters', 'history', 'big'];

test('destination and source crash while streaming and while copying', async () => {
  // Durable for once: these servers lose what they did not flush.
  await using source = await startCluster({ settings: { fsync: 'on' } });
  await using destination = await startCluster({ settings: { fsync: 'on' } });
  await using mirror = await TestMirror.create({ source, destination }, SETUP);
  const spec = (generation: number): Parameters<TestMirror['write']>[0] => ({
    snapshot: { rowsPerPartition: 5_000 },
    tables: TABLES.map((name) => ({
      source: `public.${name}`,
      ...(name === 'big' ? { resyncGeneration: generation } : {}),
    })),
  });
  await mirror.write(spec(0));
  const daemon = await mirror.start();
  await mirror.waitForPhase('big', 'Copying');
  await destination.crash();
  await destination.start();
  await mirror.waitReady();

  await using writers = await Writers.start(mirror.source, 3, (writer, round) => [
    `insert into history values (${writer}, ${round})`,
    `update counters set n = n + 1 where id = ${1 + ((writer * 31 + round) % 100)}`,
  ]);
  await destination.crash();
  await mirror.waitFor(({ status }) => status.state === 'FAILED');
  await destination.start();
  await mirror.waitReady();
  await mirror.write(spec(1));
  await mirror.waitForPhase('big', 'Copying');
  await destination.crash();
  await destination.start();
  await mirror.waitReady();
  const rounds = await writers.stop();

  await source.crash();
  await mirror.waitFor(({ status }) => status.state === 'FAILED');
  await source.start();
  await mirror.waitReady();
  await mirror.caughtUp();
  await mirror.assertSame(TABLES);
  const [history] = await mirror.atDestination('select count(*) as rows from history');
  assert.equal(Number(history?.['rows']), rounds);
  assert.ok(daemon.running);
  await mirror.assertNothingToDo();
});

test('SIGTERM ends a daemon that is connecting to a host that says nothing', async () => {
  await using source = await startCluster();
  await using destination = await startCluster();
  await using mirror = await TestMirror.create({ source, destination }, SETUP);
  await using mute = await listenMutely();
  await mirror.write({
    source: { ...mirror.sourceEndpoint(), port: mute.port },
    tables: [{ source: 'public.big' }],
  });
  const daemon = await mirror.start();
  await mute.connected;
  const stoppedAt = performance.now();
  daemon.signal('SIGTERM');
  await daemon.ended();
  assert.equal(daemon.exitCode, 0);
  assert.ok(performance.now() - stoppedAt < 5_000);
});

/** A server that accepts and never answers. */
async function listenMutely(): Promise<
  AsyncDisposable & { readonly port: number; readonly connected: Promise<unknown> }
> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket));
  const connected = once(server, 'connection');
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    connected,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
