/** Sessions on a real server: what is pinned, what is rolled back, what breaks and how it says so. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import type { Connection } from '../../src/core/mirror.ts';
import { copyInto } from '../../src/postgres/copy-streams.ts';
import { applicationName } from '../../src/postgres/application-name.ts';
import { openSession, type Session, type SessionOptions } from '../../src/postgres/session.ts';
import type { Cluster } from '../servers/cluster.ts';
import { sharedClusters } from '../servers/shared.ts';

const OPTIONS: SessionOptions = { mirror: 'm', role: 'observer' };

async function place(): Promise<{ cluster: Cluster; database: string; connection: Connection }> {
  const { destination: cluster } = await sharedClusters();
  const database = await cluster.createDatabase();
  return { cluster, database, connection: cluster.connection(database) };
}

/** What everybody would rather have, and what we must have. */
const SETTINGS = [
  { name: 'DateStyle', theirs: 'SQL, DMY', ours: 'ISO, YMD' },
  { name: 'IntervalStyle', theirs: 'iso_8601', ours: 'postgres' },
  { name: 'extra_float_digits', theirs: '-15', ours: '3' },
  { name: 'TimeZone', theirs: 'Asia/Kolkata', ours: 'UTC' },
  { name: 'bytea_output', theirs: 'escape', ours: 'hex' },
  { name: 'client_encoding', theirs: 'LATIN1', ours: 'UTF8' },
  { name: 'search_path', theirs: 'public', ours: '' },
  { name: 'lc_monetary', theirs: 'POSIX', ours: 'C' },
  { name: 'row_security', theirs: 'on', ours: 'off' },
  { name: 'xmloption', theirs: 'document', ours: 'content' },
  { name: 'standard_conforming_strings', theirs: 'off', ours: 'on' },
  { name: 'default_transaction_isolation', theirs: 'serializable', ours: 'read committed' },
  { name: 'default_transaction_deferrable', theirs: 'on', ours: 'off' },
  { name: 'default_transaction_read_only', theirs: 'on', ours: 'off' },
  { name: 'synchronous_commit', theirs: 'off', ours: 'on' },
  { name: 'idle_in_transaction_session_timeout', theirs: '7s', ours: '0' },
  { name: 'idle_session_timeout', theirs: '7s', ours: '0' },
  { name: 'statement_timeout', theirs: '7s', ours: '0' },
  { name: 'lock_timeout', theirs: '7s', ours: '5s' },
] as const;

for (const level of ['role', 'database', 'role in database'] as const)
  test(`settings of the ${level} do not reach our sessions`, async () => {
    const { cluster, database, connection } = await place();
    const role = `setter_${level.replaceAll(' ', '_')}`;
    await cluster.query(database, `create role ${role} login password 'x'`);
    const whom = {
      role: `role ${role}`,
      database: `database ${database}`,
      'role in database': `role ${role} in database ${database}`,
    }[level];
    for (const { name, theirs } of SETTINGS)
      // The last word is on a new line: a session that turns read-only by default could not go on otherwise.
      await cluster.query(
        database,
        `begin read write; alter ${whom} set ${name} = '${theirs.replace(', ', "', '")}'; commit`,
      );
    process.env['SETTER_PASSWORD'] = 'x';
    const asRole = { ...connection, user: role, password: { env: 'SETTER_PASSWORD' } };
    await using session = await openSession(asRole, { ...OPTIONS, role: 'writer' });
    const values = await session.query(
      `select name, current_setting(name) as setting from unnest($1::text[]) as name`,
      [`{${SETTINGS.map(({ name }) => name).join()}}`],
    );
    assert.deepEqual(
      values.map((row) => [row['name'], row['setting']]),
      SETTINGS.map(({ name, ours }) => [name, ours]),
    );
  });

