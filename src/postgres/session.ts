/**
 * One PostgreSQL session, with everything pinned that changes how values print or how long a
 * statement may hang (DESIGN 6.3). Results are text as the server sent it: this floor never lets a
 * driver turn a value into a number, a Date or JSON.
 */
import { readFile } from 'node:fs/promises';
import { Client, type ClientConfig } from 'pg';
import { classify, driverCode, MirrorError } from '../core/errors.ts';
import type { Connection } from '../core/mirror.ts';
import { applicationName, type SessionRole } from './application-name.ts';
import { readSecret } from './secret.ts';

/** A result row: each value is the server's text, or null. */
export type Row = Record<string, string | null>;

export interface SessionOptions {
  readonly mirror: string;
  readonly role: SessionRole;
  /** 0: none. Bounds a statement on the server. */
  readonly statementTimeoutMs?: number;
  /** How long any lock is waited for. Short, so that nobody queues behind us for long. */
  readonly lockTimeoutMs?: number;
  readonly readOnly?: boolean;
  /** Cuts a connect that is under way; an open session is not touched. */
  readonly signal?: AbortSignal;
}

const CONNECT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** Dead peers are noticed after 10 s + 3 * 5 s without an answer. */
const KEEPALIVE_INITIAL_DELAY_MS = 10_000;
/** Each keeps a plan on the server; tables times kinds of change fit, odd column sets go unnamed. */
const MAX_PREPARED_STATEMENTS = 1_000;
export const DEFAULT_LOCK_TIMEOUT_MS = 5_000;

/** Settings that decide how values print; the same for all kinds of session, on either side. */
const PINNED_SETTINGS: Readonly<Record<string, string>> = {
  DateStyle: 'ISO,YMD',
  IntervalStyle: 'postgres',
  extra_float_digits: '3',
  TimeZone: 'UTC',
  bytea_output: 'hex',
  client_encoding: 'UTF8',
  search_path: '',
  lc_monetary: 'C',
  row_security: 'off',
  xmloption: 'content',
  standard_conforming_strings: 'on',
  default_transaction_isolation: 'read\\ committed',
  default_transaction_deferrable: 'off',
  idle_in_transaction_session_timeout: '0',
  // A quiet mirror's sessions, its lock among them, are idle for hours.
  idle_session_timeout: '0',
};

/** An open session. Dispose it (`await using`) to close it; a broken one throws at its next statement. */
export class Session implements AsyncDisposable {
  readonly client: Client;
  readonly #prepared = new Map<string, string>();
  #failure: Error | undefined;
  #closed = false;

