/** What is measured while a table is resynced: the load's lag, a reader of the table, the WAL that is kept. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Pool } from 'pg';
import { configOf, ignore, type LoadOptions, type Sample, Watch } from './load.ts';

export const TRANSACTIONS_PER_SECOND = 300;
export const ITEMS = 600_000;
const OTHERS = 100_000;
const WRITERS = 8;
/** One transaction in so many is looked for at the destination. */
const SAMPLE_EVERY = 4;
/** Between two reads: a page that is looked at, not a core that is kept busy. */
const READ_PAUSE_MS = 2;
const WAL_INTERVAL_MS = 50;

export const RESYNC_TABLES = {
  names: ['items', 'other', 'history'],
  create: `
    create table items (id int primary key, n int not null, owner int not null, code text not null, note text);
    create index items_owner on items (owner);
    create index items_code on items (code);
    create index items_n on items (n, id);
    create table other (id int primary key, n int not null);
    create table history (id int primary key, at timestamptz)`,
  fill: `
    insert into items select g, 0, g % 5000, 'code ' || g, md5(g::text) from generate_series(0, ${ITEMS - 1}) as g;
    insert into other select g, 0 from generate_series(0, ${OTHERS - 1}) as g`,
};

interface Read {
  readonly atMs: number;
  readonly tookMs: number;
  readonly found: boolean;
}

interface Kept {
  readonly atMs: number;
  readonly retainedBytes: number;
  readonly unconfirmedBytes: number;
}

/** All of a span of time; moments are of performance.now(). */
export interface Seen {
  readonly latenciesMs: readonly number[];
  readonly longestReadMs: number;
  /** From the first read that did not find its row to the first that did again; 0 when every one found it. */
  readonly withoutRowSeconds: number;
  readonly retainedBytes: number;
  readonly unconfirmedBytes: number;
}

type Places = Pick<LoadOptions, 'source' | 'destination' | 'signal'>;

/** Writes, reads and looks, from start() to stop(). */
export class ResyncWatch {
  readonly #places: Places;
  readonly #stopping = new AbortController();
  readonly #reads: Read[] = [];
  readonly #kept: Kept[] = [];
  #samples: readonly Sample[] = [];
  #running: Promise<unknown> = Promise.resolve();
  /** Reached, of what was asked for. */
  perSecond = 0;

  constructor(places: Places) {
    this.#places = places;
  }

  start(): void {
    this.#running = Promise.all([this.#write(), this.#read(), this.#look()]);
    // Waited for in stop(); until then its failure is not unheard.
    this.#running.catch(() => this.#stopping.abort());
  }

  /** Returns when every transaction that was committed is seen. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  seen(fromMs: number, toMs: number): Seen {
    const within = (atMs: number): boolean => atMs >= fromMs && atMs <= toMs;
    const samples = this.#samples.filter(({ committedMs }) => within(committedMs));
    // A read that began before the end may have waited long past it.
    const reads = this.#reads.filter(({ atMs }) => within(atMs));
    const kept = this.#kept.filter(({ atMs }) => within(atMs));
    return {
      latenciesMs: samples.map(({ latencyMs }) => latencyMs),
      longestReadMs: Math.max(0, ...reads.map(({ tookMs }) => tookMs)),
      withoutRowSeconds: withoutRowMs(reads) / 1000,
      retainedBytes: Math.max(0, ...kept.map(({ retainedBytes }) => retainedBytes)),
      unconfirmedBytes: Math.max(0, ...kept.map(({ unconfirmedBytes }) => unconfirmedBytes)),
    };
  }

  get #isOver(): boolean {
    this.#places.signal.throwIfAborted();
    return this.#stopping.signal.aborted;
  }

  /** Each transaction has its moment, whatever became of the one before. */
  async #write(): Promise<void> {
    const writers = new Pool({ ...configOf(this.#places.source), max: WRITERS });
    const observer = await connect(this.#places.destination);
    writers.on('error', ignore);
    const watch = new Watch(observer);
    try {
      const looking = watch.run(this.#places.signal);
      looking.catch(ignore);
      const startMs = performance.now();
      const commits: Promise<void>[] = [];
      for (let n = 0; !this.#isOver; n += 1) {
        const waitMs = startMs + (n * 1000) / TRANSACTIONS_PER_SECOND - performance.now();
        if (waitMs > 0) await delay(waitMs);
        commits.push(commit(writers, n, n % SAMPLE_EVERY === 0 ? watch : undefined));
      }
      await Promise.all(commits);
      this.perSecond = (commits.length * 1000) / (performance.now() - startMs);
      watch.end();
      this.#samples = await looking;
    } finally {
      watch.end();
      await Promise.allSettled([writers.end(), observer.end()]);
    }
  }

  /** By an index that is not the key, a row that nobody writes. */
  async #read(): Promise<void> {
    const reader = await connect(this.#places.destination);
    try {
      while (!this.#isOver) {
        const atMs = performance.now();
        const { rows } = await reader.query(`select id from items where code = 'code 0'`);
        this.#reads.push({ atMs, tookMs: performance.now() - atMs, found: rows.length === 1 });
        await delay(READ_PAUSE_MS);
      }
    } finally {
      await reader.end();
    }
  }

  /** Of all slots of the database: a copy may have one of its own. */
  async #look(): Promise<void> {
    const source = await connect(this.#places.source);
    try {
      while (!this.#isOver) {
        const { rows } = await source.query<{ retained: number; unconfirmed: number }>(
          `select coalesce(max(pg_current_wal_lsn() - restart_lsn), 0)::float8 as retained,
             coalesce(max(pg_current_wal_lsn() - confirmed_flush_lsn), 0)::float8 as unconfirmed
           from pg_replication_slots where database = current_database()`,
        );
        for (const { retained, unconfirmed } of rows)
          this.#kept.push({
            atMs: performance.now(),
            retainedBytes: retained,
            unconfirmedBytes: unconfirmed,
          });
        await delay(WAL_INTERVAL_MS);
      }
    } finally {
      await source.end();
    }
  }
}

/** One round trip: the statements of one message are one transaction. */
async function commit(writers: Pool, n: number, watch: Watch | undefined): Promise<void> {
  // Never item 0: the reader's.
  const item = 1 + ((n * 7919) % (ITEMS - 1));
  await writers.query(`
    update items set n = n + 1 where id = ${item};
    update other set n = n + 1 where id = ${(n * 31) % OTHERS};
    insert into history values (${n}, now())`);
  watch?.add(n, performance.now());
}

function withoutRowMs(reads: readonly Read[]): number {
  const first = reads.findIndex(({ found }) => !found);
  const last = reads.findLastIndex(({ found }) => !found);
  const [from, to] = [reads[first], reads[last + 1] ?? reads[last]];
  return from === undefined || to === undefined ? 0 : to.atMs + to.tookMs - from.atMs;
}

async function connect(place: LoadOptions['source']): Promise<Client> {
  const client = new Client(configOf(place));
  client.on('error', ignore);
  await client.connect();
  return client;
}
