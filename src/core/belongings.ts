/**
 * All that belongs to a table of the destination and has to be there after a swap as it was before.
 * Plain data. Names are unquoted; definitions are as the server prints them with an empty search_path,
 * so they name the table by its final name and bind to whatever table has it when they run.
 */
import type { TableName } from './table-name.ts';

/** What the shadow has of its own before it takes the table's place. */
export interface TableParts {
  readonly unlogged: boolean;
  /** Of the table's rows, e.g. `heap`. */
  readonly accessMethod: string;
  /** Empty: the database's own. */
  readonly tablespace: string;
  /** `name=value`, as the catalog has them. */
  readonly options: readonly string[];
  readonly toastOptions: readonly string[];
  readonly columns: readonly ColumnPart[];
  /** Of all but foreign keys; from PostgreSQL 18 on a NOT NULL has one too. */
  readonly constraintNames: readonly string[];
  readonly checks: readonly CheckPart[];
  /** Primary key, unique and exclusion constraints, in the order they were made. */
  readonly keys: readonly KeyPart[];
  /** Valid indexes that no constraint owns, likewise. */
  readonly indexes: readonly IndexPart[];
  readonly statistics: readonly StatisticsPart[];
  readonly sequences: readonly SequencePart[];
  /** As in pg_class.relreplident: d, n, f, or i with the index. */
  readonly replicaIdentity: string;
  readonly identityIndex: string | null;
  readonly clusterIndex: string | null;
}

export interface ColumnPart {
  readonly name: string;
  /** The statistics target; null: the default. */
  readonly target: number | null;
  readonly options: readonly string[];
  /** Whether a whole btree index begins with it, so that its greatest value is found at once. */
  readonly leads: boolean;
}

export interface CheckPart {
  readonly name: string;
  readonly definition: string;
  readonly validated: boolean;
}

export interface KeyPart {
  readonly name: string;
  readonly definition: string;
  /** Storage parameters of its index, where the definition does not show them: an exclusion's does. */
  readonly options: readonly string[];
  readonly tablespace: string;
}

export interface IndexPart {
  readonly name: string;
  readonly unique: boolean;
  /** What follows `ON <table>`. */
  readonly definition: string;
  readonly tablespace: string;
  /** Of its expressions, by their place from 1. */
  readonly targets: readonly { readonly column: number; readonly target: number }[];
}

export interface StatisticsPart {
  /** The oid at the live table: the shadow's twin bears it in its name. */
  readonly id: string;
  readonly name: TableName;
  /** As in pg_statistic_ext.stxkind: d, f, m, e. */
  readonly kinds: readonly string[];
  readonly columns: string;
  readonly target: number | null;
  readonly owner: string;
  readonly comment: string | null;
}

export interface SequencePart {
  readonly name: TableName;
  readonly column: string;
  readonly identity: boolean;
  /** smallint, integer or bigint. */
  readonly type: string;
  readonly ascending: boolean;
  /** Bounds, as the server prints them: beyond a double's precision. */
  readonly min: string;
  readonly max: string;
  /** Whether its column is smallint, integer or bigint. */
  readonly counts: boolean;
}

/** What is put on the table, or bound to it anew, at the moment of the swap. */
export interface Belongings {
  readonly owner: string;
  readonly rowSecurity: boolean;
  readonly forceRowSecurity: boolean;
  readonly access: readonly Access[];
  readonly comments: readonly Comment[];
  readonly policies: readonly Policy[];
  readonly triggers: readonly Trigger[];
  readonly rules: readonly Switched[];
  /** Triggers by which the server keeps constraints, where somebody switched them. */
  readonly keepers: readonly Keeper[];
  readonly publications: readonly Membership[];
  /** Of the table, to it, and from it to itself. */
  readonly foreignKeys: readonly ForeignKeyPart[];
  readonly views: readonly View[];
  /** CREATE OR REPLACE of functions and procedures whose bodies are bound to the table. */
  readonly functions: readonly string[];
  /** Policies of other tables that read this one. */
  readonly readingPolicies: readonly ReadingPolicy[];
  /** Rules of other relations that name this one: CREATE RULE. */
  readonly readingRules: readonly string[];
}

/** A table with all of that: the live one, or its shadow. */
export interface Side {
  readonly table: TableName;
  readonly parts: TableParts;
  readonly belongings: Belongings;
}

export interface Access {
  readonly kind: 'table' | 'column' | 'sequence';
  /** Of the column or sequence; the table's own. */
  readonly name: string;
  /** True: nobody ever granted or revoked anything. */
  readonly untouched: boolean;
  readonly grants: readonly Grant[];
}

export interface Grant {
  readonly grantor: string;
  /** Null: PUBLIC. */
  readonly grantee: string | null;
  readonly privileges: readonly string[];
  readonly grantable: boolean;
}

export interface Comment {
  readonly kind: 'table' | 'column' | 'constraint' | 'index' | 'sequence';
  readonly name: string;
  readonly text: string;
}

export interface Policy {
  readonly name: string;
  readonly permissive: boolean;
  /** As in pg_policy.polcmd: *, r, a, w, d. */
  readonly command: string;
  /** Null: PUBLIC. */
  readonly roles: readonly (string | null)[];
  readonly using: string | null;
  readonly check: string | null;
  readonly comment: string | null;
}

/** A trigger or a rule. */
export interface Switched {
  readonly name: string;
  readonly definition: string;
  /** O: as usual; D: never; R: as replica; A: always. */
  readonly enabled: string;
  readonly comment: string | null;
}

export interface Keeper {
  readonly constraint: string;
  /** The table that has the constraint, and the one that has the trigger: the other end, maybe. */
  readonly owner: TableName;
  readonly table: TableName;
  /** As SQL: `"RI_FKey_check_ins"()`. */
  readonly function: string;
  /** D, R or A, as for other triggers. */
  readonly enabled: string;
}

export interface Trigger extends Switched {
  /** The part of its definition that names the table. */
  readonly onto: string;
  /** Whether it has a say in the rows that we write, as one that masks a column: BEFORE each row, also as replica. */
  readonly fills: boolean;
}

export interface Membership {
  readonly publication: string;
  /** Null: all. */
  readonly columns: readonly string[] | null;
  readonly filter: string | null;
}

export interface ForeignKeyPart {
  readonly name: string;
  readonly owner: TableName;
  readonly references: TableName;
  readonly definition: string;
  /** That makes the referenced columns a key. */
  readonly index: string;
  readonly validated: boolean;
  /** False from PostgreSQL 18 on, for one that is only declared. */
  readonly enforced: boolean;
  readonly comment: string | null;
}

export interface View {
  readonly name: TableName;
  readonly options: readonly string[];
  readonly definition: string;
}

export interface ReadingPolicy {
  readonly table: TableName;
  readonly name: string;
  readonly using: string | null;
  readonly check: string | null;
}
