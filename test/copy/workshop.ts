/** A table to copy between two real servers, and a job that does it. */
import type { Mirror } from '../../src/core/mirror.ts';
import { copyTable, type CopyJob } from '../../src/copy/copy-table.ts';
import { SourceSnapshot } from '../../src/copy/snapshot.ts';
import { openSession, type Row, type Session } from '../../src/postgres/session.ts';
import { mirror, name } from '../plan/fixtures.ts';
import { type SharedClusters, sharedClusters } from '../servers/shared.ts';

export const TABLE = name('public.t');

interface Databases {
  readonly clusters: SharedClusters;
  readonly source: string;
  readonly destination: string;
}

export class Workshop implements AsyncDisposable {
  readonly mirror: Mirror;
  readonly catalog: Session;
  readonly #databases: Databases;

  private constructor(databases: Databases, catalog: Session, spec: Mirror) {
    this.#databases = databases;
    this.catalog = catalog;
    this.mirror = spec;
  }

  static async open(schema: string, destination = schema): Promise<Workshop> {
    const clusters = await sharedClusters();
    const databases = {
      clusters,
      source: await clusters.source.createDatabase(),
      destination: await clusters.destination.createDatabase(),
    };
    const spec = mirror([], {
      source: clusters.source.connection(databases.source),
      destination: clusters.destination.connection(databases.destination),
    });
    const catalog = await openSession(spec.source, { mirror: spec.name, role: 'observer' });
    const workshop = new Workshop(databases, catalog, spec);
    await workshop.atSource(schema);
    await workshop.atDestination(destination);
    return workshop;
  }

  async atSource(sql: string): Promise<Row[]> {
    return this.#databases.clusters.source.query(this.#databases.source, sql);
  }

  async atDestination(sql: string): Promise<Row[]> {
    return this.#databases.clusters.destination.query(this.#databases.destination, sql);
  }

  /** Takes a snapshot and copies `public.t` from it, two workers, small ranges. */
  async copy(job: Partial<CopyJob> = {}): Promise<number> {
    await using snapshot = await SourceSnapshot.take(this.mirror);
    return await this.copyFrom(snapshot, job);
  }

  async copyFrom(snapshot: SourceSnapshot, job: Partial<CopyJob> = {}): Promise<number> {
    return copyTable({
      snapshot,
      source: TABLE,
      target: TABLE,
      columns: ['id', 'v'],
      partitioned: false,
      format: 'binary',
      rowsPerPartition: 500,
      maxWorkers: 2,
      openWriter: async () => this.openWriter(),
      catalog: this.catalog,
      fence: async () => undefined,
      onProgress: () => undefined,
      signal: new AbortController().signal,
      ...job,
    });
  }

  async openWriter(): Promise<Session> {
    return openSession(this.mirror.destination, { mirror: this.mirror.name, role: 'copier' });
  }

  /** Count and checksum of all rows. */
  async digests(): Promise<{ readonly source: string; readonly destination: string }> {
    const [source] = await this.atSource(DIGEST);
    const [destination] = await this.atDestination(DIGEST);
    return { source: source?.['digest'] ?? '', destination: destination?.['digest'] ?? '' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.catalog.close();
    const { clusters, source, destination } = this.#databases;
    await clusters.source.dropDatabase(source);
    await clusters.destination.dropDatabase(destination);
  }
}

export const DIGEST = `select count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' order by t::text)), '') as digest from public.t as t`;
