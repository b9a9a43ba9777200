/** Readers at the destination: a table that is being swapped has its marker row at every moment. */
import { Client } from 'pg';
import type { TableState } from '../../src/core/table-state.ts';
import type { Place } from '../mirror/compare.ts';
import type { TestMirror } from '../mirror/test-mirror.ts';
import type { Random } from './random.ts';
import { SOAK_TABLES, type SoakTable } from './shop.ts';

const READERS = 2;

interface Seen {
  readonly state: TableState;
  readonly found: boolean;
}

export class Readers implements AsyncDisposable {
  reads = 0;
  /** In a truncate, while its rows were on the way. */
  emptyByDesign = 0;
  longestMs = 0;
  readonly #mirror: TestMirror;
  readonly #random: Random;
  readonly #stopping = new AbortController();
  #running: readonly Promise<void>[] = [];

  constructor(mirror: TestMirror, random: Random) {
    this.#mirror = mirror;
    this.#random = random;
  }

  /** `onFailed` is called with the first thing that no reader may see. */
  start(onFailed: (error: unknown) => void): void {
    this.#running = Array.from({ length: READERS }, async (_, index) =>
      this.#read(this.#random.fork(`reader ${index}`)).catch(onFailed),
    );
  }

  /** A session that keeps its lock on a table for a while, as a report does. */
  async holdOn(table: SoakTable, milliseconds: number): Promise<void> {
    const client = await connect(this.#mirror.destination);
    try {
      await client.query(`begin; select 1 from ${table.sql} limit 1`);
      await client.query('select pg_sleep($1::float8 / 1000)', [milliseconds]);
    } finally {
      await client.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
  }

  async #read(random: Random): Promise<void> {
    const client = await connect(this.#mirror.destination);
    try {
      while (!this.#stopping.signal.aborted) await this.#look(client, random.pick(SOAK_TABLES));
    } finally {
      await client.end();
    }
  }

  async #look(client: Client, { name, sql, marker }: SoakTable): Promise<void> {
    if (marker === undefined) return;
    const startMs = performance.now();
    // One statement: its snapshot is taken when the lock is had, and shows the table and its state at one moment.
    const { rows } = await client.query<Seen>(
      `select state, exists (select from ${sql} where ${marker}) as found
       from bunnydb.tables where source_schema = 'public' and source_name = $1`,
      [name],
    );
    this.longestMs = Math.max(this.longestMs, performance.now() - startMs);
    this.reads += 1;
    const [seen] = rows;
    if (seen?.found === true) return;
    if (seen !== undefined && mayBeEmpty(seen.state)) this.emptyByDesign += 1;
    else throw new Error(`no marker in ${name}, which is ${JSON.stringify(seen?.state)}`);
  }
}

/** From the TRUNCATE until the rows are there. */
function mayBeEmpty(state: TableState): boolean {
  switch (state.phase) {
    case 'Pending':
      return true;
    case 'Copying':
      return state.run.strategy === 'truncate';
    case 'Failed':
      return state.resume === 'copy' && state.run?.strategy === 'truncate';
    case 'CatchingUp':
    case 'Live':
      return false;
  }
}

async function connect({ cluster, database }: Place): Promise<Client> {
  const { host, port, user } = cluster.connection(database);
  const client = new Client({ host, port, user, password: cluster.password, database });
  await client.connect();
  return client;
}
