/** Small worlds to plan in: everything has a default, a case names what it is about. */
import type { ErrorCode } from '../../src/core/errors.ts';
import type { Lsn } from '../../src/core/lsn.ts';
import type { Connection, Mirror, MirrorTable } from '../../src/core/mirror.ts';
import type {
  ColumnShape,
  ConstraintShape,
  ForeignKeyShape,
  IndexShape,
  MirrorRecord,
  NeededObject,
  Observed,
  ObservedLedger,
  ObservedPublication,
  ObservedServer,
  ObservedSlot,
  ObservedTable,
  ObservedType,
  ObservedWal,
  PublicationIdentity,
  ReferencingKey,
  SwapObstacle,
  TableShape,
} from '../../src/core/observed.ts';
import { formatTableName, parseTableName, type TableName } from '../../src/core/table-name.ts';
import type { CopyRun, TableFailure, TableRecord, TableState } from '../../src/core/table-state.ts';
import type { Plan, Step } from '../../src/plan/plan.ts';
import { LEDGER_MIGRATIONS } from '../../src/sql/ledger.ts';

export function name(text: string): TableName {
  const parsed = parseTableName(text);
  if (!parsed) throw new Error(`not a table name: ${text}`);
  return parsed;
}

const CONNECTION: Connection = {
  host: 'db',
  port: 5432,
  database: 'shop',
  user: 'bunny',
  sslMode: 'prefer',
};

export function table(source: string, more: Partial<MirrorTable> = {}): MirrorTable {
  return {
    source: name(source),
    destination: name(source),
    excludeColumns: [],
    generation: { table: 0, mirror: 0 },
    resyncStrategy: 'truncate',
    ...more,
  };
}

export function mirror(
  tables: readonly MirrorTable[] = [table('public.users')],
  more: Partial<Mirror> = {},
): Mirror {
  return {
    name: 'shop',
    specHash: 'sha256:0',
    file: 'mirrors.d/shop.yaml',
    source: CONNECTION,
    destination: { ...CONNECTION, host: 'staging' },
    slot: 'bunny_shop',
    publication: { name: 'bunny_shop', managed: true },
    suspend: false,
    deletionPolicy: 'Retain',
    resyncGeneration: 0,
    replicateIndexes: true,
    replicateForeignKeys: true,
    schemaChanges: 'Apply',
    onSlotLoss: 'Stop',
    maintenanceWindows: [],
    snapshot: { initial: true, rowsPerPartition: 1, maxParallelWorkers: 1, tablesInParallel: 1 },
    cdc: { maxBatchSize: 1, idleTimeoutSeconds: 1 },
    tables,
    ...more,
  };
}

export function column(columnName: string, more: Partial<ColumnShape> = {}): ColumnShape {
  return {
    name: columnName,
    attnum: 1,
    type: 'integer',
    baseType: 'integer',
    typeOid: 23,
    builtIn: true,
    notNull: false,
    defaultExpression: undefined,
    generated: 'no',
    identity: 'no',
    collation: undefined,
    touches: [],
    ...more,
  };
}

export const PRIMARY_KEY: ConstraintShape = {
  name: 'users_pkey',
  kind: 'primary key',
  definition: 'PRIMARY KEY (id)',
  columns: ['id'],
  touches: ['id'],
  validated: true,
  indexDefinition: 'USING btree (id)',
};

export const UNIQUE_NOTE: ConstraintShape = {
  name: 'users_note_key',
  kind: 'unique',
  definition: 'UNIQUE (note)',
  columns: ['note'],
  touches: ['note'],
  validated: true,
  indexDefinition: 'USING btree (note)',
};

export const NOTE_INDEX: IndexShape = {
  name: 'users_note_idx',
  unique: false,
  valid: true,
  definition: 'USING btree (note)',
  touches: ['note'],
};

export function foreignKey(
  references: string,
  more: Partial<ForeignKeyShape> = {},
): ForeignKeyShape {
  return {
    name: 'note_fkey',
    columns: ['note'],
    references: name(references),
    definition: '(id)',
    validated: true,
    period: false,
    ...more,
  };
}

