/** One mirror under test: two fresh databases, a mirror file, a status directory, the daemon. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { stringify } from 'yaml';
import { readStatus } from '../../src/status/read-status.ts';
import { isReady, type Status } from '../../src/status/status.ts';
import type { Connection, Mirror } from '../../src/core/mirror.ts';
import type { TablePhase } from '../../src/core/table-state.ts';
import { observe } from '../../src/observe/observe.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { openSession, type Row } from '../../src/postgres/session.ts';
import { loadDirectory } from '../../src/spec/load.ts';
import type { Cluster } from '../servers/cluster.ts';
import { type CommandResult, Daemon, type NodeOptions, runCommand } from '../servers/daemon.ts';
import { guardFolder, until } from '../servers/processes.ts';
import type { SharedClusters } from '../servers/shared.ts';
import { assertSameRows, type Place } from './compare.ts';
import { StatusLook } from './status-look.ts';

/** spec.tables and the rest of the spec, as a user writes it. */
export interface TestSpec {
  readonly tables: readonly Record<string, unknown>[];
  readonly [field: string]: unknown;
}

const WAIT_TIMEOUT_MS = 120_000;

export class TestMirror implements AsyncDisposable {
  readonly name: string;
  /** Where the file leads to; a test may move it. */
  source: Place;
  readonly destination: Place;
  readonly mirrorDirectory: string;
  readonly statusDirectory: string;
  readonly log: string;
  readonly #root: string;
  readonly #dismissGuard: () => void;
  #daemon: Daemon | undefined;

  private constructor(root: string, source: Place, destination: Place) {
    this.#root = root;
    this.#dismissGuard = guardFolder(root, 'remove');
    // One server has one name for each slot: tests of one file share it.
    this.name = `m_${source.database.replaceAll(/[^a-z0-9]/g, '_')}`;
    this.source = source;
    this.destination = destination;
    this.mirrorDirectory = join(root, 'mirrors.d');
    this.statusDirectory = join(root, 'status');
    this.log = join(root, 'daemon.log');
  }

  /** Makes both databases; `setup` is run at the source. */
  static async create(clusters: SharedClusters, setup: string): Promise<TestMirror> {
    const place = async (cluster: Cluster): Promise<Place> => ({
      cluster,
      database: await cluster.createDatabase(),
    });
    const [source, destination] = await Promise.all([
      place(clusters.source),
      place(clusters.destination),
    ]);
    await source.cluster.query(source.database, setup);
    const root = await mkdtemp(join(tmpdir(), 'bunnydb-test-'));
    const mirror = new TestMirror(root, source, destination);
    await mkdir(mirror.mirrorDirectory);
    return mirror;
  }

  sourceEndpoint(): Connection {
    return endpoint(this.source);
  }

  destinationEndpoint(): Connection {
    return endpoint(this.destination);
  }

  /** Everything the daemons of this mirror wrote. */
  async readLog(): Promise<string> {
    return readFile(this.log, 'utf8');
  }

  /** Writes the mirror file, whole, as git would. */
  async write(spec: TestSpec): Promise<void> {
    const file = {
      apiVersion: 'bunnydb/v1',
      kind: 'Mirror',
      metadata: { name: this.name },
      spec: { source: endpoint(this.source), destination: endpoint(this.destination), ...spec },
    };
    const path = join(this.mirrorDirectory, 'mirror.yaml');
    await writeFile(`${path}.tmp`, stringify(file));
    await rename(`${path}.tmp`, path);
  }

