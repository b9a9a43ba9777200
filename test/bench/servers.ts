/** The two servers of a bench: equal, and durable as in production. */
import { type Cluster, startCluster } from '../servers/cluster.ts';
import { until } from '../servers/processes.ts';

/** The same for both, and so for everything that is compared. Printed with the figures. */
export const SETTINGS: Readonly<Record<string, string>> = {
  fsync: 'on',
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  checkpoint_timeout: '30min',
  // It would start in the middle of one run and not of the next.
  autovacuum: 'off',
  wal_level: 'logical',
};

const WAIT_TIMEOUT_MS = 600_000;

export interface BenchContext {
  readonly source: Cluster;
  readonly destination: Cluster;
  readonly runs: number;
  readonly signal: AbortSignal;
  /** Progress, for whoever waits; the figures come at the end. */
  readonly say: (line: string) => void;
}

export interface Servers extends AsyncDisposable {
  readonly source: Cluster;
  readonly destination: Cluster;
}

/** Both stop when `signal` is aborted: what waits for a statement then fails, and everything is left in order. */
export async function startServers(signal: AbortSignal): Promise<Servers> {
  const source = await startCluster({ settings: SETTINGS });
  const destination = await startCluster({ settings: SETTINGS }).catch(async (error: unknown) => {
    await source[Symbol.asyncDispose]();
    throw error;
  });
  const both = [source, destination];
  const stop = (): void => {
    for (const cluster of both)
      cluster.stop('immediate').catch((error: unknown) => console.error(error));
  };
  signal.addEventListener('abort', stop, { once: true });
  return {
    source,
    destination,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(both.map(async (cluster) => cluster[Symbol.asyncDispose]()));
    },
  };
}

/** Nothing that an earlier run left to be written is written during the next. */
export async function settle({ source, destination }: BenchContext): Promise<void> {
  await Promise.all([
    source.query('postgres', 'checkpoint'),
    destination.query('postgres', 'checkpoint'),
  ]);
}

/** Looks every 20 ms. Throws after ten minutes with `what`, and at once when the bench is being ended. */
export async function reached(
  { signal }: BenchContext,
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  const checked = async (): Promise<boolean> => {
    signal.throwIfAborted();
    return condition();
  };
  await until(checked, {
    timeoutMs: WAIT_TIMEOUT_MS,
    late: async () => new Error(`not in time: ${what}`),
  });
}

/** A new source database for each: one run's dead rows do not slow down the next. */
export async function withSource<T>(
  context: BenchContext,
  tables: { readonly create: string; readonly fill: string },
  measure: (context: BenchContext, database: string) => Promise<T>,
): Promise<T> {
  const { source } = context;
  const database = await source.createDatabase();
  await source.query(database, `${tables.create}; ${tables.fill}`);
  await source.query(database, 'vacuum (freeze, analyze)');
  const result = await measure(context, database);
  await source.dropDatabase(database);
  return result;
}
