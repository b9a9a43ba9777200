/** The two servers that the tests of one file share; each test makes its own databases in them. */
import { after } from 'node:test';
import { type Cluster, startCluster } from './cluster.ts';

export interface SharedClusters {
  readonly source: Cluster;
  readonly destination: Cluster;
}

let shared: Promise<SharedClusters> | undefined;

/** Starts the two servers at the first call. They stop after the file's last test. */
export function sharedClusters(): Promise<SharedClusters> {
  return (shared ??= startBoth());
}

async function startBoth(): Promise<SharedClusters> {
  const [source, destination] = await Promise.all([startCluster(), startCluster()]);
  return { source, destination };
}

// Here, and not in sharedClusters(): called inside a test, `after` would belong to that test alone.
after(async () => {
  const started = await shared?.catch(() => undefined);
  if (started === undefined) return;
  const { source, destination } = started;
  await Promise.all([source[Symbol.asyncDispose](), destination[Symbol.asyncDispose]()]);
});
