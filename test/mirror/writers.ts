/** Applications at the source: several sessions that commit side by side, until told to stop. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Place } from './compare.ts';

/** One transaction of one writer; `round` counts from 0. Statements run in order and are committed together. */
export type Transaction = (writer: number, round: number) => readonly string[];

/** Between two transactions of one writer: a busy application, not a machine that has no time left for anything else. */
const PAUSE_MS = 20;

export class Writers implements AsyncDisposable {
  readonly #stopping = new AbortController();
  readonly #running: readonly Promise<number>[];

  private constructor(clients: readonly Client[], transaction: Transaction) {
    this.#running = clients.map(async (client, writer) => this.#write(client, writer, transaction));
  }

  static async start(place: Place, count: number, transaction: Transaction): Promise<Writers> {
    const { host, port, user } = place.cluster.connection(place.database);
    const { password } = place.cluster;
    const clients = Array.from(
      { length: count },
      () => new Client({ host, port, user, password, database: place.database }),
    );
    await Promise.all(clients.map(async (client) => client.connect()));
    return new Writers(clients, transaction);
  }

  async #write(client: Client, writer: number, transaction: Transaction): Promise<number> {
    let round = 0;
    try {
      for (; !this.#stopping.signal.aborted; round += 1) {
        await client.query('begin');
        for (const statement of transaction(writer, round)) await client.query(statement);
        await client.query('commit');
        await delay(PAUSE_MS);
      }
    } finally {
      await client.end();
    }
    return round;
  }

  /** Ends after each writer's current transaction. Returns how many were committed; throws a writer's error. */
  async stop(): Promise<number> {
    this.#stopping.abort();
    const rounds = await Promise.all(this.#running);
    return rounds.reduce((sum, count) => sum + count, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#running);
  }
}