  constructor(client: Client) {
    this.client = client;
    client.on('error', (error) => (this.#failure ??= error));
    client.on('end', () => {
      if (!this.#closed) this.#failure ??= new Error('connection ended by the server');
    });
  }

  /** False when the connection broke or was closed. */
  get usable(): boolean {
    return !this.#closed && this.#failure === undefined;
  }

  /** Whether TLS is in use: what sslMode `prefer` came to. */
  get encrypted(): boolean {
    return 'encrypted' in this.client.connection.stream;
  }

  /** Calls back when the connection breaks, and not when it is closed here. */
  onLost(listener: () => void): void {
    this.client.once('end', () => {
      if (!this.#closed) listener();
    });
  }

  /** Runs one statement; a named one is prepared once and then reused. Throws MirrorError. */
  async query(
    text: string,
    values?: readonly (string | number | bigint | boolean | Buffer | null)[],
    name?: string,
  ): Promise<Row[]> {
    return (await this.run(text, values, name)).rows;
  }

  /** Like query, with the number of rows the statement touched. */
  async run(
    text: string,
    values?: readonly (string | number | bigint | boolean | Buffer | null)[],
    name?: string,
  ): Promise<{ rows: Row[]; rowCount: number; command: string }> {
    if (this.#failure) throw connectionLost(this.#failure);
    try {
      const result = await this.client.query<Row>({
        text,
        ...(values === undefined ? {} : { values: [...values] }),
        ...(name === undefined ? {} : { name }),
      });
      return { rows: result.rows, rowCount: result.rowCount ?? 0, command: result.command };
    } catch (error) {
      throw this.failure(error);
    }
  }

  /** What an error on this session means; when the connection broke the driver's own words do not say so. */
  failure(thrown: unknown): MirrorError {
    const broken = this.#failure ?? (this.#closed ? new Error('the session is closed') : undefined);
    return broken === undefined ? classify(thrown) : connectionLost(broken);
  }

  /** Runs a statement that comes again and again, prepared under a name of its own. Returns the rows it touched. */
  async runPrepared(text: string, values: readonly (Buffer | null)[]): Promise<number> {
    return (await this.run(text, values, this.#nameOf(text))).rowCount;
  }

  #nameOf(text: string): string | undefined {
    let name = this.#prepared.get(text);
    if (name === undefined && this.#prepared.size < MAX_PREPARED_STATEMENTS) {
      name = `b${this.#prepared.size}`;
      this.#prepared.set(text, name);
    }
    return name;
  }

  /** Runs `work` in one transaction: committed when it returns, rolled back when it throws. */
  async transaction<T>(work: () => Promise<T>, begin = 'begin'): Promise<T> {
    await this.query(begin);
    try {
      const result = await work();
      const { command } = await this.run('commit');
      // The server answers so when a statement in it failed and nobody passed that on.
      if (command === 'ROLLBACK')
        throw new MirrorError(
          'Unexpected',
          'the transaction was rolled back: a statement in it had failed',
        );
      return result;
    } catch (error) {
      // A dead session has rolled back by itself; the first error is the one to report.
      if (this.usable) await this.query('rollback').catch(() => undefined);
      throw error;
    }
  }

  /** Ends the session; one that does not answer is cut off after CLOSE_TIMEOUT_MS. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const socket = this.client.connection.stream;
    const cut = setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS);
    await this.client.end().catch(() => undefined);
    clearTimeout(cut);
  }

  /** Cuts the connection at once; the server rolls back whatever was open. */
  destroy(): void {
    this.#closed = true;
    this.client.connection.stream.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Connects. Throws MirrorError: ConnectionFailed, AuthenticationFailed, DatabaseMissing, SecretUnavailable, TlsUnavailable … */
export async function openSession(
  connection: Connection,
  options: SessionOptions,
): Promise<Session> {
  const session = new Session(await connectClient(connection, options));
  try {
    await session.query(SET_CONNECTION_CHECK).catch((error: unknown) => {
      // Servers on a platform without it take only 0.
      if (driverCode((error as Error).cause) !== INVALID_PARAMETER_VALUE) throw error;
    });
    return session;
  } catch (error) {
    session.destroy();
    throw error;
  }
}

/**
 * A statement of a daemon that is gone ends within seconds, and not when its index is built: the next
 * one can take over. From PostgreSQL 14.
 */
const SET_CONNECTION_CHECK = /* sql */ `set client_connection_check_interval = '2s'`;
const INVALID_PARAMETER_VALUE = '22023';

function connectionLost(cause: Error): MirrorError {
  return new MirrorError('ConnectionFailed', `connection lost: ${cause.message}`, { cause });
}

async function connectClient(connection: Connection, options: SessionOptions): Promise<Client> {
  const where = `${connection.host}:${connection.port}/${connection.database}`;
  try {
    const wantsTls = connection.sslMode !== 'disable';
    const config = await clientConfig(connection, options, wantsTls);
    return await connectOnce(config, options.signal).catch(async (error: unknown) => {
      // sslMode prefer: the server has no TLS; pg has no such fallback of its own.
      if (connection.sslMode === 'prefer' && isTlsRefusal(error))
        return connectOnce(await clientConfig(connection, options, false), options.signal);
      throw error;
    });
  } catch (error) {
    if (isTlsRefusal(error))
      throw new MirrorError('TlsUnavailable', `${where}: the server does not speak TLS`, {
        cause: error,
      });
    throw connectFailure(error, where);
  }
}

/** What ended a connection or kept it from being. pg gives neither an errno nor a SQLSTATE to what it finds out by itself. */
export function connectFailure(error: unknown, where: string): MirrorError {
  if (error instanceof MirrorError || !(error instanceof Error) || driverCode(error) !== undefined)
    return classify(error, where);
  // A password that is missing, or a server that does not know it either.
  const isPassword = error.message.startsWith('SASL');
  return new MirrorError(
    isPassword ? 'AuthenticationFailed' : 'ConnectionFailed',
    `${where}: ${error.message}`,
    {
      cause: error,
    },
  );
}

async function connectOnce(config: ClientConfig, signal?: AbortSignal): Promise<Client> {
  const client = new Client(config);
  const cut = (): void => void client.connection.stream.destroy();
  signal?.addEventListener('abort', cut, { once: true });
  try {
    signal?.throwIfAborted();
    await client.connect();
    return client;
  } catch (error) {
    cut();
    throw error;
  } finally {
    signal?.removeEventListener('abort', cut);
  }
}

function isTlsRefusal(error: unknown): boolean {
  // pg gives this failure neither an errno nor a SQLSTATE.
  return error instanceof Error && error.message === 'The server does not support SSL connections';
}

/** The driver's configuration for one connect, the password looked up now. Also used by the replication transport. */
export async function clientConfig(
  connection: Connection,
  options: SessionOptions,
  tls: boolean,
): Promise<ClientConfig> {
  const password =
    connection.password === undefined ? undefined : await readSecret(connection.password);
  return {
    host: connection.host,
    port: connection.port,
    database: connection.database,
    user: connection.user,
    // A function keeps pg from falling back to PGPASSWORD or a .pgpass that the mirror file does not name.
    password: () => password ?? '',
    ssl: tls ? await tlsOptions(connection) : false,
    application_name: applicationName(options.mirror, options.role),
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEPALIVE_INITIAL_DELAY_MS,
    options: startupOptions(options),
    types: { getTypeParser: () => (value: string | Buffer) => value },
  };
}

function isAtSource(role: SessionRole): boolean {
  return role === 'source' || role === 'observer';
}

function startupOptions(options: SessionOptions): string {
  const settings = {
    ...PINNED_SETTINGS,
    // What we write at the source can be done again: it waits for no standby, which may be down.
    synchronous_commit: isAtSource(options.role) ? 'local' : 'on',
    statement_timeout: String(options.statementTimeoutMs ?? 0),
    lock_timeout: String(options.lockTimeoutMs ?? DEFAULT_LOCK_TIMEOUT_MS),
    default_transaction_read_only: options.readOnly === true ? 'on' : 'off',
    tcp_keepalives_idle: '10',
    tcp_keepalives_interval: '5',
    tcp_keepalives_count: '3',
  };
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(' ');
}

async function tlsOptions(connection: Connection): Promise<ClientConfig['ssl']> {
  const { sslMode, sslRootCert, sslCert, sslKey } = connection;
  const read = async (path: string): Promise<string> => {
    // Somebody may have written the key itself, also where no schema was asked.
    if (/[\p{Cc}]|-----BEGIN/u.test(path))
      throw new MirrorError('TlsUnavailable', 'a TLS file is named by something that is no path');
    return readFile(path, 'utf8').catch((cause: unknown) => {
      throw new MirrorError('TlsUnavailable', `cannot read ${path}`, { cause });
    });
  };
  const verifies = sslMode === 'verify-ca' || sslMode === 'verify-full';
  return {
    rejectUnauthorized: verifies,
    ...(sslRootCert === undefined ? {} : { ca: await read(sslRootCert) }),
    ...(sslCert === undefined ? {} : { cert: await read(sslCert) }),
    ...(sslKey === undefined ? {} : { key: await read(sslKey) }),
    // verify-ca checks the chain, not the name.
    ...(sslMode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}
