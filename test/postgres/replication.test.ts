/** The walsender's end of the wire, on a real server. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { formatLsn, type Lsn, LSN_ZERO, parseLsn } from '../../src/core/lsn.ts';
import type { Connection } from '../../src/core/mirror.ts';
import {
  type ExpectedSource,
  openReplication,
  readTimelineHistory,
  type ReplicationStream,
  statusUpdate,
} from '../../src/postgres/replication.ts';
import { openSession } from '../../src/postgres/session.ts';
import { decodeMessage, type Message } from '../../src/stream/decode.ts';
import { type Cluster, startCluster } from '../servers/cluster.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';

/** A database with a table, its publication and a slot, and the streams that read it. */
class Source {
  readonly cluster: Cluster;
  readonly database: string;
  readonly messages: Message[] = [];
  readonly walEnds: Lsn[] = [];

  constructor(cluster: Cluster, database: string) {
    this.cluster = cluster;
    this.database = database;
  }

  static async make(): Promise<Source> {
    const { source: cluster } = await sharedClusters();
    return Source.makeIn(cluster);
  }

  static async makeIn(cluster: Cluster): Promise<Source> {
    const source = new Source(cluster, await cluster.createDatabase());
    await source.query(
      'create table t (id int primary key, v text); create publication "Pub ""1""" for table t',
    );
    await source.query(`select pg_create_logical_replication_slot('${source.slot}', 'pgoutput')`);
    return source;
  }

  get slot(): string {
    return `slot_${this.database}`;
  }

  get connection(): Connection {
    return this.cluster.connection(this.database);
  }

  async query(sql: string): Promise<Record<string, string | null>[]> {
    return this.cluster.query(this.database, sql);
  }

  async stream(
    from: Lsn = LSN_ZERO,
    connection = this.connection,
    source?: ExpectedSource,
  ): Promise<ReplicationStream> {
    return openReplication(connection, {
      mirror: 'stream',
      slot: this.slot,
      publication: 'Pub "1"',
      from,
      onMessage: (message) => this.messages.push(decodeMessage(message)),
      onKeepalive: (walEnd) => this.walEnds.push(walEnd),
      ...(source === undefined ? {} : { source }),
    });
  }

  all<Tag extends Message['tag']>(tag: Tag): Extract<Message, { readonly tag: Tag }>[] {
    return this.messages.filter((message) => message.tag === tag) as Extract<
      Message,
      { readonly tag: Tag }
    >[];
  }

  async received(commits: number): Promise<void> {
    await this.until(() => this.all('commit').length >= commits, `${commits} commits`);
  }

  async until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    await until(condition, {
      timeoutMs: 20_000,
      late: async () => new Error(`waited in vain for ${what}`),
    });
  }

  async slotState(): Promise<SlotState> {
    const [row] = await this.query(
      `select active, confirmed_flush_lsn as lsn, active_pid as pid from pg_replication_slots where slot_name = '${this.slot}'`,
    );
    return {
      active: row?.['active'] === 't',
      confirmed: parseLsn(row?.['lsn'] ?? ''),
      pid: row?.['pid'] ?? null,
    };
  }

  async isFree(): Promise<void> {
    await this.until(async () => !(await this.slotState()).active, 'the slot to be free');
  }

  async isRead(): Promise<void> {
    await this.until(async () => (await this.slotState()).active, 'the slot to be read');
  }
}

interface SlotState {
  readonly active: boolean;
  readonly confirmed: Lsn;
  readonly pid: string | null;
}

/** Two transactions of two sessions, committed one right after the other. */
async function commitBackToBack(source: Source, id: number): Promise<void> {
  const options = { mirror: 'm', role: 'observer' } as const;
  await using one = await openSession(source.connection, options);
  await using two = await openSession(source.connection, options);
  for (const [index, session] of [one, two].entries()) {
    await session.query('begin');
    await session.query(`insert into public.t values (${id + index})`);
  }
  await Promise.all([one.query('commit'), two.query('commit')]);
}

