/** A source that is far away: what is committed meanwhile was applied before an answer has come back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test from 'node:test';
import type { Connection } from '../../src/core/mirror.ts';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';
import { Writers } from './writers.ts';

const ONE_WAY_MS = 75;

/** Carries bytes to the server and back, each ONE_WAY_MS later. */
async function farAway(near: Connection): Promise<{ port: number } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const carry = (from: Socket, to: Socket): void => {
    sockets.add(from);
    from.on('error', () => to.destroy());
    from.on('data', (chunk: Buffer) => setTimeout(() => to.write(chunk), ONE_WAY_MS));
    from.on('close', () => setTimeout(() => to.destroy(), 2 * ONE_WAY_MS));
  };
  const server = createServer((client) => {
    const upstream = connect(near.port, near.host);
    carry(client, upstream);
    carry(upstream, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

test('a copy begins while a far source is written all the time', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    /* sql */ `
create table first (id bigint generated always as identity primary key, v text);
create table second (id bigint generated always as identity primary key, v text);`,
  );
  const near = mirror.sourceEndpoint();
  await using far = await farAway(near);
  const source = { ...near, port: far.port };
  await mirror.write({ source, tables: [{ source: 'public.first' }] });
  await mirror.start();
  await mirror.waitReady();
  await using writers = await Writers.start(mirror.source, 4, () => [
    `insert into first (v) values ('x')`,
    `insert into second (v) values ('x')`,
  ]);
  await mirror.write({
    source,
    tables: [{ source: 'public.first' }, { source: 'public.second' }],
  });
  const { code, stderr } = await mirror.command('wait', mirror.name, '--timeout', '30s');
  await writers.stop();
  assert.equal(code, 0, stderr);
  await mirror.caughtUp();
  await mirror.assertSame(['first', 'second']);
});
