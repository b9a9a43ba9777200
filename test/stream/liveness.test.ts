/** When a source that says nothing is silent, when it is dead, and when it is we who do not listen. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { test } from 'node:test';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { type Lsn, LSN_ZERO } from '../../src/core/lsn.ts';
import type { Connection } from '../../src/core/mirror.ts';
import { openReplication, statusUpdate } from '../../src/postgres/replication.ts';
import type { TransactionPart } from '../../src/stream/assemble.ts';
import { MAX_INBOX_BYTES } from '../../src/stream/inbox.ts';
import { livenessOf, Pulse } from '../../src/stream/liveness.ts';
import { Receiver } from '../../src/stream/receive.ts';
import { mirror } from '../plan/fixtures.ts';
import { type Cluster, startCluster } from '../servers/cluster.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';

const MINUTE_MS = 60_000;

/** A clock whose monotonic time is set by hand. */
function handClock(): Clock & { ms: number } {
  return {
    ...systemClock,
    ms: 1_000,
    monotonicMs(): number {
      return this.ms;
    },
  };
}

test('silent from 30 s, dead from 5 minutes, and neither while we read nothing', () => {
  const of = (silentMs: number, isPaused = false): string => livenessOf({ silentMs, isPaused });
  assert.deepEqual(
    [0, 29_999].map((ms) => of(ms)),
    ['alive', 'alive'],
  );
  assert.deepEqual(
    [30_000, 299_999].map((ms) => of(ms)),
    ['silent', 'silent'],
  );
  assert.deepEqual(
    [300_000, 1e9].map((ms) => of(ms)),
    ['dead', 'dead'],
  );
  assert.equal(of(1e9, true), 'alive');
});

test('silence is counted from the last byte, and from the end of a pause', () => {
  const clock = handClock();
  const pulse = new Pulse(clock);
  clock.ms += 40_000;
  assert.equal(pulse.silentMs, 40_000);
  pulse.listen({ bytesRead: 0, isPaused: false });
  assert.equal(pulse.silentMs, 40_000);
  pulse.listen({ bytesRead: 1, isPaused: false });
  assert.equal(pulse.silentMs, 0);
  clock.ms += 5_000;
  pulse.listen({ bytesRead: 1, isPaused: false });
  assert.equal(pulse.silentMs, 5_000);
  clock.ms += 10 * MINUTE_MS;
  pulse.listen({ bytesRead: 1, isPaused: true });
  clock.ms += 1_000;
  pulse.listen({ bytesRead: 1, isPaused: false });
  assert.equal(pulse.silentMs, 1_000);
});

test('an answer is asked for every 10 s, however often we look', () => {
  const clock = handClock();
  const pulse = new Pulse(clock);
  const asked: number[] = [];
  for (let second = 1; second <= 30; second += 1) {
    clock.ms += 1_000;
    if (pulse.askNow()) asked.push(second);
    assert.equal(pulse.askNow(), false);
  }
  assert.deepEqual(asked, [10, 20, 30]);
});

test('a status update that wants a reply says so in its last byte alone', () => {
  const [plain, asking] = [statusUpdate(7n as Lsn), statusUpdate(7n as Lsn, true)];
  assert.equal(asking.length, plain.length);
  assert.equal(asking.at(-1), 1);
  assert.deepEqual(asking.subarray(0, 25), plain.subarray(0, 25));
});