test('values print alike whatever the server prefers', async () => {
  const { cluster, database, connection } = await place();
  for (const { name, theirs } of SETTINGS)
    await cluster.query(
      database,
      `begin read write; alter database ${database} set ${name} = '${theirs.replace(', ', "', '")}'; commit`,
    );
  await using session = await openSession(connection, OPTIONS);
  const [row] = await session.query(
    String.raw`select '2026-02-01 10:00:00+05:30'::timestamptz as at, '1 year -2 days'::interval as span, '\x00ff'::bytea as bytes,
      0.1::float8 + 0.2 as sum, 1e22::float8 as big, 12345678901234567890 as whole, '{"a":1,  "a":2}'::json as json, true as flag, '-1234.5'::money as money, null as nothing, 'ä\n'::text as text`,
  );
  assert.deepEqual(row, {
    at: '2026-02-01 04:30:00+00',
    span: '1 year -2 days',
    bytes: String.raw`\x00ff`,
    sum: '0.30000000000000004',
    big: '1e+22',
    whole: '12345678901234567890',
    json: '{"a":1,  "a":2}',
    flag: 't',
    money: '-$1,234.50',
    nothing: null,
    text: String.raw`ä\n`,
  });
});

test('what is written at the source waits for no standby; what is written at the destination does', async () => {
  const { connection } = await place();
  const roles = ['observer', 'writer', 'copier', 'replayer', 'owner'] as const;
  const settings: (string | null | undefined)[] = [];
  for (const role of roles) {
    await using session = await openSession(connection, { mirror: 'm', role });
    const [row] = await session.query('show synchronous_commit');
    settings.push(row?.['synchronous_commit']);
  }
  assert.deepEqual(settings, ['local', 'on', 'on', 'on', 'on']);
});

test('options: timeouts, read only, and a name that says what the session is for', async () => {
  const { connection } = await place();
  await using session = await openSession(connection, {
    mirror: 'x'.repeat(80),
    role: 'verifier',
    statementTimeoutMs: 1234,
    lockTimeoutMs: 321,
    readOnly: true,
  });
  const [row] = await session.query(
    `select current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock, current_setting('application_name') as name`,
  );
  assert.deepEqual(row, {
    statement: '1234ms',
    lock: '321ms',
    name: applicationName('x'.repeat(80), 'verifier'),
  });
  await assert.rejects(session.query('create table public.t ()'), { code: 'ReadOnly' });
});

async function withTable(): Promise<{
  session: Session;
  cluster: Cluster;
  database: string;
  connection: Connection;
}> {
  const { cluster, database, connection } = await place();
  await cluster.query(database, 'create table t (id int primary key)');
  return { session: await openSession(connection, OPTIONS), cluster, database, connection };
}

async function ids(session: Session): Promise<string[]> {
  return (await session.query('select id from public.t order by id')).map((row) => row['id'] ?? '');
}

test('a transaction: committed when it returns, rolled back when it throws, and usable after', async () => {
  const { session } = await withTable();
  await using _ = session;
  const result = await session.transaction(async () => {
    await session.query('insert into public.t values (1)');
    return 'done';
  });
  assert.equal(result, 'done');
  const own = new Error('own');
  await assert.rejects(
    session.transaction(async () => {
      await session.query('insert into public.t values (2)');
      throw own;
    }),
    own,
  );
  await assert.rejects(
    session.transaction(async () => session.query('insert into public.t values (3), (1)')),
    { code: 'ConstraintViolated' },
  );
  assert.deepEqual(await ids(session), ['1']);
});

test('a transaction that swallows an error of the server does not pass for committed', async () => {
  const { session } = await withTable();
  await using _ = session;
  await assert.rejects(
    session.transaction(async () => {
      await session.query('insert into public.t values (1)');
      await session.query('select no_such_function()').catch(() => undefined);
    }),
    MirrorError,
  );
  assert.deepEqual(await ids(session), []);
  assert.equal(session.usable, true);
});

test('a constraint that fails at the commit fails the transaction', async () => {
  const { session } = await withTable();
  await using _ = session;
  await session.query('create table public.d (id int unique deferrable initially deferred)');
  await assert.rejects(
    session.transaction(async () => session.query('insert into public.d values (1), (1)')),
    { code: 'ConstraintViolated' },
  );
  assert.equal(session.usable, true);
  assert.deepEqual(await session.query('select id from public.d'), []);
});

/** Ways to lose a connection, from the server's end and from ours. */
const LOSSES: readonly {
  readonly name: string;
  readonly lose: (session: Session, pid: string, cluster: Cluster) => Promise<unknown>;
}[] = [
  {
    name: 'killed while it is idle',
    lose: async (_, pid, cluster) =>
      cluster.query('postgres', `select pg_terminate_backend(${pid}, 5000)`),
  },
  {
    name: 'cut without a word',
    lose: async (session) => session.client.connection.stream.destroy(),
  },
];

