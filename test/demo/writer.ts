/** The live writes on the source: customers who order, pay, change their minds. */
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import type { Cluster } from '../servers/cluster.ts';
import { CUSTOMERS, ORDERS, PRODUCTS, SHOP } from './shop.ts';

const TRANSACTIONS_PER_SECOND = 50;
const INTERVAL_MS = 1000 / TRANSACTIONS_PER_SECOND;
/** When somebody tries out what happens without the source. */
const RECONNECT_DELAY_MS = 1000;
/** The rate on the screen is the mean of these last seconds. */
const RATE_WINDOW_MS = 3000;

/** Writes about 50 transactions a second until it is stopped. Dispose it to stop it. */
export class ShopWriter implements AsyncDisposable {
  readonly #source: Cluster;
  readonly #commits: number[] = [];
  #count = 0;
  #running: Promise<void> | undefined;
  #stop = new AbortController();

  constructor(source: Cluster) {
    this.#source = source;
  }

  /** Transactions committed so far. */
  get transactions(): number {
    return this.#count;
  }

  /** Commits per second, over the last few seconds. */
  get perSecond(): number {
    const since = Date.now() - RATE_WINDOW_MS;
    while ((this.#commits[0] ?? since) < since) this.#commits.shift();
    return (this.#commits.length * 1000) / RATE_WINDOW_MS;
  }

  start(): void {
    if (this.#running !== undefined) return;
    this.#stop = new AbortController();
    this.#running = this.#run(this.#stop.signal);
  }

  /** Resolves when the last transaction is committed. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#running = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const failed = await this.#writeUntil(signal).then(
        () => false,
        () => true,
      );
      if (failed) await pause(RECONNECT_DELAY_MS, signal);
    }
  }

  /** Throws when the connection breaks. */
  async #writeUntil(signal: AbortSignal): Promise<void> {
    const { host, port, user, password } = this.#source;
    const client = new Client({
      host,
      port,
      user,
      password,
      database: SHOP,
      application_name: 'shop writer',
    });
    client.on('error', () => undefined);
    await client.connect();
    try {
      for (
        let next = Date.now();
        !signal.aborted;
        next = Math.max(Date.now(), next + INTERVAL_MS)
      ) {
        await pause(next - Date.now(), signal);
        const { text, values } = transactionFor(this.#count);
        await client.query(text, values);
        this.#count++;
        this.#commits.push(Date.now());
      }
    } finally {
      await client.end();
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
}

interface Transaction {
  readonly text: string;
  readonly values: readonly number[];
}

/** What the nth transaction does: half of them order, the rest change or delete. */
export function transactionFor(n: number): { text: string; values: number[] } {
  const { text, values } = choose(n);
  return { text, values: [...values] };
}

function choose(n: number): Transaction {
  const turn = n % 20;
  if (turn < 10) return { text: PLACE_ORDER, values: [n, 1 + (n % 3)] };
  if (turn < 16) return { text: ADVANCE_ORDER, values: [(n * 7919) % ORDERS] };
  if (turn < 18) return { text: DELETE_ORDER, values: [(n * 31) % ORDERS] };
  if (turn < 19) return { text: CHANGE_PREFERENCES, values: [1 + ((n * 7919) % CUSTOMERS), n] };
  return { text: CHANGE_PRICE, values: [1 + ((n * 31) % PRODUCTS)] };
}

const PLACE_ORDER = /* sql */ `
  with placed as (
    insert into public.orders (customer_id, note)
    values (1 + $1::int % ${CUSTOMERS}, 'order of transaction ' || $1::int)
    returning id, customer_id
  ), filled as (
    insert into public.order_items (order_id, line, product_id, quantity, unit_price)
    select placed.id, line, product.id, line, product.price
    from placed, generate_series(1, $2::int) as line
    join public.products as product on product.id = 1 + ($1::int * 31 + line * 7919) % ${PRODUCTS}
  )
  insert into public.events (happened_at, kind, payload)
  select now(), 'order_placed', jsonb_build_object('order', id, 'customer', customer_id) from placed`;

const ADVANCE_ORDER = /* sql */ `
  update public.orders
  set status = case status
    when 'new' then 'paid' when 'paid' then 'packed' when 'packed' then 'shipped' else 'returned'
  end::public.order_status
  where id = (select id from public.orders where id >= $1 order by id limit 1)`;

const DELETE_ORDER = /* sql */ `
  delete from public.orders
  where id = (select id from public.orders where id >= $1 order by id limit 1)`;

const CHANGE_PREFERENCES = /* sql */ `
  update public.customers
  set preferences = preferences || jsonb_build_object('seen', $2::int)
  where id = $1`;

/** The description stays as it is: a long one is then not in the WAL at all. */
const CHANGE_PRICE = /* sql */ `
  update public.products set price = round(price * 1.01, 2) where id = $1`;
