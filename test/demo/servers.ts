/** The demo's two servers, on the ports of the shipped mirror files when those are free. */
import { type Cluster, isPortFree, startCluster } from '../servers/cluster.ts';
import { BUNNY, SHOP } from './shop.ts';

const SOURCE_PORT = 5433;
const DESTINATION_PORT = 5434;

/** Dispose it to stop both and remove their data. */
export interface DemoServers extends AsyncDisposable {
  readonly source: Cluster;
  readonly destination: Cluster;
}

export async function startServers(): Promise<DemoServers> {
  const [source, destination] = await Promise.allSettled([
    startNear(SOURCE_PORT),
    startNear(DESTINATION_PORT),
  ]);
  if (source.status === 'fulfilled' && destination.status === 'fulfilled') {
    const both = [source.value, destination.value];
    return {
      source: source.value,
      destination: destination.value,
      [Symbol.asyncDispose]: async () => {
        await Promise.all(both.map(async (cluster) => cluster[Symbol.asyncDispose]()));
      },
    };
  }
  for (const result of [source, destination])
    if (result.status === 'fulfilled') await result.value[Symbol.asyncDispose]();
  throw source.status === 'rejected'
    ? source.reason
    : (destination as PromiseRejectedResult).reason;
}

async function startNear(port: number): Promise<Cluster> {
  return startCluster((await isPortFree(port)) ? { port } : {});
}

/** For psql. The password is the demo's, and no secret. */
export function urlOf({ host, port }: Cluster): string {
  return `postgresql://${BUNNY.user}:${BUNNY.password}@${host}:${port}/${SHOP}`;
}
