import type { Lsn } from './lsn.ts';
import type { Mirror } from './mirror.ts';
import type { TableName } from './table-name.ts';
import type { TableRecord } from './table-state.ts';

/** What one look at both databases and the ledger found. Plain data; plan/ decides from it alone. */
export interface Observed {
  /** The destination's clock when it was looked at, ISO 8601: what maintenance windows go by. */
  readonly at: string;
  readonly source: ObservedServer;
  readonly sourceWal: ObservedWal;
  readonly destination: ObservedServer;
  readonly slot: ObservedSlot | undefined;
  readonly publication: ObservedPublication | undefined;
  readonly ledger: ObservedLedger;
  /** Schemas the destination has. */
  readonly destinationSchemas: readonly string[];
  /** The ledger's ids of tables that have a shadow, or an old table that a swap has put aside. */
  readonly shadows: readonly string[];
  /** In the order of the mirror's tables. */
  readonly tables: readonly ObservedTable[];
}

export interface ObservedServer {
  /** server_version_num, e.g. 170004. */
  readonly version: number;
  /** '' where it cannot be read. */
  readonly systemIdentifier: string;
  /** The one that it writes, or in recovery the last checkpoint's; 0 where it cannot be read. */
  readonly timeline: number;
  readonly database: string;
  readonly databaseOid: number;
  readonly encoding: string;
  readonly walLevel: string;
  readonly role: {
    readonly name: string;
    readonly superuser: boolean;
    readonly replication: boolean;
  };
  /** Whether the role may CREATE in the database (schemas; publications on the source). */
  readonly canCreate: boolean;
}

/** Read after the ledger: a source that has what was applied is at least there. */
export interface ObservedWal {
  /** Undefined where it cannot be read. */
  readonly lsn: Lsn | undefined;
  /**
   * Where the timeline that the ledger knows ended on the way to the one that the source writes now;
   * undefined when it is still that one, or not on that way at all.
   */
  readonly timelineEnd: Lsn | undefined;
}

export interface ObservedSlot {
  readonly plugin: string;
  readonly database: string;
  readonly active: boolean;
  readonly confirmedFlushLsn: Lsn | undefined;
  /** reserved | extended | unreserved | lost */
  readonly walStatus: string;
  /** Of a lost one, from PostgreSQL 17 on. */
  readonly invalidationReason?: string;
  /** WAL the slot keeps on the source. */
  readonly retainedBytes: number;
}

/** A table under its name of now; the oid stays when the name changes. */
export interface PublishedTable extends TableName {
  readonly oid?: number;
}

/** Which publication it is, and as whose last change: another xmin is another version of its settings. */
export interface PublicationIdentity {
  readonly oid: string;
  readonly xmin: string;
  /** The owner's oid. */
  readonly owner: string;
}

export interface ObservedPublication {
  readonly identity: PublicationIdentity;
  readonly tables: readonly PublishedTable[];
  readonly allTables: boolean;
  readonly viaPartitionRoot: boolean;
  /** Of insert, update, delete, truncate. */
  readonly operations: readonly string[];
  /** Members that are published in part only (PostgreSQL 15). */
  readonly partial: readonly PartialMember[];
}

export interface PartialMember {
  readonly table: TableName;
  /** A WHERE: rows come and go as they begin and cease to match. */
  readonly rowFilter: boolean;
  /** The column list, when there is one. */
  readonly columns: readonly string[] | undefined;
}

export interface ObservedLedger {
  /** 0: there is none yet. */
  readonly version: number;
  /** A schema of the ledger's name is there, with tables in it that are not the ledger's. */
  readonly foreign?: boolean;
  readonly mirror: MirrorRecord | undefined;
  readonly tables: readonly TableRecord[];
  /** Foreign keys that were dropped for a truncate and wait to come back. */
  readonly savedForeignKeys: readonly SavedForeignKey[];
}

/** The ledger's row of one mirror: what must be invalidated together (TRAPS 17). */
export interface MirrorRecord {
  readonly name: string;
  readonly slot: string;
  readonly publication: string;
  /** `creating`: written before the slot is made, so that a crash in between is recognised. */
  readonly slotState: 'creating' | 'created';
  readonly sourceSystemIdentifier: string;
  readonly sourceDatabase: string;
  /** Undefined in a ledger that an older version wrote. */
  readonly sourceTimeline?: number;
  /** The publication when the slot was made; undefined before that, and in a ledger that an older version wrote. */
  readonly publicationIdentity?: PublicationIdentity;
  /** Of the spec that was taken up last; undefined before the first. */
  readonly specHash?: string;
  /** That spec, resolved, for telling what an edit changes; another version may have written other fields. */
  readonly spec?: Partial<Mirror>;
  /** Every transaction whose commit record begins before it is durable in the destination. */
  readonly appliedLsn: Lsn;
  readonly epoch: bigint;
}

