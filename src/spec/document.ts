/** The documents as users write them: what the schemas accept, before defaults. */
import type { ResyncStrategy, SecretReference, SslMode, Weekday } from '../core/mirror.ts';

export interface ConnectionSpec {
  readonly host: string;
  readonly port?: number;
  readonly database: string;
  readonly user: string;
  readonly password?: SecretReference;
  readonly sslMode?: SslMode;
  readonly sslRootCert?: string;
  readonly sslCert?: string;
  readonly sslKey?: string;
}

export interface TableSpec {
  readonly source: string;
  readonly destination?: string;
  readonly excludeColumns?: readonly string[];
  readonly resyncGeneration?: number;
  readonly resyncStrategy?: ResyncStrategy;
}

export interface MirrorSpec {
  /** A Peer's name, or a connection. */
  readonly source: string | ConnectionSpec;
  readonly destination: string | ConnectionSpec;
  readonly suspend?: boolean;
  readonly suspendReason?: string;
  readonly deletionPolicy?: 'Retain' | 'Delete';
  readonly resyncStrategy?: ResyncStrategy;
  readonly resyncGeneration?: number;
  readonly replicateIndexes?: boolean;
  readonly replicateForeignKeys?: boolean;
  readonly schemaChanges?: 'Apply' | 'Stop';
  readonly onSlotLoss?: 'Stop' | 'Resync';
  readonly maintenanceWindows?: readonly WindowSpec[];
  readonly publication?: string;
  readonly snapshot?: {
    readonly initial?: boolean;
    readonly rowsPerPartition?: number;
    readonly maxParallelWorkers?: number;
    readonly tablesInParallel?: number;
  };
  readonly cdc?: { readonly maxBatchSize?: number; readonly idleTimeoutSeconds?: number };
  readonly tables: readonly TableSpec[];
}

export interface WindowSpec {
  readonly days?: readonly Weekday[];
  readonly start: string;
  /** `4h`, `90m`, `1h30m` */
  readonly duration: string;
  readonly timeZone?: string;
}

export interface MirrorDocument {
  readonly apiVersion: 'bunnydb/v1';
  readonly kind: 'Mirror';
  readonly metadata: { readonly name: string };
  readonly spec: MirrorSpec;
}

export interface PeerDocument {
  readonly apiVersion: 'bunnydb/v1';
  readonly kind: 'Peer';
  readonly metadata: { readonly name: string };
  readonly spec: ConnectionSpec;
}

export type SpecDocument = MirrorDocument | PeerDocument;
export type Kind = SpecDocument['kind'];
