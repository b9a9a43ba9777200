/** Applications that read at the destination, over and over, and notice what they should never see. */
import assert from 'node:assert/strict';
import { Client } from 'pg';
import type { Place } from './compare.ts';

export interface Readings {
  readonly reads: number;
  readonly longestMs: number;
}

export class Reader implements AsyncDisposable {
  readonly #stopping = new AbortController();
  readonly #running: readonly Promise<Readings>[];

  private constructor(clients: readonly Client[], queries: readonly string[]) {
    this.#running = clients.map(async (client, index) => this.#read(client, queries[index] ?? ''));
  }

  /** One session for each query; each query says in its one column, as a boolean, whether all is well. */
  static async start(place: Place, queries: readonly string[]): Promise<Reader> {
    const { host, port, user } = place.cluster.connection(place.database);
    const { password } = place.cluster;
    const clients = queries.map(
      () => new Client({ host, port, user, password, database: place.database }),
    );
    await Promise.all(clients.map(async (client) => client.connect()));
    return new Reader(clients, queries);
  }

  async #read(client: Client, query: string): Promise<Readings> {
    let reads = 0;
    let longestMs = 0;
    try {
      while (!this.#stopping.signal.aborted) {
        const startMs = performance.now();
        const { rows } = await client.query<{ whole: boolean }>(query);
        longestMs = Math.max(longestMs, performance.now() - startMs);
        assert.equal(rows[0]?.whole, true, `${query} after ${reads} reads`);
        reads += 1;
      }
    } finally {
      await client.end();
    }
    return { reads, longestMs };
  }

  /** Ends after each session's current query; throws what a session has noticed. */
  async stop(): Promise<Readings> {
    this.#stopping.abort();
    const readings = await Promise.all(this.#running);
    return {
      reads: readings.reduce((sum, { reads }) => sum + reads, 0),
      longestMs: Math.max(...readings.map(({ longestMs }) => longestMs)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#running);
  }
}