/** A receiver on a slot of its own, its clock in our hand. */
async function openReceiver(
  cluster: Cluster,
): Promise<{ receiver: Receiver; clock: ReturnType<typeof handClock>; walsender: number }> {
  const database = await cluster.createDatabase();
  const slot = `live_${database}`;
  await cluster.query(database, `create publication "${slot}"`);
  await cluster.query(database, `select pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
  const clock = handClock();
  const receiver = new Receiver(() => undefined, clock);
  const source = cluster.connection(database);
  const publication = { ...mirror().publication, name: slot };
  await receiver.open(mirror([], { source, slot, publication }), LSN_ZERO);
  const [row] = await cluster.query(
    database,
    `select active_pid as pid from pg_replication_slots where slot_name = '${slot}'`,
  );
  return { receiver, clock, walsender: Number(row?.['pid']) };
}

/** Fills the inbox by itself: the socket is paused until it is taken. */
const BIG_PART: TransactionPart = {
  xid: 1,
  first: true,
  final: true,
  commitLsn: LSN_ZERO,
  endLsn: LSN_ZERO,
  commitTimeMs: 0,
  changes: [],
  bytes: MAX_INBOX_BYTES,
};

const late = async (): Promise<Error> => new Error('not in time');

test('a quiet source that answers stays alive', async () => {
  const { source } = await sharedClusters();
  const { receiver, clock } = await openReceiver(source);
  // A walsender that has everything confirmed says nothing by itself.
  await until(() => receiver.serverLsn > LSN_ZERO, { timeoutMs: 5_000, late });
  for (let turn = 0; turn < 3; turn += 1) {
    clock.ms += 31_000;
    assert.equal(receiver.silentSeconds, 31);
    await until(
      () => {
        receiver.confirm(receiver.serverLsn);
        return receiver.silentSeconds === undefined;
      },
      { timeoutMs: 5_000, late },
    );
  }
  await receiver.close();
});

test('a source that we do not listen to is not silent, and has its time again afterwards', async () => {
  const { source } = await sharedClusters();
  const { receiver, clock } = await openReceiver(source);
  receiver.inbox.push(BIG_PART);
  clock.ms += 10 * MINUTE_MS;
  assert.equal(receiver.silentSeconds, undefined);
  receiver.confirm(LSN_ZERO);
  receiver.inbox.takeOne();
  clock.ms += 29_000;
  receiver.confirm(LSN_ZERO);
  assert.equal(receiver.silentSeconds, undefined);
  assert.equal(receiver.isBroken, false);
  await receiver.close();
});

test('a source that is stopped is silent, then dead: the stream breaks, and closing is quick', async () => {
  await using cluster = await startCluster();
  const { receiver, clock, walsender } = await openReceiver(cluster);
  receiver.confirm(LSN_ZERO);
  process.kill(walsender, 'SIGSTOP');
  try {
    clock.ms += 4 * MINUTE_MS;
    receiver.confirm(LSN_ZERO);
    assert.equal(receiver.silentSeconds, 240);
    assert.equal(receiver.isBroken, false);
    clock.ms += MINUTE_MS;
    receiver.confirm(LSN_ZERO);
    await until(() => receiver.isBroken, { timeoutMs: 5_000, late });
    assert.throws(() => receiver.throwIfBroken(), {
      code: 'ConnectionFailed',
      message: 'the source has not answered for 300 s',
    });
    // Until somebody reconnects it is no better than before.
    clock.ms += 1_000;
    receiver.confirm(LSN_ZERO);
    assert.equal(receiver.silentSeconds, 301);
    const startMs = performance.now();
    await receiver.close();
    assert.ok(performance.now() - startMs < 2_000);
  } finally {
    process.kill(walsender, 'SIGCONT');
  }
});

/** Takes connections and says nothing, as a host behind a broken firewall. */
async function muteServer(): Promise<Connection & AsyncDisposable> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    ...mirror().source,
    host: '127.0.0.1',
    port,
    sslMode: 'disable',
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

test('a stream that is closed during a connect without an answer ends within 3 s', async () => {
  await using mute = await muteServer();
  const stream = await openReplication(mute, {
    mirror: 'm',
    slot: 's',
    publication: 'p',
    from: LSN_ZERO,
    onMessage: () => undefined,
    onKeepalive: () => undefined,
  });
  await systemClock.sleep(200);
  const startMs = performance.now();
  await stream.close();
  await stream.done;
  assert.ok(performance.now() - startMs < 3_000);
});