  async start(args: readonly string[] = [], node: NodeOptions = {}): Promise<Daemon> {
    const { mirrorDirectory, statusDirectory, log } = this;
    this.#daemon = await Daemon.start({
      mirrorDirectory,
      statusDirectory,
      log,
      // What is taken out of a file is soon gone.
      args: ['--log-level', 'debug', '--removal-grace', '1s', ...args],
      ...node,
    });
    return this.#daemon;
  }

  /** SIGTERM; returns when it has ended. */
  async stop(): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
    this.#daemon = undefined;
  }

  /** kill -9; returns when it has ended. */
  async kill(): Promise<void> {
    this.#daemon?.signal('SIGKILL');
    await this.#daemon?.ended();
    this.#daemon = undefined;
  }

  async status(): Promise<Status | undefined> {
    return readStatus(this.statusDirectory, this.name);
  }

  /** Waits until the status file says so; fails with the status and the end of the log. */
  async waitFor(
    condition: (status: Status) => boolean,
    timeoutMs = WAIT_TIMEOUT_MS,
  ): Promise<Status> {
    const look = new StatusLook(this.statusDirectory, this.name);
    let last: Status | undefined;
    await until(
      async () => {
        await this.#daemon?.assertRunning();
        last = await look.now();
        return last !== undefined && condition(last);
      },
      { timeoutMs, late: async () => this.#late(last) },
    );
    assert.ok(last);
    return last;
  }

  /** As `bunnydb wait` does, in this process: the file as it is now is done. */
  async waitReady(): Promise<void> {
    const { specHash } = await this.#file();
    await this.waitFor((now) => now.status.observedSpecHash === specHash && isReady(now));
  }

  /** As `bunnydb plan` does, in this process. */
  async plan(): Promise<Plan> {
    const file = await this.#file();
    const options = { mirror: this.name, role: 'observer', readOnly: true } as const;
    await using source = await openSession(file.source, options);
    await using destination = await openSession(file.destination, options);
    return planMirror(file, await observe(file, { source, destination }));
  }

  async #file(): Promise<Mirror> {
    const { mirrors, diagnostics } = await loadDirectory(this.mirrorDirectory);
    const file = mirrors.find(({ name }) => name === this.name);
    assert.ok(file, JSON.stringify(diagnostics));
    return file;
  }

  async #late(status: Status | undefined): Promise<Error> {
    const log = (await this.#daemon?.logTail()) ?? '';
    return new Error(`not in time; status ${JSON.stringify(status, undefined, 1)}\nlog:\n${log}`);
  }

  /** Runs a command on this mirror's directory. */
  async command(verb: string, ...args: string[]): Promise<CommandResult> {
    const status = ['status', 'wait', 'verify'].includes(verb)
      ? ['--status-dir', this.statusDirectory]
      : [];
    return runCommand([verb, '--dir', this.mirrorDirectory, ...status, ...args]);
  }

  async atSource(sql: string): Promise<Row[]> {
    return this.source.cluster.query(this.source.database, sql);
  }

  async atDestination(sql: string): Promise<Row[]> {
    return this.destination.cluster.query(this.destination.database, sql);
  }

  async #lookAtDestination(sql: string): Promise<Row[]> {
    return this.destination.cluster.look(this.destination.database, sql);
  }

  /** Waits until everything that is committed at the source now is applied. */
  async caughtUp(): Promise<void> {
    // A transaction of its own: after it the stream confirms at once.
    const [row] = await this.atSource("select pg_logical_emit_message(true, 'test', '') as lsn");
    const slot = `bunny_${this.name}`;
    await until(
      async () => {
        await this.#daemon?.assertRunning();
        const [found] = await this.source.cluster.look(
          this.source.database,
          `select confirmed_flush_lsn >= '${row?.['lsn']}' as reached from pg_replication_slots where slot_name = '${slot}'`,
        );
        return found?.['reached'] === 't';
      },
      { timeoutMs: WAIT_TIMEOUT_MS, late: async () => this.#late(await this.status()) },
    );
  }

  /** Waits until a destination table has so many rows. */
  async waitForRows(table: string, rows: number): Promise<void> {
    await until(
      async () => {
        const [row] = await this.#lookAtDestination(`select count(*) as rows from ${table}`);
        return Number(row?.['rows']) === rows;
      },
      { timeoutMs: WAIT_TIMEOUT_MS, late: async () => this.#late(await this.status()) },
    );
  }

  /**
   * Waits until the ledger has the table in that phase. The status file is written once a second and may
   * never show a short one.
   */
  async waitForPhase(table: string, phase: TablePhase): Promise<void> {
    await until(
      async () => {
        const [row] = await this.#lookAtDestination(
          `select state ->> 'phase' as phase from bunnydb.tables where source_name = '${table}'`,
        ).catch(() => []);
        return row?.['phase'] === phase;
      },
      { timeoutMs: WAIT_TIMEOUT_MS, late: async () => this.#late(await this.status()) },
    );
  }

  /**
   * A session of somebody else that holds a lock on a destination table until it is released, with what it
   * does last, if anything.
   */
  async holdLockAtDestination(
    table: string,
    mode: string,
  ): Promise<{ release: (last?: string) => Promise<void> }> {
    const { cluster, database } = this.destination;
    const { host, port, user } = cluster.connection(database);
    const client = new Client({ host, port, user, password: cluster.password, database });
    await client.connect();
    await client.query('begin');
    await client.query(`lock table ${table} in ${mode} mode`);
    const release = async (last?: string): Promise<void> => {
      if (last !== undefined) await client.query(`${last}; commit`);
      await client.end();
    };
    return { release };
  }

  async assertSame(tables: readonly string[]): Promise<void> {
    await assertSameRows(this.source, this.destination, tables);
  }

  /** After a plan was executed, planning again finds nothing. */
  async assertNothingToDo(): Promise<void> {
    const { steps, refusals } = await this.plan();
    assert.deepEqual([steps, refusals], [[], []]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await this.source.cluster.dropDatabase(this.source.database);
    await this.destination.cluster.dropDatabase(this.destination.database);
    await rm(this.#root, { recursive: true, force: true });
    this.#dismissGuard();
  }
}

function endpoint({ cluster, database }: Place): Connection {
  return cluster.connection(database);
}