/** A table of `id` (the key) and `note`. */
export function shape(tableName: string, more: Partial<TableShape> = {}): TableShape {
  return {
    name: name(tableName),
    oid: 20_000,
    kind: 'table',
    unlogged: false,
    columns: [column('id', { notNull: true }), column('note', { type: 'text' })],
    constraints: [PRIMARY_KEY],
    indexes: [],
    foreignKeys: [],
    replicaIdentity: { kind: 'default', columns: ['id'] },
    sequences: [],
    estimatedRows: 1_000,
    heapBytes: 65_536,
    totalBytes: 131_072,
    readable: true,
    owner: 'shop_owner',
    owned: true,
    rowSecurity: false,
    ...more,
  };
}

export function server(more: Partial<ObservedServer> = {}): ObservedServer {
  return {
    version: 170_004,
    systemIdentifier: '1',
    timeline: 1,
    database: 'shop',
    databaseOid: 16_384,
    encoding: 'UTF8',
    walLevel: 'logical',
    role: { name: 'bunny', superuser: false, replication: true },
    canCreate: true,
    ...more,
  };
}

export const FAILURE: TableFailure = {
  code: 'ConstraintViolated',
  message: 'it broke',
  hint: 'mend it',
  since: '2026-01-01T00:00:00Z',
  attempts: 1,
};

export function run(more: Partial<CopyRun> = {}): CopyRun {
  return {
    id: 'run',
    strategy: 'truncate',
    generation: { table: 0, mirror: 0 },
    startedAt: '2026-01-01T00:00:00Z',
    ...more,
  };
}

export function record(
  source: string,
  state: TableState = { phase: 'Live' },
  more: Partial<TableRecord> = {},
): TableRecord {
  return {
    id: '1',
    source: name(source),
    destination: name(source),
    observed: { table: 0, mirror: 0 },
    state,
    ...more,
  };
}

export const PUBLICATION_IDENTITY: PublicationIdentity = { oid: '30000', xmin: '700', owner: '10' };

export const MIRROR_RECORD: MirrorRecord = {
  name: 'shop',
  slot: 'bunny_shop',
  publication: 'bunny_shop',
  slotState: 'created',
  sourceSystemIdentifier: '1',
  sourceDatabase: 'shop',
  sourceTimeline: 1,
  publicationIdentity: PUBLICATION_IDENTITY,
  specHash: 'sha256:0',
  appliedLsn: 1_000n as Lsn,
  epoch: 1n,
};

export const SLOT: ObservedSlot = {
  plugin: 'pgoutput',
  database: 'shop',
  active: true,
  confirmedFlushLsn: 1_000n as Lsn,
  walStatus: 'reserved',
  retainedBytes: 0,
};

export function publication(
  tables: readonly string[],
  more: Partial<ObservedPublication> = {},
): ObservedPublication {
  return {
    identity: PUBLICATION_IDENTITY,
    tables: tables.map(name),
    allTables: false,
    viaPartitionRoot: true,
    operations: ['insert', 'update', 'delete', 'truncate'],
    partial: [],
    ...more,
  };
}

/** One table of the world: by default there, alike and Live on both sides. */
export interface World {
  readonly tables?: Readonly<Record<string, WorldTable>>;
  readonly source?: Partial<ObservedServer>;
  readonly sourceWal?: Partial<ObservedWal>;
  readonly destination?: Partial<ObservedServer>;
  readonly slot?: ObservedSlot | undefined;
  readonly publication?: ObservedPublication | undefined;
  readonly mirrorRecord?: MirrorRecord | undefined;
  readonly ledger?: Partial<ObservedLedger>;
  readonly schemas?: readonly string[];
  readonly shadows?: readonly string[];
}

export interface WorldTable {
  readonly destination?: string;
  readonly sourceShape?: TableShape | undefined;
  readonly memberships?: readonly string[];
  readonly destinationShape?: TableShape | undefined;
  readonly hasRows?: boolean;
  readonly types?: readonly ObservedType[];
  readonly missingObjects?: readonly NeededObject[];
  readonly nameTakenBy?: string;
  readonly swapObstacles?: readonly SwapObstacle[];
  readonly emptyObstacles?: readonly SwapObstacle[];
  readonly foreignKeysTo?: readonly ReferencingKey[];
  readonly record?: TableRecord | undefined;
}

