/** Small transactions at an even pace, as of pgbench; and how soon each of a sample is seen at the other end. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, type ClientConfig, Pool } from 'pg';
import type { Cluster } from '../servers/cluster.ts';

const BRANCHES = 50;
const TELLERS = 500;
const ACCOUNTS = 100_000;

/** The four tables of pgbench; `history` has a key, by which a transaction is found again. */
export const LOAD_TABLES = {
  names: ['branches', 'tellers', 'accounts', 'history'],
  create: `
    create table branches (bid int primary key, balance int);
    create table tellers (tid int primary key, bid int, balance int);
    create table accounts (aid int primary key, bid int, balance int, filler char(84));
    create table history (id int primary key, tid int, bid int, aid int, delta int, at timestamptz)`,
  fill: `
    insert into branches select n, 0 from generate_series(1, ${BRANCHES}) as n;
    insert into tellers select n, 1 + n % ${BRANCHES}, 0 from generate_series(1, ${TELLERS}) as n;
    insert into accounts select n, 1 + n % ${BRANCHES}, 0, '' from generate_series(1, ${ACCOUNTS}) as n`,
};

/** Enough that none waits for the one before it: each has 16 ms at 500 transactions a second. */
const WRITERS = 8;
/** One in so many is looked for at the destination. */
const SAMPLE_EVERY = 20;
/** Between two looks: what a latency is too long by, at most; without it the looking would keep a core busy. */
const LOOK_INTERVAL_MS = 1;

export interface LoadOptions {
  readonly source: { readonly cluster: Cluster; readonly database: string };
  readonly destination: { readonly cluster: Cluster; readonly database: string };
  readonly perSecond: number;
  readonly seconds: number;
  /** Written at the same pace before the first sample. */
  readonly warmUpSeconds: number;
  readonly onWarm: () => Promise<void>;
  /** After the last commit, with the stream still at work on what is left. */
  readonly onWritten: () => Promise<void>;
  readonly signal: AbortSignal;
}

export interface LoadResult {
  /** From the commit, as the writer learned of it, until a session at the destination sees the row. */
  readonly latenciesMs: readonly number[];
  /** What was reached of the pace that was asked for. */
  readonly perSecond: number;
}

/** Returns when every sample was seen. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const writers = new Pool({ ...configOf(options.source), max: WRITERS });
  const observer = new Client(configOf(options.destination));
  writers.on('error', ignore);
  observer.on('error', ignore);
  const watch = new Watch(observer);
  try {
    await observer.connect();
    const looking = watch.run(options.signal);
    // Waited for below; until then its failure is not unheard.
    looking.catch(ignore);
    const perSecond = await write(options, writers, watch);
    await options.onWritten();
    const samples = await looking;
    return { latenciesMs: samples.map(({ latencyMs }) => latencyMs), perSecond };
  } finally {
    watch.end();
    await Promise.allSettled([writers.end(), observer.end()]);
  }
}

/** Each transaction has its moment, whatever became of the one before. Returns the transactions per second. */
async function write(options: LoadOptions, writers: Pool, watch: Watch): Promise<number> {
  const { perSecond, seconds, warmUpSeconds, signal } = options;
  const first = perSecond * warmUpSeconds;
  const start = performance.now();
  const commits: Promise<void>[] = [];
  for (let n = 0; n < first + perSecond * seconds; n += 1) {
    const waitMs = start + (n * 1000) / perSecond - performance.now();
    if (waitMs > 0) await delay(waitMs, undefined, { signal });
    if (n === first) await options.onWarm();
    const isSample = n >= first && n % SAMPLE_EVERY === 0;
    commits.push(commit(writers, n, isSample ? watch : undefined));
  }
  await Promise.all(commits);
  watch.end();
  return (commits.length * 1000) / (performance.now() - start);
}

async function commit(writers: Pool, n: number, watch: Watch | undefined): Promise<void> {
  await writers.query(transactionSql(n));
  watch?.add(n, performance.now());
}

/** One round trip: the statements of one message are one transaction. */
function transactionSql(n: number): string {
  const [aid, tid, bid] = [
    1 + ((n * 7919) % ACCOUNTS),
    1 + ((n * 31) % TELLERS),
    1 + (n % BRANCHES),
  ];
  const delta = (n % 199) - 99;
  return `
    update accounts set balance = balance + ${delta} where aid = ${aid};
    update tellers set balance = balance + ${delta} where tid = ${tid};
    update branches set balance = balance + ${delta} where bid = ${bid};
    insert into history values (${n}, ${tid}, ${bid}, ${aid}, ${delta}, now())`;
}

export interface Sample {
  readonly committedMs: number;
  readonly latencyMs: number;
}

/** Looks in `history` for the samples that are not there yet. */
export class Watch {
  readonly #observer: Client;
  /** By id: when it was committed. */
  readonly #waiting = new Map<number, number>();
  readonly #samples: Sample[] = [];
  #ended = false;
  #wake: () => void = () => undefined;

  constructor(observer: Client) {
    this.#observer = observer;
  }

  add(id: number, committedMs: number): void {
    this.#waiting.set(id, committedMs);
    this.#wake();
  }

  /** No more samples come. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  /** Returns when all samples were seen. */
  async run(signal: AbortSignal): Promise<readonly Sample[]> {
    while (!this.#ended || this.#waiting.size > 0) {
      signal.throwIfAborted();
      if (this.#waiting.size > 0) await this.#look();
      if (this.#waiting.size > 0) await delay(LOOK_INTERVAL_MS);
      else if (!this.#ended) await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#samples;
  }

  async #look(): Promise<void> {
    const { rows } = await this.#observer.query<{ id: number }>({
      name: 'look',
      text: 'select id from history where id = any($1)',
      values: [[...this.#waiting.keys()]],
    });
    const seenMs = performance.now();
    for (const { id } of rows) {
      const committedMs = this.#waiting.get(id) ?? seenMs;
      this.#samples.push({ committedMs, latencyMs: seenMs - committedMs });
      this.#waiting.delete(id);
    }
  }
}

/** A server that stops ends the queries with an error; without a listener it would end us too. */
export function ignore(): void {
  return undefined;
}

export function configOf({ cluster, database }: LoadOptions['source']): ClientConfig {
  const { host, port, user, password } = cluster;
  return { host, port, user, password, database };
}
