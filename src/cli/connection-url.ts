/** `postgres://user@host:port/database?sslmode=…` -> what a mirror file says of a connection. Pure. */
import type { SecretReference, SslMode } from '../core/mirror.ts';
import type { ConnectionSpec } from '../spec/document.ts';
import { nearest } from '../spec/suggest.ts';

/** True for what is no Peer's name. */
export function isUrl(text: string): boolean {
  return text.includes('://');
}

const PARAMETERS = {
  sslmode: 'sslMode',
  sslrootcert: 'sslRootCert',
  sslcert: 'sslCert',
  sslkey: 'sslKey',
} as const satisfies Record<string, keyof ConnectionSpec>;

/**
 * The connection, or why there is none: one line, without the URL, which may hold a password. Host, names and
 * sslmode are checked with the file.
 */
export function parseConnectionUrl(
  text: string,
  password: SecretReference | undefined,
): ConnectionSpec | string {
  if (!URL.canParse(text)) return 'it is no URL: postgres://user@host:5432/database';
  const url = new URL(text);
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:')
    return 'it must begin with postgres://';
  if (url.password !== '' || url.searchParams.has('password'))
    return 'a password does not belong into a URL, nor into a file in git';
  const decoded = decodeParts(url);
  if (decoded === undefined) return 'it has a % that encodes nothing';
  const { user, database, host } = decoded;
  if (host === '') return 'it names no host: postgres://user@host:5432/database';
  if (user === '') return 'it names no user: postgres://user@host:5432/database';
  if (database === '' || database.includes('/'))
    return 'it names no database: postgres://user@host:5432/database';
  const tls: Record<string, string> = {};
  for (const [name, value] of url.searchParams) {
    const field = PARAMETERS[name as keyof typeof PARAMETERS] as string | undefined;
    if (field === undefined) {
      const meant = nearest(name, Object.keys(PARAMETERS));
      const known = Object.keys(PARAMETERS).join(', ');
      return `it has the parameter ${name}; ${meant === undefined ? `known are ${known}` : `did you mean ${meant}?`}`;
    }
    tls[field] = value;
  }
  const { sslMode, ...files } = tls;
  return {
    host,
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    database,
    user,
    ...(password === undefined ? {} : { password }),
    ...(sslMode === undefined ? {} : { sslMode: sslMode as SslMode }),
    ...files,
  };
}

function decodeParts(url: URL): { user: string; database: string; host: string } | undefined {
  try {
    return {
      user: decodeURIComponent(url.username),
      database: decodeURIComponent(url.pathname.slice(1)),
      // An IPv6 address has brackets in a URL, and none in a file.
      host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1'),
    };
  } catch {
    return undefined;
  }
}
