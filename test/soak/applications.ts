/** Applications at the source: sessions that commit side by side. What they decide to do is the seed's. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import type { Place } from '../mirror/compare.ts';
import type { Random } from './random.ts';
import { nextWork } from './shop.ts';

const APPLICATIONS = 4;
const PAUSE_MS = 15;
const DEADLOCK = '40P01';

interface Writer {
  readonly own: number;
  readonly random: Random;
  round: number;
}

export class Applications implements AsyncDisposable {
  /** Transactions with a row in history. */
  commits = 0;
  givenUp = 0;
  deadlocks = 0;
  readonly #place: Place;
  readonly #writers: readonly Writer[];
  #stopping = new AbortController();
  #running: readonly Promise<void>[] = [];

  constructor(place: Place, random: Random) {
    this.#place = place;
    this.#writers = Array.from({ length: APPLICATIONS }, (_, index) => ({
      own: index + 1,
      random: random.fork(`writer ${index + 1}`),
      round: 0,
    }));
  }

  /** Also after stop(): they go on where they were. `onFailed` is called with an error that no application expects. */
  start(onFailed: (error: unknown) => void): void {
    this.#stopping = new AbortController();
    const { signal } = this.#stopping;
    this.#running = this.#writers.map(async (writer) =>
      this.#write(writer, signal).catch(onFailed),
    );
  }

  /** Returns when each has ended its current transaction. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #write(writer: Writer, signal: AbortSignal): Promise<void> {
    const { cluster, database } = this.#place;
    const { host, port, user } = cluster.connection(database);
    const client = new Client({ host, port, user, password: cluster.password, database });
    await client.connect();
    try {
      while (!signal.aborted) {
        await this.#transaction(client, writer);
        await delay(PAUSE_MS);
      }
    } finally {
      await client.end();
    }
  }

  async #transaction(client: Client, writer: Writer): Promise<void> {
    const { own, random } = writer;
    const { statements, isGivenUp } = nextWork(random, own, writer.round);
    writer.round += 1;
    try {
      await client.query('begin');
      for (const statement of statements) await client.query(statement);
      await client.query(isGivenUp ? 'rollback' : 'commit');
    } catch (error) {
      if (!(error instanceof DatabaseError && error.code === DEADLOCK)) throw error;
      await client.query('rollback');
      this.deadlocks += 1;
      return;
    }
    if (isGivenUp) this.givenUp += 1;
    else this.commits += 1;
  }
}
