/** Somebody who reads a table of the copy again and again: what a user of it sees during a resync. */
import { Client } from 'pg';
import type { Cluster } from '../servers/cluster.ts';
import { SHOP, type ShopTable } from './shop.ts';

export interface Seen {
  readonly reads: number;
  /** The fewest rows that a read has found. */
  readonly fewestRows: number;
  readonly slowestMs: number;
}

/** Reads from its start on. Dispose it to stop it. */
export class Reader implements AsyncDisposable {
  readonly #client: Client;
  readonly #table: ShopTable;
  #seen: Seen = { reads: 0, fewestRows: Number.POSITIVE_INFINITY, slowestMs: 0 };
  #running: Promise<void> = Promise.resolve();
  #isStopping = false;

  private constructor(client: Client, table: ShopTable) {
    this.#client = client;
    this.#table = table;
  }

  /** Returns after its first read. */
  static async start(copy: Cluster, table: ShopTable): Promise<Reader> {
    const { host, port, user, password } = copy;
    const application_name = 'shop reader';
    const client = new Client({ host, port, user, password, database: SHOP, application_name });
    client.on('error', () => undefined);
    await client.connect();
    const reader = new Reader(client, table);
    await reader.#read();
    reader.#running = reader.#readOn();
    // Told by stop, which may come much later.
    reader.#running.catch(() => undefined);
    return reader;
  }

  get seen(): Seen {
    return this.#seen;
  }

  /** Throws what a read has thrown. */
  async stop(): Promise<Seen> {
    this.#isStopping = true;
    await this.#running;
    return this.#seen;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop().catch(() => undefined);
    await this.#client.end();
  }

  async #readOn(): Promise<void> {
    while (!this.#isStopping) await this.#read();
  }

  async #read(): Promise<void> {
    const startedAt = performance.now();
    const { rows } = await this.#client.query<{ rows: string }>(
      `select count(*) as rows from ${this.#table}`,
    );
    const { reads, fewestRows, slowestMs } = this.#seen;
    this.#seen = {
      reads: reads + 1,
      fewestRows: Math.min(fewestRows, Number(rows[0]?.rows)),
      slowestMs: Math.max(slowestMs, performance.now() - startedAt),
    };
  }
}
