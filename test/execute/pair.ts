/** Two databases with sessions on them, and the steps of a plan carried out as far as this floor goes. */
import type { Connection, Mirror, MirrorTable } from '../../src/core/mirror.ts';
import { silentLog } from '../../src/core/log.ts';
import type { ExecuteContext } from '../../src/execute/context.ts';
import type { Outcome } from '../../src/execute/outcome.ts';
import { acceptSpec } from '../../src/execute/ledger-steps.ts';
import { executeProvision } from '../../src/execute/provision.ts';
import { buildIndexes, buildKeys } from '../../src/execute/constraints.ts';
import { observe } from '../../src/observe/observe.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import type { Plan, Step } from '../../src/plan/plan.ts';
import {
  migrateLedger,
  readLedger,
  registerMirror,
  registerTable,
  writeTableState,
} from '../../src/postgres/ledger.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import type { Observed } from '../../src/core/observed.ts';
import { name } from '../plan/fixtures.ts';
import { sharedClusters } from '../servers/shared.ts';

export { name };

/** A table of the file, with the defaults of one that says nothing more. */
export function mirrorTable(source: string, more: Partial<MirrorTable> = {}): MirrorTable {
  return {
    source: name(source),
    destination: name(source),
    excludeColumns: [],
    generation: { table: 0, mirror: 0 },
    resyncStrategy: 'truncate',
    ...more,
  };
}

export class Pair implements AsyncDisposable {
  readonly mirror: Mirror;
  readonly source: Session;
  readonly destination: Session;

  constructor(mirror: Mirror, source: Session, destination: Session) {
    this.mirror = mirror;
    this.source = source;
    this.destination = destination;
  }

  /** Runs SQL with several statements on the source. */
  async onSource(sql: string): Promise<void> {
    await this.source.client.query(sql);
  }

  async onDestination(sql: string): Promise<void> {
    await this.destination.client.query(sql);
  }

  with(change: Partial<Mirror>): Pair {
    return new Pair({ ...this.mirror, ...change }, this.source, this.destination);
  }

  async observe(): Promise<Observed> {
    return observe(this.mirror, this);
  }

  async plan(): Promise<Plan> {
    return planMirror(this.mirror, await this.observe());
  }

  /** Carries out what is planned now; copies are of tables without rows: their keys, then Live. */
  async execute(): Promise<Outcome[]> {
    const observed = await this.observe();
    const owner = { mirror: this.mirror.name, epoch: observed.ledger.mirror?.epoch ?? 0n };
    const ctx: ExecuteContext = {
      mirror: this.mirror,
      source: this.source,
      destination: this.destination,
      observed,
      owner,
      log: silentLog(),
    };
    const outcomes: Outcome[] = [];
    for (const step of planMirror(this.mirror, observed).steps) {
      const outcome = await this.#executeStep(ctx, step);
      if (outcome) outcomes.push(outcome);
    }
    return outcomes;
  }

  async #executeStep(ctx: ExecuteContext, step: Step): Promise<Outcome | undefined> {
    const { destination, owner, mirror } = ctx;
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- the rest is executeProvision's
    switch (step.kind) {
      case 'migrate-ledger':
        await migrateLedger(destination);
        return undefined;
      case 'register-mirror':
        await registerMirror(destination, {
          ...mirror,
          ...owner,
          publication: mirror.publication.name,
          sourceSystemIdentifier: ctx.observed.source.systemIdentifier,
          sourceDatabase: ctx.observed.source.database,
        });
        return undefined;
      case 'register-table':
        await registerTable(destination, owner, step.table);
        return undefined;
      case 'accept-spec':
        await acceptSpec(ctx, step);
        return undefined;
      case 'copy-table':
        await this.#finishCopy(ctx, step);
        return undefined;
      case 'replay-table':
      case 'verify-table':
      case 'cancel-copy':
      case 'drop-shadow':
      case 'adopt-table':
      case 'retire-table':
      case 'release-slot':
      case 'drop-table':
      case 'forget-mirror':
        throw new Error(`${step.kind} is not for these tests`);
      default:
        return executeProvision(ctx, step);
    }
  }

  async #finishCopy(
    ctx: ExecuteContext,
    { table, generation }: Extract<Step, { kind: 'copy-table' }>,
  ): Promise<void> {
    const now = await this.observe();
    const source = now.tables.find((look) => look.source === table.source)?.sourceShape;
    if (!source) throw new Error('nothing to copy');
    await buildKeys(ctx, table, source);
    await buildIndexes(ctx, table, source);
    const { tables } = await readLedger(this.destination, this.mirror.name);
    const record = tables.find((candidate) => candidate.source.name === table.source.name);
    if (!record) throw new Error('the table is not registered');
    await writeTableState(this.destination, ctx.owner, record.id, {
      state: { phase: 'Live' },
      done: { generation, excludeColumns: table.excludeColumns },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source.close();
    await this.destination.close();
  }
}

let made = 0;

/** New databases on the shared servers, and a mirror of those tables between them. */
export async function startPair(tables: readonly MirrorTable[]): Promise<Pair> {
  const clusters = await sharedClusters();
  const source = clusters.source.connection(await clusters.source.createDatabase());
  const destination = clusters.destination.connection(await clusters.destination.createDatabase());
  return openPair(source, destination, tables);
}

export async function openPair(
  source: Connection,
  destination: Connection,
  tables: readonly MirrorTable[],
): Promise<Pair> {
  const mirrorName = `pair_${process.pid}_${++made}`;
  const mirror: Mirror = {
    name: mirrorName,
    specHash: 'sha256:0',
    file: 'mirrors.d/pair.yaml',
    source,
    destination,
    slot: `bunny_${mirrorName}`,
    publication: { name: `bunny_${mirrorName}`, managed: true },
    suspend: false,
    deletionPolicy: 'Retain',
    resyncGeneration: 0,
    replicateIndexes: true,
    replicateForeignKeys: true,
    schemaChanges: 'Apply',
    onSlotLoss: 'Stop',
    maintenanceWindows: [],
    snapshot: {
      initial: true,
      rowsPerPartition: 250_000,
      maxParallelWorkers: 1,
      tablesInParallel: 1,
    },
    cdc: { maxBatchSize: 100_000, idleTimeoutSeconds: 1 },
    tables,
  };
  const options = { mirror: mirrorName, role: 'owner' as const };
  return new Pair(
    mirror,
    await openSession(source, options),
    await openSession(destination, options),
  );
}