export interface SavedForeignKey {
  readonly id: string;
  /** The table that was truncated (the referenced one). */
  readonly table: TableName;
  /** The table that has the constraint. */
  readonly owner: TableName;
  readonly name: string;
  /** pg_get_constraintdef, without NOT VALID. */
  readonly definition: string;
}

export interface ObservedTable {
  readonly source: TableName;
  readonly destination: TableName;
  readonly sourceShape: TableShape | undefined;
  /** Each way in which the mirror's publication has the source table, by an oid that a new one would not have. */
  readonly memberships: readonly string[];
  readonly destinationShape: TableShape | undefined;
  /** Whether the destination table has at least one row; undefined when it does not exist or nobody needs to know. */
  readonly destinationHasRows: boolean | undefined;
  /** Types the source table needs and the destination lacks or has differently, dependencies first. */
  readonly types: readonly ObservedType[];
  /** What the source table's definition needs besides types, and the destination lacks. */
  readonly missingObjects: readonly NeededObject[];
  /** Of a destination table that is not there: what has its name, as `a type (public.a)`. */
  readonly nameTakenBy?: string;
  /** What is in the way of a swap, or of mending a column's type. Looked for only where one of them may come. */
  readonly swapObstacles: readonly SwapObstacle[];
  /** What is in the way of emptying the table: foreign keys of others that could not be dropped and put back. */
  readonly emptyObstacles: readonly SwapObstacle[];
  /** Foreign keys of other tables, mirrored or not, that reference the destination table. */
  readonly foreignKeysTo: readonly ReferencingKey[];
}

/** A foreign key as whoever is locked for it knows it. */
export interface ReferencingKey {
  readonly owner: TableName;
  readonly name: string;
  readonly validated: boolean;
}

/** A function, an operator, a collation, an operator class or a text search configuration that a part of a table needs. */
export interface NeededObject {
  /** As the server identifies it: `function public.f(integer)`. */
  readonly object: string;
  readonly schema: string;
  /** The one that it is of at the source. */
  readonly extension: string | undefined;
  readonly neededBy: {
    /** A column for its collation, default or generated value. */
    readonly kind: 'column' | 'constraint' | 'index';
    readonly name: string;
  };
}

export interface SwapObstacle {
  /** For people: `materialized view public.totals`. */
  readonly object: string;
  /** Why a swap cannot carry it, as the end of a sentence: `reads the table, and would read the old one`. */
  readonly reason: string;
  /**
   * Set: it is in the way only when the type of one of these changes, and then whatever the strategy is.
   * `reason` ends before their names: `depends on the type of`.
   */
  readonly columns?: readonly string[];
}

export type RelationKind =
  | 'table'
  | 'partitioned'
  | 'view'
  | 'materialized view'
  | 'foreign table'
  | 'sequence'
  | 'other';

/** Everything of a table's definition that a copy has to reproduce. Names unquoted, expressions with search_path empty. */
export interface TableShape {
  readonly name: TableName;
  readonly oid: number;
  readonly kind: RelationKind;
  readonly unlogged: boolean;
  /** Not dropped ones, in attnum order. */
  readonly columns: readonly ColumnShape[];
  /** Primary key, unique, check and exclusion constraints; not foreign keys. */
  readonly constraints: readonly ConstraintShape[];
  /** Indexes that no constraint owns. */
  readonly indexes: readonly IndexShape[];
  readonly foreignKeys: readonly ForeignKeyShape[];
  readonly replicaIdentity: ReplicaIdentity;
  /** Sequences owned by or used as default by a column (serial); identity sequences too. */
  readonly sequences: readonly SequenceShape[];
  /** Of a partitioned table, and of partitions that are partitioned: what every key of it has to hold. */
  readonly partitionKey?: PartitionKey;
  /** pg_class.reltuples, an estimate; -1 never analysed. */
  readonly estimatedRows: number;
  /** Heap only, from pg_relation_size. */
  readonly heapBytes: number;
  /** With indexes and TOAST. */
  readonly totalBytes: number;
  /** Whether our role may SELECT every column (source) or own/write the table (destination). */
  readonly readable: boolean;
  readonly owner: string;
  /** Whether our role owns it, itself or by membership: what ALTER TABLE and a publication ask for. */
  readonly owned: boolean;
  /** Whether row security hides rows from our role (TRAPS 42). */
  readonly rowSecurity: boolean;
}

