/** Every sslMode against a server that speaks TLS, for plain sessions and for the stream. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, chown, copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import type { ErrorCode } from '../../src/core/errors.ts';
import { MirrorError } from '../../src/core/errors.ts';
import type { Connection } from '../../src/core/mirror.ts';
import { openSession } from '../../src/postgres/session.ts';
import { serverAccount } from '../servers/account.ts';
import { type Cluster, startCluster } from '../servers/cluster.ts';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from '../mirror/test-mirror.ts';

const run = promisify(execFile);
const hasOpenssl = await run('openssl', ['version']).then(
  () => true,
  () => false,
);
if (!hasOpenssl) console.error('SKIPPED: no openssl to make certificates with; TLS was not tested');

interface Certificates extends AsyncDisposable {
  readonly folder: string;
  readonly authority: string;
  /** Of an authority that signed nothing. */
  readonly stranger: string;
}

/** An authority, and a server certificate for the name `localhost` alone: not for 127.0.0.1. */
async function makeCertificates(): Promise<Certificates> {
  const folder = await mkdtemp(join(tmpdir(), 'bunnydb-tls-'));
  const openssl = async (...args: string[]): Promise<unknown> =>
    run('openssl', args, { cwd: folder });
  const authority = async (name: string): Promise<unknown> =>
    openssl(
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${name}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.crt`,
    );
  await authority('authority');
  await authority('stranger');
  await openssl(
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost',
    '-keyout',
    'server.key',
    '-out',
    'server.csr',
  );
  await openssl(
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'authority.crt',
    '-CAkey',
    'authority.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-copy_extensions',
    'copy',
    '-out',
    'server.crt',
  );
  return {
    folder,
    authority: join(folder, 'authority.crt'),
    stranger: join(folder, 'stranger.crt'),
    [Symbol.asyncDispose]: async () => rm(folder, { recursive: true, force: true }),
  };
}

async function turnOnTls(cluster: Cluster, certificates: Certificates): Promise<void> {
  for (const name of ['server.key', 'server.crt']) {
    const path = join(cluster.dataDirectory, name);
    await copyFile(join(certificates.folder, name), path);
    await chmod(path, 0o600);
    const { uid, gid } = await serverAccount();
    if (uid !== undefined) await chown(path, uid, gid);
  }
  await cluster.query('postgres', 'alter system set ssl = on');
  await cluster.stop();
  await cluster.start();
}

test(
  'sslMode: what each accepts of a server with TLS, and what it refuses',
  { skip: !hasOpenssl },
  async (t) => {
    await using certificates = await makeCertificates();
    await using source = await startCluster();
    await turnOnTls(source, certificates);
    const { authority, stranger } = certificates;
    const base = source.connection('postgres');
    const isEncrypted = async (change: Partial<Connection>): Promise<boolean> => {
      await using session = await openSession(
        { ...base, ...change },
        { mirror: 'tls', role: 'observer' },
      );
      const [row] = await session.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
      assert.equal(session.encrypted, row?.['ssl'] === 't');
      return session.encrypted;
    };
    const accepted: [Partial<Connection>, boolean][] = [
      [{ sslMode: 'disable' }, false],
      [{ sslMode: 'prefer' }, true],
      [{ sslMode: 'require' }, true],
      [{ sslMode: 'verify-ca', sslRootCert: authority }, true],
      [{ sslMode: 'verify-full', sslRootCert: authority, host: 'localhost' }, true],
    ];
    for (const [change, encrypted] of accepted)
      await t.test(`${change.sslMode} is accepted`, async () =>
        assert.equal(await isEncrypted(change), encrypted),
      );
    const refused: [string, Partial<Connection>][] = [
      ['a stranger signed it', { sslMode: 'verify-ca', sslRootCert: stranger }],
      ['nobody known signed it', { sslMode: 'verify-full', host: 'localhost' }],
      ['it is for another name', { sslMode: 'verify-full', sslRootCert: authority }],
    ];
    for (const [reason, change] of refused)
      await t.test(`${change.sslMode} refuses: ${reason}`, async () => {
        const code: ErrorCode = 'TlsUnavailable';
        await assert.rejects(
          isEncrypted(change),
          (error) => error instanceof MirrorError && error.code === code,
        );
      });

    await t.test('a mirror streams under verify-full', async () => {
      const { destination } = await sharedClusters();
      await using mirror = await TestMirror.create(
        { source, destination },
        'create table a (id int primary key)',
      );
      const endpoint = {
        ...mirror.sourceEndpoint(),
        host: 'localhost',
        sslMode: 'verify-full',
        sslRootCert: authority,
      };
      await mirror.write({ source: endpoint, tables: [{ source: 'public.a' }] });
      await mirror.start();
      await mirror.waitReady();
      await mirror.atSource('insert into a select generate_series(1, 10)');
      await mirror.caughtUp();
      await mirror.assertSame(['a']);
      const rows = await mirror.atSource(
        `select s.ssl from pg_stat_ssl s join pg_stat_activity a using (pid) where a.application_name like 'bunnydb:%'`,
      );
      assert.ok(rows.length >= 2 && rows.every((row) => row['ssl'] === 't'));
    });
  },
);
