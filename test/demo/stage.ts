/** All that is on stage during the demo, and what is seen of it. */
import type { Cluster } from '../servers/cluster.ts';
import { countRows } from './compare.ts';
import type { Daemon } from '../servers/daemon.ts';
import type { View } from './screen.ts';
import { urlOf } from './servers.ts';
import { BUNNY } from './shop.ts';
import { readStatus } from './status.ts';
import type { Workspace } from './workspace.ts';
import type { ShopWriter } from './writer.ts';

/** Counting reads all rows: more often would take the processor from what is shown. */
const COUNT_INTERVAL_MS = 2000;

export interface Stage {
  readonly source: Cluster;
  readonly destination: Cluster;
  readonly workspace: Workspace;
  readonly daemon: Daemon;
  readonly writer: ShopWriter;
}

interface Counts {
  readonly sourceRows: ReadonlyMap<string, number>;
  readonly copyRows: ReadonlyMap<string, number>;
  readonly countedAt: number;
}

let counts: Counts | undefined;

/** What there is to see now. Row counts are up to two seconds old. */
export async function makeView(stage: Stage): Promise<View> {
  if (counts === undefined || Date.now() - counts.countedAt > COUNT_INTERVAL_MS)
    counts = await count(stage);
  const { workspace, source, destination, writer } = stage;
  return {
    status: await readStatus(workspace.statusFile),
    writesPerSecond: writer.perSecond,
    sourceRows: counts.sourceRows,
    copyRows: counts.copyRows,
    places: {
      mirrorDirectory: workspace.mirrorDirectory,
      mirrorFile: workspace.mirrorFile,
      statusFile: workspace.statusFile,
      daemonLog: workspace.daemonLog,
      sourceUrl: urlOf(source),
      copyUrl: urlOf(destination),
      copyPassword: BUNNY.password,
    },
  };
}

async function count({ source, destination }: Stage): Promise<Counts> {
  const [sourceRows, copyRows] = await Promise.all([countRows(source), countRows(destination)]);
  return { sourceRows, copyRows, countedAt: Date.now() };
}