export interface ColumnShape {
  readonly name: string;
  readonly attnum: number;
  /** format_type(atttypid, atttypmod), schema-qualified where not built in. */
  readonly type: string;
  /** format_type(atttypid, -1): for casts that must not truncate. */
  readonly baseType: string;
  readonly typeOid: number;
  /** True when the type and everything inside it is built in (oid < 16384, recursively). */
  readonly builtIn: boolean;
  readonly notNull: boolean;
  /** Its type is a domain that does not take NULL, and has no default. */
  readonly strictDomain?: true;
  /** pg_get_expr of the default; for a generated column its expression. */
  readonly defaultExpression: string | undefined;
  readonly generated: 'no' | 'stored' | 'virtual';
  readonly identity: 'no' | 'always' | 'by default';
  /** Schema-qualified and quoted, when it is not the type's default. */
  readonly collation: string | undefined;
  /** For a generated column the columns its expression reads; else empty. */
  readonly touches: readonly string[];
}

export interface ConstraintShape {
  readonly name: string;
  readonly kind: 'primary key' | 'unique' | 'check' | 'exclusion';
  /** pg_get_constraintdef. */
  readonly definition: string;
  /** Key columns in index order; empty for checks. */
  readonly columns: readonly string[];
  /** Every column it reads: keys, included ones, expressions, predicate. */
  readonly touches: readonly string[];
  /** False for NOT VALID. */
  readonly validated: boolean;
  /**
   * The index of a primary key or unique constraint as IndexShape.definition has it, for building it
   * CONCURRENTLY; undefined where an index cannot be made a constraint (checks, exclusion, WITHOUT OVERLAPS).
   */
  readonly indexDefinition: string | undefined;
}

export interface IndexShape {
  readonly name: string;
  readonly unique: boolean;
  readonly valid: boolean;
  /** What follows `ON <table>` in pg_get_indexdef: `USING btree (a, b) WHERE …`. */
  readonly definition: string;
  /** Every column it reads: keys, included ones, expressions, predicate. */
  readonly touches: readonly string[];
}

export interface ForeignKeyShape {
  readonly name: string;
  readonly columns: readonly string[];
  readonly references: TableName;
  /** What follows `REFERENCES <table>` in pg_get_constraintdef: `(id) ON DELETE CASCADE DEFERRABLE`; NOT VALID left out. */
  readonly definition: string;
  readonly validated: boolean;
  /** Whether the last column is a PERIOD (PostgreSQL 18). */
  readonly period: boolean;
}

export interface ReplicaIdentity {
  readonly kind: 'default' | 'index' | 'full' | 'nothing';
  /** The columns that come with an UPDATE or DELETE; empty when there are none (keyless, or nothing). */
  readonly columns: readonly string[];
}

export interface PartitionKey {
  readonly columns: readonly string[];
  /** With an expression in it no key is possible at all. */
  readonly hasExpression: boolean;
}

export interface SequenceShape {
  readonly name: TableName;
  /** The column it feeds. */
  readonly column: string;
  readonly kind: 'serial' | 'identity' | 'shared';
  /** `AS bigint INCREMENT BY 1 MINVALUE 1 … CACHE 1 NO CYCLE`; an identity's without AS. */
  readonly options: string;
  /** How pg_get_expr prints it inside a default: `'public.users_id_seq'::regclass`. */
  readonly literal: string;
}

export interface ObservedType {
  readonly name: TableName;
  readonly kind: 'enum' | 'domain' | 'composite' | 'range' | 'extension' | 'other';
  /** `missing`: to be created from `createSql`; `different`: exists and is not alike; `same`. */
  readonly state: 'missing' | 'different' | 'same';
  /** Statements that create it at the destination; empty when we cannot (extension types). */
  readonly createSql: readonly string[];
  /** For `different` and for what cannot be created: one line of what is wrong. */
  readonly problem: string | undefined;
}