test('confirming one transaction to its very end does not skip the one that begins there', async () => {
  const source = await Source.make();
  const stream = await source.stream();
  let first: Lsn | undefined;
  let second: number | undefined;
  for (let attempt = 0; first === undefined && attempt < 50; attempt += 1) {
    await commitBackToBack(source, 10 * attempt);
    await source.received(2 * (attempt + 1));
    const [begin] = source.all('begin').slice(-1);
    const [end] = source.all('commit').slice(-2);
    // The case that a confirmation of one byte too many loses.
    if (begin !== undefined && end?.endLsn === begin.commitLsn)
      [first, second] = [end.endLsn, begin.xid];
  }
  assert.ok(first !== undefined && second !== undefined, 'two commits met');
  stream.confirm(first);
  await source.until(
    async () => (await source.slotState()).confirmed === first,
    'the confirmation',
  );
  await stream.close();
  assert.equal((await source.slotState()).confirmed, first, formatLsn(first));

  source.messages.length = 0;
  const again = await source.stream(first);
  await source.received(1);
  await again.close();
  assert.deepEqual(
    source.all('begin').map(({ xid, commitLsn }) => [xid, commitLsn]),
    [[second, first]],
  );
});

test('what was not confirmed comes again; what was does not', async () => {
  const source = await Source.make();
  const stream = await source.stream();
  await source.query('insert into t values (1)');
  await source.query('insert into t values (2)');
  await source.received(2);
  const [one] = source.all('commit');
  assert.ok(one);
  stream.confirm(one.endLsn);
  await source.until(
    async () => (await source.slotState()).confirmed === one.endLsn,
    'the confirmation',
  );
  await stream.close();
  source.messages.length = 0;
  const again = await source.stream();
  await source.received(1);
  await again.close();
  assert.equal(source.all('insert').length, 1);
});

test('nothing is confirmed by itself, however much was received', async () => {
  const source = await Source.make();
  const { confirmed } = await source.slotState();
  const stream = await source.stream();
  await source.query(`insert into t select i from generate_series(1, 100) as i`);
  await source.received(1);
  await stream.close();
  assert.equal((await source.slotState()).confirmed, confirmed);
});

test('a closed stream has freed its slot, ends without an error, and can be closed again', async () => {
  const source = await Source.make();
  const stream = await source.stream();
  await source.isRead();
  await stream.close();
  await stream.done;
  await source.isFree();
  stream.confirm(1n as Lsn);
  await stream.close();
});

test('a paused stream reads nothing more, and goes on where it was', async () => {
  const source = await Source.make();
  const stream = await source.stream();
  await source.query('insert into t values (0)');
  await source.received(1);
  stream.pause();
  const bytes = 16 * 1024 * 1024;
  await source.query(
    `insert into t select i, repeat('x', 1024) from generate_series(1, ${bytes / 1024}) as i`,
  );
  // The server cannot send it all: it waits for us, somewhere in the middle.
  const sent = async (): Promise<string> => {
    const [row] = await source.query(
      `select sent_lsn, wait_event from pg_stat_replication join pg_stat_activity using (pid) where pid = ${(await source.slotState()).pid}`,
    );
    return `${row?.['wait_event']} ${row?.['sent_lsn']}`;
  };
  await source.until(
    async () => (await sent()).startsWith('WalSenderWriteData'),
    'the server to wait',
  );
  assert.equal(source.all('commit').length, 1);
  stream.resume();
  await source.received(2);
  await stream.close();
  assert.equal(source.all('insert').length, 1 + bytes / 1024);
});

test('keepalives tell how far the server is, past what is not published', async () => {
  const source = await Source.make();
  const stream = await source.stream();
  await source.isRead();
  await source.query(
    'create table other (id int); insert into other select generate_series(1, 1000)',
  );
  const [row] = await source.query('select pg_current_wal_lsn() as lsn');
  const lsn = parseLsn(row?.['lsn'] ?? '');
  stream.confirm(LSN_ZERO);
  await source.until(() => source.walEnds.some((walEnd) => walEnd >= lsn), 'a keepalive');
  assert.deepEqual(source.all('insert'), []);
  await stream.close();
});

test('the walsender is killed: ConnectionFailed', async () => {
  const source = await Source.make();
  const stream = await source.stream();
  await source.isRead();
  await source.query(`select pg_terminate_backend(${(await source.slotState()).pid})`);
  await assert.rejects(stream.done, { code: 'ConnectionFailed' });
  await stream.close();
  await source.isFree();
});

test('the server is gone: ConnectionFailed', async () => {
  await using cluster = await startCluster();
  const source = await Source.makeIn(cluster);
  const stream = await source.stream();
  await source.isRead();
  await cluster.crash();
  await assert.rejects(stream.done, { code: 'ConnectionFailed' });
  await stream.close();
  const refused = await source.stream();
  await assert.rejects(refused.done, { code: 'ConnectionFailed' });
});