/** Everything Live and as the file says, but for what the world names. */
export function observed(world: World = {}): Observed {
  const tables = Object.entries(world.tables ?? { 'public.users': {} });
  const looks = tables.map(([source, look]): ObservedTable => {
    const destination = look.destination ?? source;
    return {
      source: name(source),
      destination: name(destination),
      sourceShape: 'sourceShape' in look ? look.sourceShape : shape(source),
      memberships: look.memberships ?? ['table 40000'],
      destinationShape: 'destinationShape' in look ? look.destinationShape : shape(destination),
      destinationHasRows: look.hasRows,
      types: look.types ?? [],
      missingObjects: look.missingObjects ?? [],
      ...(look.nameTakenBy === undefined ? {} : { nameTakenBy: look.nameTakenBy }),
      swapObstacles: look.swapObstacles ?? [],
      emptyObstacles: look.emptyObstacles ?? [],
      foreignKeysTo: look.foreignKeysTo ?? [],
    };
  });
  const records = tables.flatMap(([source, look]) =>
    'record' in look
      ? look.record === undefined
        ? []
        : [look.record]
      : [record(source, undefined, { destination: name(look.destination ?? source) })],
  );
  return {
    at: '2026-01-01T00:00:00.000Z',
    source: server(world.source),
    sourceWal: { lsn: 2_000n as Lsn, timelineEnd: undefined, ...world.sourceWal },
    destination: server({ systemIdentifier: '2', ...world.destination }),
    slot: 'slot' in world ? world.slot : SLOT,
    publication:
      'publication' in world ? world.publication : publication(tables.map(([source]) => source)),
    ledger: {
      version: LEDGER_MIGRATIONS.length,
      mirror: 'mirrorRecord' in world ? world.mirrorRecord : MIRROR_RECORD,
      tables: records,
      savedForeignKeys: [],
      ...world.ledger,
    },
    destinationSchemas: world.schemas ?? ['public', 'bunnydb'],
    shadows: world.shadows ?? [],
    tables: looks,
  };
}

/** A step in few words: its kind and what it is about. */
export function sketch(step: Step): string {
  switch (step.kind) {
    case 'copy-table':
      return `copy-table ${formatTableName(step.table.source)} ${step.reason} ${step.strategy} ${step.generation.table}/${step.generation.mirror}`;
    case 'alter-publication':
      return `alter-publication +[${step.add.map(formatTableName).join(' ')}] -[${step.drop.map(formatTableName).join(' ')}]`;
    case 'create-publication':
      return `create-publication [${step.tables.map(formatTableName).join(' ')}]`;
    case 'create-slot':
      return step.adopt ? 'create-slot adopt' : 'create-slot';
    case 'create-schema':
      return `create-schema ${step.schema}`;
    case 'create-type':
      return `create-type ${formatTableName(step.type.name)}`;
    case 'create-sequence':
      return `create-sequence ${step.sequence.name.name}`;
    case 'create-constraint':
      return `create-constraint ${step.constraint.name}`;
    case 'create-index':
      return `create-index ${step.index.name}`;
    case 'add-foreign-key':
      return `add-foreign-key ${step.foreignKey.name} to ${formatTableName(step.references)}`;
    case 'restore-foreign-key':
      return `restore-foreign-key ${step.saved.name}`;
    case 'validate-foreign-key':
      return `validate-foreign-key ${step.name}`;
    case 'retire-table':
      return `retire-table ${formatTableName(step.record.source)}${step.drop ? ' drop' : ''}`;
    case 'create-table':
    case 'publish-table':
    case 'register-table':
    case 'replay-table':
    case 'verify-table':
    case 'cancel-copy':
    case 'drop-shadow':
    case 'adopt-table':
      return `${step.kind} ${formatTableName(step.table.source)}`;
    case 'drop-table':
      return `drop-table ${formatTableName(step.record.destination)}`;
    case 'drop-publication':
      return `drop-publication ${step.name}`;
    case 'migrate-ledger':
    case 'register-mirror':
    case 'reset-slot':
    case 'record-source':
    case 'accept-spec':
    case 'release-slot':
    case 'forget-mirror':
      return step.kind;
  }
}

export interface Sketch {
  readonly steps?: readonly string[];
  /** `Code` of the mirror, `Code schema.table` of a table. */
  readonly refusals?: readonly string[];
  readonly notices?: readonly string[];
}

export function sketchPlan(plan: Plan): Required<Sketch> {
  return {
    steps: plan.steps.map(sketch),
    refusals: plan.refusals.map((refusal) =>
      [
        refusal.error.code satisfies ErrorCode,
        refusal.table && formatTableName(refusal.table.source),
      ]
        .filter((part) => part !== undefined)
        .join(' '),
    ),
    notices: plan.notices.map((notice) => notice.reason),
  };
}
