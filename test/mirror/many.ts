/** Many small mirrors in one daemon, over one pair of servers of their own. */
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { isReady } from '../../src/status/status.ts';
import { type Cluster, startCluster } from '../servers/cluster.ts';
import { Daemon } from '../servers/daemon.ts';
import { guardFolder, until } from '../servers/processes.ts';
import { StatusLook } from './status-look.ts';

const READY_TIMEOUT_MS = 300_000;
const ROWS = 10;

export class ManyMirrors implements AsyncDisposable {
  readonly names: readonly string[];
  readonly source: Cluster;
  readonly destination: Cluster;
  readonly #root: string;
  readonly #dismissGuard: () => void;
  #daemon: Daemon | undefined;

  private constructor(
    root: string,
    names: readonly string[],
    clusters: readonly [Cluster, Cluster],
  ) {
    this.#root = root;
    this.#dismissGuard = guardFolder(root, 'remove');
    this.names = names;
    [this.source, this.destination] = clusters;
  }

  /** One table for each, all in one database at either end. */
  static async create(count: number): Promise<ManyMirrors> {
    const settings = {
      max_replication_slots: String(count + 10),
      max_wal_senders: String(count + 10),
      max_connections: String(8 * count + 50),
    };
    const clusters = await Promise.all([startCluster({ settings }), startCluster({ settings })]);
    const names = Array.from({ length: count }, (_, index) => `many_${index}`);
    const many = new ManyMirrors(await mkdtemp(join(tmpdir(), 'bunnydb-many-')), names, clusters);
    await many.source.query('postgres', names.map(tableSql).join(''));
    await mkdir(join(many.#root, 'mirrors.d'));
    const peers = { from: many.source, to: many.destination };
    for (const [name, cluster] of Object.entries(peers))
      await many.#write(name, { kind: 'Peer', spec: cluster.connection('postgres') });
    await Promise.all(names.map(async (name) => many.writeMirror(name, 0)));
    return many;
  }

  async writeMirror(name: string, resyncGeneration: number): Promise<void> {
    const tables = [{ source: `public.${name}`, resyncGeneration }];
    await this.#write(name, {
      kind: 'Mirror',
      spec: { source: 'from', destination: 'to', tables },
    });
  }

  async start(): Promise<Daemon> {
    this.#daemon = await Daemon.start({
      mirrorDirectory: join(this.#root, 'mirrors.d'),
      statusDirectory: this.#statusDirectory,
      log: join(this.#root, 'daemon.log'),
    });
    return this.#daemon;
  }

  /** Returns when every mirror is Ready. */
  async allReady(): Promise<void> {
    const looks = this.names.map((name) => new StatusLook(this.#statusDirectory, name));
    for (const look of looks)
      await this.#until(READY_TIMEOUT_MS, async () => {
        const status = await look.now();
        return status !== undefined && isReady(status);
      });
  }

  /** Bumps one counter; returns the milliseconds until the daemon began the copy, by the ledger. */
  async bump(name: string, to: number): Promise<number> {
    const bumpedMs = performance.now();
    await this.writeMirror(name, to);
    await this.#until(READY_TIMEOUT_MS, async () => {
      const begun = await this.destination.look(
        'postgres',
        `select 1 as found from bunnydb.tables where mirror = '${name}'
         and (observed_table_generation = ${to} or (state #>> '{run,generation,table}')::int = ${to})`,
      );
      return begun.length > 0;
    });
    return performance.now() - bumpedMs;
  }

  get #statusDirectory(): string {
    return join(this.#root, 'status');
  }

  async #write(name: string, document: object): Promise<void> {
    const path = join(this.#root, 'mirrors.d', `${name}.yaml`);
    await writeFile(
      `${path}.new`,
      stringify({ apiVersion: 'bunnydb/v1', metadata: { name }, ...document }),
    );
    await rename(`${path}.new`, path);
  }

  async #until(timeoutMs: number, condition: () => Promise<boolean>): Promise<void> {
    await until(
      async () => {
        await this.#daemon?.assertRunning();
        return condition();
      },
      { timeoutMs, late: async () => new Error(`not in time:\n${await this.#daemon?.logTail()}`) },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#daemon?.[Symbol.asyncDispose]();
    await Promise.all(
      [this.source, this.destination].map(async (one) => one[Symbol.asyncDispose]()),
    );
    await rm(this.#root, { recursive: true, force: true });
    this.#dismissGuard();
  }
}

function tableSql(name: string): string {
  return `create table ${name} (id int primary key, note text);
insert into ${name} select g, 'row ' || g from generate_series(1, ${ROWS}) g;`;
}
