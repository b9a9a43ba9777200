/** bunnydb as users run it: a mirror file, a daemon, a fresh destination database. */
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { quoteLiteral } from '../../src/sql/quote.ts';
import { readStatus } from '../../src/status/read-status.ts';
import { isReady } from '../../src/status/status.ts';
import { Daemon } from '../servers/daemon.ts';
import { guardFolder } from '../servers/processes.ts';
import { type BenchContext, reached } from './servers.ts';

let mirrorsMade = 0;

/** How long each stretch of a table's first copy took, by the daemon's own log. */
export interface CopyTimes {
  /** From the start of `bunnydb run --once` until its process has ended. */
  readonly wholeSeconds: number;
  /** Until the step Copying: node, both catalogs, slot, table. */
  readonly startSeconds: number;
  /** From the step Copying until every row is committed; taking the snapshot and connecting is in it. */
  readonly rowsSeconds: number;
  /** From then until keys and indexes are built and the table is analysed. */
  readonly keysSeconds: number;
  /** The rest: replay, hand-over, the end of the process. */
  readonly endSeconds: number;
}

export type ResyncStrategy = 'truncate' | 'swap';

interface MirrorParts {
  readonly root: string;
  readonly sourceDatabase: string;
  readonly database: string;
  readonly tables: readonly string[];
}

export class BenchMirror implements AsyncDisposable {
  /** The destination's database, made for this mirror. */
  readonly database: string;
  readonly #context: BenchContext;
  readonly #sourceDatabase: string;
  readonly #name = `bench_${++mirrorsMade}`;
  readonly #root: string;
  readonly #tables: readonly string[];
  readonly #dismissGuard: () => void;
  #daemon: Daemon | undefined;

  private constructor(context: BenchContext, parts: MirrorParts) {
    this.#context = context;
    this.#root = parts.root;
    this.#dismissGuard = guardFolder(parts.root, 'remove');
    this.#sourceDatabase = parts.sourceDatabase;
    this.#tables = parts.tables;
    this.database = parts.database;
  }

  /** Writes the mirror file; `tables` are of the schema public. */
  static async create(
    context: BenchContext,
    sourceDatabase: string,
    tables: readonly string[],
  ): Promise<BenchMirror> {
    const root = await mkdtemp(join(tmpdir(), 'bunnydb-bench-'));
    const database = await context.destination.createDatabase();
    const mirror = new BenchMirror(context, { root, sourceDatabase, database, tables });
    await mkdir(join(root, 'mirrors.d'));
    await mirror.#writeFile({});
    return mirror;
  }

  /** `bunnydb run --once`, from nothing to a mirror that is Ready. */
  async runOnce(): Promise<CopyTimes> {
    const startMs = Date.now();
    const daemon = await this.#start(['--once']);
    await reached(this.#context, 'the first copy', () => !daemon.running);
    const endMs = Date.now();
    if (daemon.exitCode !== 0)
      throw new Error(`bunnydb run --once failed:\n${await daemon.logTail()}`);
    return stretches(await this.#log(), startMs, endMs);
  }

  /** Starts the daemon; returns when its tables are Live. */
  async startLive(): Promise<Daemon> {
    const daemon = await this.#start([]);
    await reached(this.#context, 'a mirror that is RUNNING', async () => {
      await daemon.assertRunning();
      return (await readStatus(join(this.#root, 'status'), this.#name))?.status.state === 'RUNNING';
    });
    return daemon;
  }

  /** Bumps the counter of one table, once in the life of a mirror; returns when the table is Live again. */
  async resync(table: string, strategy: ResyncStrategy): Promise<void> {
    await this.#writeFile({ [table]: { resyncStrategy: strategy, resyncGeneration: 1 } });
    await reached(this.#context, `a resync of ${table}`, async () => {
      await this.#daemon?.assertRunning();
      const found = await this.#context.destination.query(
        this.database,
        `select 1 as found from bunnydb.tables where source_name = ${quoteLiteral(table)}
         and observed_table_generation = 1 and state ->> 'phase' = 'Live'`,
      );
      return found.length > 0;
    });
  }

  /** Returns when nothing is left to be done after a resync. */
  async untilDone(): Promise<void> {
    await reached(this.#context, 'a mirror that is Ready again', async () => {
      const status = await readStatus(join(this.#root, 'status'), this.#name);
      return status !== undefined && isReady(status);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#daemon?.[Symbol.asyncDispose]();
      await this.#leaveSource();
      await this.#context.destination.dropDatabase(this.database);
    } finally {
      await rm(this.#root, { recursive: true, force: true });
      this.#dismissGuard();
    }
  }

  async #writeFile(more: Readonly<Record<string, object>>): Promise<void> {
    const { source, destination } = this.#context;
    const file = {
      apiVersion: 'bunnydb/v1',
      kind: 'Mirror',
      metadata: { name: this.#name },
      spec: {
        source: source.connection(this.#sourceDatabase),
        destination: destination.connection(this.database),
        tables: this.#tables.map((name) => ({ source: `public.${name}`, ...more[name] })),
      },
    };
    const path = join(this.#root, 'mirrors.d', 'mirror.yaml');
    await writeFile(`${path}.new`, stringify(file));
    await rename(`${path}.new`, path);
  }

  async #start(args: readonly string[]): Promise<Daemon> {
    this.#daemon = await Daemon.start({
      mirrorDirectory: join(this.#root, 'mirrors.d'),
      statusDirectory: join(this.#root, 'status'),
      log: join(this.#root, 'daemon.log'),
      args,
    });
    return this.#daemon;
  }

  async #log(): Promise<string> {
    return readFile(join(this.#root, 'daemon.log'), 'utf8');
  }

  /** The source's database is used again: no slot of ours may keep its WAL. */
  async #leaveSource(): Promise<void> {
    const { source } = this.#context;
    const name = quoteLiteral(`bunny_${this.#name}`);
    await reached(this.#context, 'a slot that is free', async () => {
      const slots = `from pg_replication_slots where slot_name = ${name}`;
      await source.query(
        this.#sourceDatabase,
        `select pg_drop_replication_slot(slot_name) ${slots} and not active`,
      );
      return (await source.query(this.#sourceDatabase, `select 1 as found ${slots}`)).length === 0;
    });
    await source.query(this.#sourceDatabase, `drop publication if exists bunny_${this.#name}`);
  }
}

interface LogLine {
  readonly msg: string;
  readonly time: string;
  readonly step?: string;
}

function stretches(log: string, startMs: number, endMs: number): CopyTimes {
  const lines = log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
  const at = (what: string): number => {
    const line = lines.find(({ msg, step }) => (msg === 'copy step' ? step : msg) === what);
    if (line === undefined) throw new Error(`the daemon's log does not say: ${what}`);
    return Date.parse(line.time);
  };
  const [copying, committed, built] = [at('Copying'), at('rows copied'), at('CatchingUp')];
  return {
    wholeSeconds: (endMs - startMs) / 1000,
    startSeconds: (copying - startMs) / 1000,
    rowsSeconds: (committed - copying) / 1000,
    keysSeconds: (built - committed) / 1000,
    endSeconds: (endMs - built) / 1000,
  };
}
