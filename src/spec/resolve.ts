import type {
  Connection,
  MaintenanceWindow,
  Mirror,
  MirrorTable,
  Weekday,
} from '../core/mirror.ts';
import { parseTableName, type TableName } from '../core/table-name.ts';
import type {
  ConnectionSpec,
  MirrorDocument,
  MirrorSpec,
  TableSpec,
  WindowSpec,
} from './document.ts';
import { hashSpec } from './hash.ts';

/**
 * Turns a checked document into the Mirror that the daemon works from: peers looked up, defaults
 * filled in. The defaults are those of the schema; a test compares the two. Throws on a document
 * that was not checked, which is a bug.
 */
export function resolveMirror(
  { metadata: { name }, spec }: MirrorDocument,
  peers: ReadonlyMap<string, ConnectionSpec>,
  file: string,
): Mirror {
  const { snapshot = {}, cdc = {} } = spec;
  const ownName = `bunny_${name}`;
  return {
    name,
    specHash: hashSpec(spec, peers),
    file,
    source: resolveConnection(spec.source, peers),
    destination: resolveConnection(spec.destination, peers),
    slot: ownName,
    publication: { name: spec.publication ?? ownName, managed: spec.publication === undefined },
    suspend: spec.suspend ?? false,
    ...(spec.suspendReason === undefined ? {} : { suspendReason: spec.suspendReason }),
    deletionPolicy: spec.deletionPolicy ?? 'Retain',
    resyncGeneration: spec.resyncGeneration ?? 0,
    replicateIndexes: spec.replicateIndexes ?? true,
    replicateForeignKeys: spec.replicateForeignKeys ?? true,
    schemaChanges: spec.schemaChanges ?? 'Apply',
    onSlotLoss: spec.onSlotLoss ?? 'Stop',
    maintenanceWindows: (spec.maintenanceWindows ?? []).map(resolveWindow),
    snapshot: {
      initial: snapshot.initial ?? true,
      rowsPerPartition: snapshot.rowsPerPartition ?? 250_000,
      maxParallelWorkers: snapshot.maxParallelWorkers ?? 4,
      tablesInParallel: snapshot.tablesInParallel ?? 4,
    },
    cdc: {
      maxBatchSize: cdc.maxBatchSize ?? 100_000,
      idleTimeoutSeconds: cdc.idleTimeoutSeconds ?? 1,
    },
    tables: spec.tables.map((table) => resolveTable(table, spec)),
  };
}

function resolveTable(table: TableSpec, spec: MirrorSpec): MirrorTable {
  return {
    source: readTableName(table.source),
    destination: readTableName(table.destination ?? table.source),
    excludeColumns: table.excludeColumns ?? [],
    generation: { table: table.resyncGeneration ?? 0, mirror: spec.resyncGeneration ?? 0 },
    resyncStrategy: table.resyncStrategy ?? spec.resyncStrategy ?? 'truncate',
  };
}

const EVERY_DAY: readonly Weekday[] = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

function resolveWindow({ days, start, duration, timeZone }: WindowSpec): MaintenanceWindow {
  const [, hours, minutes] = /^(?:(\d+)h)?(?:(\d+)m)?$/.exec(duration) ?? [];
  return {
    days: days ?? EVERY_DAY,
    start,
    durationMinutes: Number(hours ?? 0) * 60 + Number(minutes ?? 0),
    timeZone: timeZone ?? 'UTC',
  };
}

/** A Peer's name or a connection, with the defaults filled in. */
export function resolveConnection(
  end: string | ConnectionSpec,
  peers: ReadonlyMap<string, ConnectionSpec>,
): Connection {
  const written = typeof end === 'string' ? peers.get(end) : end;
  if (written === undefined) throw new Error(`peer ${JSON.stringify(end)} was not checked`);
  return { ...written, port: written.port ?? 5432, sslMode: written.sslMode ?? 'prefer' };
}

function readTableName(text: string): TableName {
  const name = parseTableName(text);
  if (name === undefined) throw new Error(`table name ${JSON.stringify(text)} was not checked`);
  return name;
}
