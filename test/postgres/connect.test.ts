/** Connects that fail: each says what is wrong, and none says the password. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { type ErrorCode, MirrorError } from '../../src/core/errors.ts';
import type { Connection } from '../../src/core/mirror.ts';
import { readSecret } from '../../src/postgres/secret.ts';
import { openSession } from '../../src/postgres/session.ts';
import { findFreePort } from '../servers/cluster.ts';
import { sharedClusters } from '../servers/shared.ts';

const SECRET = 'hunter2-do-not-print';
process.env['CONNECT_TEST_SECRET'] = SECRET;
process.env['CONNECT_TEST_EMPTY'] = '';

interface Refusal {
  readonly name: string;
  readonly code: ErrorCode;
  readonly change: Partial<Connection>;
}

const REFUSALS: readonly Refusal[] = [
  {
    name: 'a wrong password',
    code: 'AuthenticationFailed',
    change: { password: { env: 'CONNECT_TEST_SECRET' } },
  },
  {
    name: 'an unknown user',
    code: 'AuthenticationFailed',
    change: { user: 'nobody', password: { env: 'CONNECT_TEST_SECRET' } },
  },
  {
    name: 'an empty password',
    code: 'AuthenticationFailed',
    change: { password: { env: 'CONNECT_TEST_EMPTY' } },
  },
  {
    name: 'a variable that is not set',
    code: 'SecretUnavailable',
    change: { password: { env: 'CONNECT_TEST_NOT_SET' } },
  },
  {
    name: 'a file that is not there',
    code: 'SecretUnavailable',
    change: { password: { file: '/nonexistent/password' } },
  },
  {
    name: 'an unknown database',
    code: 'DatabaseMissing',
    change: { database: 'no_such_database' },
  },
  {
    name: 'TLS that the server does not have',
    code: 'TlsUnavailable',
    change: { sslMode: 'require' },
  },
  {
    name: 'verified TLS that it does not have',
    code: 'TlsUnavailable',
    change: { sslMode: 'verify-full' },
  },
  {
    name: 'a certificate file that is not there',
    code: 'TlsUnavailable',
    change: { sslMode: 'verify-ca', sslRootCert: '/nonexistent/ca.pem' },
  },
  {
    name: 'a key in the place of its path, which is not repeated',
    code: 'TlsUnavailable',
    change: { sslMode: 'verify-ca', sslKey: `-----BEGIN PRIVATE KEY-----\n${SECRET}\n` },
  },
  {
    name: 'a host that is not known',
    code: 'ConnectionFailed',
    change: { host: 'no-such-host.invalid' },
  },
];

async function base(): Promise<Connection> {
  const { destination } = await sharedClusters();
  return destination.connection('postgres');
}

async function refused(connection: Connection): Promise<MirrorError> {
  try {
    const session = await openSession(connection, { mirror: 'm', role: 'observer' });
    await session.close();
  } catch (error) {
    assert.ok(error instanceof MirrorError, String(error));
    return error;
  }
  throw new Error('connected');
}

/** Everything that anybody could print of an error. */
function everything(error: MirrorError): string {
  const own: unknown[] = [];
  for (let each: unknown = error; each instanceof Error; each = each.cause)
    own.push(
      each.message,
      each.stack,
      JSON.stringify(each),
      inspect(each, { depth: 20, showHidden: true }),
    );
  return own.join('\n');
}

for (const { name, code, change } of REFUSALS)
  test(`${name}: ${code}`, async () => {
    const error = await refused({ ...(await base()), ...change });
    assert.equal(error.code, code, error.message);
    assert.ok(!everything(error).includes(SECRET));
    const { password = (await base()).password } = change;
    const secret = password === undefined ? '' : await readSecret(password).catch(() => '');
    assert.ok(secret === '' || !everything(error).includes(secret));
  });

test('no server: ConnectionFailed, naming the place', async () => {
  const port = await findFreePort();
  for (const host of ['127.0.0.1', 'localhost']) {
    const error = await refused({ ...(await base()), host, port });
    assert.equal(error.code, 'ConnectionFailed');
    assert.ok(error.message.includes(`${host}:${port}/postgres`), error.message);
  }
});

/** Something listens there that is no PostgreSQL. */
async function strangerOn(port: number, answer: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    answer(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

const STRANGERS = [
  { name: 'hangs up at once', answer: (socket: Socket) => socket.destroy() },
  { name: 'hangs up politely', answer: (socket: Socket) => socket.end() },
] as const;

for (const { name, answer } of STRANGERS) {
  for (const sslMode of ['disable', 'prefer'] as const)
    test(`a server that ${name} (sslMode ${sslMode}): ConnectionFailed`, async () => {
      const port = await findFreePort();
      const server = await strangerOn(port, answer);
      try {
        const error = await refused({ ...(await base()), port, sslMode });
        assert.equal(error.code, 'ConnectionFailed', error.message);
      } finally {
        server.close();
      }
    });
}

test('a server that never answers: ConnectionFailed, in the end', async () => {
  const port = await findFreePort();
  const sockets: Socket[] = [];
  const server = await strangerOn(port, (socket) => sockets.push(socket));
  try {
    const error = await refused({ ...(await base()), port });
    assert.equal(error.code, 'ConnectionFailed', error.message);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

test('sslMode prefer goes on without TLS where the server has none', async () => {
  await using session = await openSession(
    { ...(await base()), sslMode: 'prefer' },
    { mirror: 'm', role: 'observer' },
  );
  assert.equal(session.encrypted, false);
  assert.deepEqual(await session.query('select 1 as one'), [{ one: '1' }]);
});

test('a password comes from its file, less one line end, and is read again at each connect', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bunnydb-secret-'));
  try {
    const file = join(folder, 'password');
    const connection: Connection = { ...(await base()), password: { file } };
    const { password } = await base();
    assert.ok(password);
    await writeFile(file, 'wrong');
    assert.equal((await refused(connection)).code, 'AuthenticationFailed');
    await writeFile(file, `${await readSecret(password)}\n`);
    await using session = await openSession(connection, { mirror: 'm', role: 'observer' });
    assert.equal(session.usable, true);
    for (const [text, secret] of [
      ['a\n', 'a'],
      ['a\r\n', 'a'],
      ['a\n\n', 'a\n'],
      [' a ', ' a '],
      ['', ''],
    ] as const) {
      await writeFile(file, text);
      assert.equal(await readSecret({ file }), secret);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('PGPASSWORD is not a password of ours', async () => {
  const { password, ...connection } = await base();
  assert.ok(password);
  process.env['PGPASSWORD'] = await readSecret(password);
  try {
    assert.equal((await refused(connection)).code, 'AuthenticationFailed');
  } finally {
    delete process.env['PGPASSWORD'];
  }
});
