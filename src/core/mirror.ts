import type { TableName } from './table-name.ts';

/** Where a password comes from. Resolved again at each connect, never kept. */
export type SecretReference = { readonly env: string } | { readonly file: string };

export type SslMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';

/** How to reach one database. Holds no secret, only where to find it. */
export interface Connection {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  readonly user: string;
  readonly password?: SecretReference;
  readonly sslMode: SslMode;
  /** Paths of PEM files. */
  readonly sslRootCert?: string;
  readonly sslCert?: string;
  readonly sslKey?: string;
}

/** How a resync replaces the rows: in place, or in a shadow table that takes the old one's place. */
export type ResyncStrategy = 'truncate' | 'swap';

/** The two counters that can ask for a resync of one table: its own and its mirror's. */
export interface Generation {
  readonly table: number;
  readonly mirror: number;
}

export type Weekday = 'Mon' | 'Tue' | 'Wed' | 'Thu' | 'Fri' | 'Sat' | 'Sun';

/** A stretch of the week in which resyncs may begin and swap. */
export interface MaintenanceWindow {
  /** On which it opens. */
  readonly days: readonly Weekday[];
  /** `HH:MM`, in timeZone. */
  readonly start: string;
  /** Up to several days. */
  readonly durationMinutes: number;
  /** IANA name. */
  readonly timeZone: string;
}

/** One row of `spec.tables`, with its defaults and the mirror's filled in. */
export interface MirrorTable {
  readonly source: TableName;
  readonly destination: TableName;
  readonly excludeColumns: readonly string[];
  readonly generation: Generation;
  readonly resyncStrategy: ResyncStrategy;
}

/** A mirror file after validation: peers looked up, defaults filled in. What the daemon works from. */
export interface Mirror {
  readonly name: string;
  /** `sha256:<hex>` of the spec as the user wrote it, comments, key order and defaults left out. */
  readonly specHash: string;
  /** The path it was read from, for messages only: the name is the identity. */
  readonly file: string;
  readonly source: Connection;
  readonly destination: Connection;
  readonly slot: string;
  /** `managed` false: a DBA made it and owns it; it is never altered or dropped. */
  readonly publication: { readonly name: string; readonly managed: boolean };
  readonly suspend: boolean;
  /** Why, in the words of whoever suspended it; for messages only. */
  readonly suspendReason?: string;
  readonly deletionPolicy: 'Retain' | 'Delete';
  readonly resyncGeneration: number;
  readonly replicateIndexes: boolean;
  readonly replicateForeignKeys: boolean;
  readonly schemaChanges: 'Apply' | 'Stop';
  readonly onSlotLoss: 'Stop' | 'Resync';
  /** Empty: at any time. */
  readonly maintenanceWindows: readonly MaintenanceWindow[];
  readonly snapshot: SnapshotLimits;
  readonly cdc: CdcLimits;
  readonly tables: readonly MirrorTable[];
}

export interface SnapshotLimits {
  readonly initial: boolean;
  readonly rowsPerPartition: number;
  /** Copy workers inside one table. */
  readonly maxParallelWorkers: number;
  readonly tablesInParallel: number;
}

export interface CdcLimits {
  /** Changes in one destination transaction, at most; a larger source transaction is never split over two. */
  readonly maxBatchSize: number;
  readonly idleTimeoutSeconds: number;
}