test('a slot that another stream reads: SlotBusy', async () => {
  const source = await Source.make();
  const stream = await source.stream();
  await source.isRead();
  const other = await source.stream();
  await assert.rejects(other.done, { code: 'SlotBusy' });
  await stream.close();
});

test('a slot that is not there, or a password that is wrong, ends the stream with a MirrorError', async () => {
  const source = await Source.make();
  await source.query(`select pg_drop_replication_slot('${source.slot}')`);
  await assert.rejects((await source.stream()).done, MirrorError);
  process.env['REPLICATION_TEST_SECRET'] = 'hunter2-do-not-print';
  process.env['REPLICATION_TEST_EMPTY'] = '';
  for (const env of ['REPLICATION_TEST_SECRET', 'REPLICATION_TEST_EMPTY']) {
    const stream = await source.stream(LSN_ZERO, { ...source.connection, password: { env } });
    await assert.rejects(stream.done, (error) => {
      assert.ok(error instanceof MirrorError);
      assert.equal(error.code, 'AuthenticationFailed', error.message);
      return !`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`.includes('hunter2');
    });
  }
});

test('sslMode prefer streams without TLS where the server has none', async () => {
  const source = await Source.make();
  const stream = await source.stream(LSN_ZERO, { ...source.connection, sslMode: 'prefer' });
  await source.query('insert into t values (1)');
  await source.received(1);
  await stream.close();
});

test('the session of a stream pins what decides how values print', async () => {
  const source = await Source.make();
  await source.query(
    `alter database ${source.database} set datestyle = 'SQL, DMY'; alter database ${source.database} set bytea_output = 'escape'; alter database ${source.database} set extra_float_digits = '-15'`,
  );
  const stream = await source.stream();
  await source.query(
    `create table v (d date primary key, b bytea, f float8); alter publication "Pub ""1""" add table v`,
  );
  await source.query(String.raw`insert into v values ('2026-02-01', '\x00ff', 0.1::float8 + 0.2)`);
  await source.received(1);
  await stream.close();
  const [row] = source.all('insert');
  assert.ok(row);
  assert.equal(row.raw.includes('2026-02-01'), true);
  assert.equal(row.raw.includes(String.raw`\x00ff`), true);
  assert.equal(row.raw.includes('0.30000000000000004'), true);
});

test('a status update is 34 bytes: the position three times, the time, no reply wanted', () => {
  const lsn = 0x0123_4567_89ab_cdefn as Lsn;
  const before = BigInt(Date.now());
  const frame = statusUpdate(lsn);
  const after = BigInt(Date.now());
  assert.equal(frame.length, 34);
  assert.equal(frame.toString('latin1', 0, 1), 'r');
  for (const offset of [1, 9, 17]) assert.equal(frame.readBigUInt64BE(offset), lsn);
  const ms = frame.readBigInt64BE(25) / 1000n + BigInt(Date.UTC(2000, 0, 1));
  assert.ok(ms >= before && ms <= after);
  assert.equal(frame[33], 0);
  assert.equal(statusUpdate(((1n << 64n) - 1n) as Lsn).readBigUInt64BE(1), (1n << 64n) - 1n);
});

test('a stream that is led to another server than the one that was looked at does not start', async () => {
  const source = await Source.make();
  const [known] = await source.query(
    'select system_identifier::text as id, pg_current_wal_flush_lsn() as lsn from pg_control_system()',
  );
  const systemIdentifier = known?.['id'] ?? '';
  const here = parseLsn(known?.['lsn'] ?? '');
  const others: [Lsn, ExpectedSource][] = [
    [here, { systemIdentifier: '1', timeline: 1 }],
    [here, { systemIdentifier, timeline: 2 }],
    [parseLsn('FFFF/0'), { systemIdentifier, timeline: 1 }],
  ];
  for (const [from, expected] of others) {
    const stream = await source.stream(from, source.connection, expected);
    await assert.rejects(stream.done, (error) => {
      assert.ok(error instanceof MirrorError);
      assert.equal(error.code, 'ConnectionFailed');
      return /the stream was led to cluster \d+ on timeline 1 at/.test(error.message);
    });
    await stream.close();
    await source.isFree();
  }
  for (const expected of [
    { systemIdentifier, timeline: 1 },
    { systemIdentifier: '', timeline: undefined },
  ]) {
    const stream = await source.stream(here, source.connection, expected);
    await stream.started;
    await stream.close();
    await source.isFree();
  }
  // The first timeline has no history.
  const mirror = { name: 'stream', source: source.connection };
  assert.equal(await readTimelineHistory(mirror, 1), '');
});