for (const { name, lose } of LOSSES)
  test(`a session that was ${name} is a failed connection, from then on`, async () => {
    const { session, cluster } = await withTable();
    const [row] = await session.query('select pg_backend_pid() as pid');
    await lose(session, row?.['pid'] ?? '', cluster);
    for (let attempt = 0; attempt < 3; attempt += 1)
      await assert.rejects(session.query('select 1'), { code: 'ConnectionFailed' });
    assert.equal(session.usable, false);
    await assert.rejects(copyInto(session, 'copy public.t from stdin', Buffer.from('1\n')), {
      code: 'ConnectionFailed',
    });
    await assert.rejects(
      session.transaction(async () => undefined),
      { code: 'ConnectionFailed' },
    );
    await session.close();
  });

const BUSY = [
  { name: 'a query', work: async (session: Session) => session.query('select pg_sleep(60)') },
  {
    name: 'a transaction',
    work: async (session: Session) =>
      session.transaction(async () => session.query('select pg_sleep(60)')),
  },
] as const;

for (const { name, work } of BUSY) {
  test(`${name} whose backend is killed is a failed connection`, async () => {
    const { session, cluster } = await withTable();
    const [row] = await session.query('select pg_backend_pid() as pid');
    const rejected = assert.rejects(work(session), { code: 'ConnectionFailed' });
    await cluster.query('postgres', `select pg_terminate_backend(${row?.['pid']}, 5000)`);
    await rejected;
    await assert.rejects(session.query('select 1'), { code: 'ConnectionFailed' });
    assert.equal(session.usable, false);
  });

  test(`${name} whose connection is cut is a failed connection`, async () => {
    const { session } = await withTable();
    const rejected = assert.rejects(work(session), { code: 'ConnectionFailed' });
    session.client.connection.stream.destroy();
    await rejected;
    assert.equal(session.usable, false);
  });
}

test('a COPY that the server refuses leaves the session usable', async () => {
  const { session } = await withTable();
  await using _ = session;
  await assert.rejects(copyInto(session, 'copy public.t from stdin', Buffer.from('1\n1\n')), {
    code: 'ConstraintViolated',
  });
  await assert.rejects(copyInto(session, 'copy public.t from stdin', Buffer.from('one\n')), {
    code: 'ValueRefused',
  });
  await assert.rejects(copyInto(session, 'copy public.missing from stdin', Buffer.from('1\n')), {
    code: 'TableMissing',
  });
  assert.equal(await copyInto(session, 'copy public.t from stdin', Buffer.from('1\n2\n')), 2);
  assert.deepEqual(await ids(session), ['1', '2']);
});

test('a COPY that is cut is a failed connection', async () => {
  const { session, cluster, database } = await withTable();
  await cluster.query(
    database,
    `create function wait() returns trigger language plpgsql as $$ begin perform pg_sleep(60); return new; end $$;
     create trigger wait before insert on t for each row execute function wait()`,
  );
  const rejected = assert.rejects(
    copyInto(session, 'copy public.t from stdin', Buffer.from('1\n')),
    { code: 'ConnectionFailed' },
  );
  setImmediate(() => session.client.connection.stream.destroy());
  await rejected;
});

test('prepared statements are reused, and beyond their limit go unnamed', async () => {
  const { session } = await withTable();
  await using _ = session;
  for (let round = 0; round < 3; round += 1)
    await session.runPrepared('select $1::text', [Buffer.from('x')]);
  const [one] = await session.query('select count(*) as count from pg_prepared_statements');
  assert.equal(one?.['count'], '1');
  for (let statement = 0; statement < 1_100; statement += 1)
    await session.runPrepared(`select $1::text as c${statement}`, [null]);
  const [all] = await session.query('select count(*) as count from pg_prepared_statements');
  assert.equal(all?.['count'], '1000');
});

test('a closed session can be closed again, and says no', async () => {
  const { session } = await withTable();
  await session.close();
  await session.close();
  assert.equal(session.usable, false);
  await assert.rejects(session.query('select 1'), Error);
});
