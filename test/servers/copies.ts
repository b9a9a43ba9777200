/** Copies of a stopped cluster's files: a backup to put back, or a standby to promote. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeServerFolder, serverAccount } from './account.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { guardFolder, runQuietly } from './processes.ts';

async function copyFiles(from: string, to: string): Promise<void> {
  await runQuietly('cp', ['-R', `${from}/.`, to], { account: await serverAccount(), cwd: to });
}

/** The data directory of a cluster as it was when it was stopped. */
export class Backup implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #folder: string;
  readonly #dismissGuard: () => void;

  private constructor(cluster: Cluster, folder: string) {
    this.#cluster = cluster;
    this.#folder = folder;
    this.#dismissGuard = guardFolder(folder, 'remove');
  }

  static async take(stopped: Cluster): Promise<Backup> {
    const backup = new Backup(stopped, await makeServerFolder());
    await copyFiles(stopped.dataDirectory, backup.#folder);
    return backup;
  }

  /** What the cluster, which is stopped again, did since then never was. */
  async putBack(): Promise<void> {
    const { dataDirectory } = this.#cluster;
    const account = await serverAccount();
    await runQuietly('find', [dataDirectory, '-mindepth', '1', '-delete'], { account });
    await copyFiles(this.#folder, dataDirectory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    this.#dismissGuard();
  }
}

/** Physical standbys; disposed together. */
export class Standbys implements AsyncDisposable {
  readonly #clusters: Cluster[] = [];

  /** Restarts the primary for a moment. Its slots are copied too, and stay where they are. */
  async add(primary: Cluster): Promise<Cluster> {
    await primary.stop('immediate');
    const dataDirectory = await makeServerFolder();
    await copyFiles(primary.dataDirectory, dataDirectory);
    // A server that was not asked to stop leaves its lock behind.
    await rm(join(dataDirectory, 'postmaster.pid'), { force: true });
    await writeFile(join(dataDirectory, 'standby.signal'), '', { mode: 0o644 });
    const { host, port, user, password } = primary;
    const settings = {
      primary_conninfo: `host=${host} port=${port} user=${user} password=${password}`,
      // What the copied slots need of the catalogs stays.
      hot_standby_feedback: 'on',
      wal_receiver_status_interval: '1s',
    };
    await primary.start();
    const standby = await startCluster({ dataDirectory, settings });
    this.#clusters.push(standby);
    return standby;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const cluster of this.#clusters) await cluster[Symbol.asyncDispose]();
  }
}
