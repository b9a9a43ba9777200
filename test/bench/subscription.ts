/** The anchor of the stream: PostgreSQL's own logical replication, as durable as bunnydb: it waits for the disk. */
import { quoteLiteral } from '../../src/sql/quote.ts';
import { type BenchContext, reached } from './servers.ts';

/** Whether a large transaction is applied from its commit on, or while it runs. */
export type Streaming = 'off' | 'parallel';

let subscriptionsMade = 0;

export interface SubscribedTables {
  readonly names: readonly string[];
  /** Makes them, empty and with their keys. */
  readonly create: string;
  readonly streaming: Streaming;
}

export class Subscription implements AsyncDisposable {
  /** The destination's database, made for this subscription. */
  readonly database: string;
  readonly #context: BenchContext;
  readonly #sourceDatabase: string;
  readonly #name = `anchor_${++subscriptionsMade}`;

  private constructor(context: BenchContext, sourceDatabase: string, database: string) {
    this.#context = context;
    this.#sourceDatabase = sourceDatabase;
    this.database = database;
  }

  /** Returns when the tables are copied and follow the source. */
  static async create(
    context: BenchContext,
    sourceDatabase: string,
    tables: SubscribedTables,
  ): Promise<Subscription> {
    const { source, destination } = context;
    const database = await destination.createDatabase();
    const subscription = new Subscription(context, sourceDatabase, database);
    const name = subscription.#name;
    await destination.query(database, tables.create);
    await source.query(
      sourceDatabase,
      `create publication ${name} for table ${tables.names.join(', ')}`,
    );
    await destination.query(
      database,
      `create subscription ${name} connection ${quoteLiteral(subscription.#connection())} publication ${name}
       with (synchronous_commit = on, streaming = ${tables.streaming})`,
    );
    await subscription.#untilFollowing();
    return subscription;
  }

  /**
   * One table afresh, as its manual has it: out of the publication, emptied, and in again with its rows.
   * Returns when the table follows the source again.
   */
  async resync(table: string): Promise<void> {
    const { source, destination } = this.#context;
    const atSource = async (sql: string): Promise<unknown> =>
      source.query(this.#sourceDatabase, sql);
    const atDestination = async (sql: string): Promise<unknown> =>
      destination.query(this.database, sql);
    await atSource(`alter publication ${this.#name} drop table ${table}`);
    await atDestination(`alter subscription ${this.#name} refresh publication`);
    await atDestination(`truncate ${table}`);
    await atSource(`alter publication ${this.#name} add table ${table}`);
    await atDestination(
      `alter subscription ${this.#name} refresh publication with (copy_data = true)`,
    );
    await this.#untilFollowing();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { source, destination } = this.#context;
    // Drops its slot at the source too.
    await destination.query(this.database, `drop subscription ${this.#name}`);
    await source.query(this.#sourceDatabase, `drop publication ${this.#name}`);
    await destination.dropDatabase(this.database);
  }

  async #untilFollowing(): Promise<void> {
    await reached(this.#context, 'a subscription that follows', async () => {
      const waiting = `select 1 as found from pg_subscription_rel where srsubstate <> 'r'`;
      return (await this.#context.destination.query(this.database, waiting)).length === 0;
    });
  }

  #connection(): string {
    const { host, port, user, password } = this.#context.source;
    return `host=${host} port=${port} user=${user} password=${password} dbname=${this.#sourceDatabase} sslmode=disable`;
  }
}
