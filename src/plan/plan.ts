/**
 * The plan: what differs between a mirror file and the two databases, as data. Made by planMirror,
 * printed by `bunnydb plan`, carried out by execute/. Nothing on this floor touches a database.
 */
import type { MirrorError } from '../core/errors.ts';
import type { FieldChange } from '../core/field-change.ts';
import type { Generation, MirrorTable, ResyncStrategy } from '../core/mirror.ts';
import type {
  ConstraintShape,
  ForeignKeyShape,
  IndexShape,
  ObservedType,
  PublicationIdentity,
  ReferencingKey,
  SavedForeignKey,
  SequenceShape,
  TableShape,
} from '../core/observed.ts';
import type { TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { CheckName } from './check/check-name.ts';

export type Step =
  /** Ledger schema missing or older than this program. */
  | { readonly kind: 'migrate-ledger'; readonly fromVersion: number }
  /** The ledger's row of the mirror, slotState `creating`: the intent, before anything is made on the source. */
  | { readonly kind: 'register-mirror' }
  | { readonly kind: 'create-publication'; readonly tables: readonly TableName[] }
  | {
      readonly kind: 'alter-publication';
      readonly add: readonly TableName[];
      readonly drop: readonly TableName[];
    }
  /** A table joins the publication of a slot that is there: between two writers of it, or not yet. */
  | { readonly kind: 'publish-table'; readonly table: MirrorTable }
  /** Makes the slot, or adopts the one an interrupted try left, and records its position. */
  | { readonly kind: 'create-slot'; readonly adopt: boolean }
  /**
   * What the slot has is no use any more, and that was answered: forget it, every table is Pending again.
   * `left`: what stays at a former source, and the SQL that removes it there.
   */
  | { readonly kind: 'reset-slot'; readonly reason: string; readonly left?: string }
  /** The source failed over, and has everything that was applied; or the ledger lacked who it is, or who owns its publication now. */
  | {
      readonly kind: 'record-source';
      readonly timeline: number;
      readonly from: number | undefined;
      /** The publication as it was seen, where the ledger learns of it. */
      readonly publication?: PublicationIdentity;
    }
  | { readonly kind: 'create-schema'; readonly schema: string }
  | { readonly kind: 'create-type'; readonly type: ObservedType }
  | {
      readonly kind: 'create-sequence';
      readonly table: MirrorTable;
      readonly sequence: SequenceShape;
    }
  /** Columns, defaults, not-null and checks; keys come after the rows. */
  | { readonly kind: 'create-table'; readonly table: MirrorTable; readonly source: TableShape }
  /** The ledger's row of the table, Pending. */
  | { readonly kind: 'register-table'; readonly table: MirrorTable }
  /** Runs beside the loop. Ends Live, with keys and indexes. */
  | {
      readonly kind: 'copy-table';
      readonly table: MirrorTable;
      readonly reason: 'first' | 'resync' | 'retry';
      readonly strategy: ResyncStrategy;
      readonly generation: Generation;
      readonly estimatedRows: number;
      readonly estimatedBytes: number;
      /** Columns whose NOT NULL the stream takes away as soon as it goes by the file, long before the copy maybe. */
      readonly relaxes: readonly string[];
      /** Readers still have what it empties or replaces: it begins only while a maintenance window is open. */
      readonly disturbs: boolean;
      /** Of a retry: its rows were on the way when it was looked at. */
      readonly isBegun?: true;
      /** Taken away, or carried along, by name: put back and checked when it is Live. */
      readonly foreignKeys?: readonly (ReferencingKey & { readonly references: TableName })[];
      /** ISO 8601: it is not begun before, when the next maintenance window opens. */
      readonly heldUntil?: string;
    }
  /** A table that failed while Live, or a copy that was interrupted after its rows: replay the spool. */
  | {
      readonly kind: 'replay-table';
      readonly table: MirrorTable;
      /** The rows are in a shadow: it takes the table's place at the end. */
      readonly endsSwap: boolean;
    }
  /** Compares both sides of a Live table at one LSN, beside the loop: after each copy, and when asked to. */
  | {
      readonly kind: 'verify-table';
      readonly table: MirrorTable;
      readonly reason: 'copied' | 'requested';
    }
  /** The counter went back while its resync ran: the old table stays, if it was kept fresh. */
  | { readonly kind: 'cancel-copy'; readonly table: MirrorTable }
  /** What a swap left that was cancelled, or that ended between its commit and its last step. */
  | { readonly kind: 'drop-shadow'; readonly table: MirrorTable; readonly record: TableRecord }
  /** snapshot.initial is false: Live from here on, no rows copied. */
  | { readonly kind: 'adopt-table'; readonly table: MirrorTable; readonly generation: Generation }
  /** Of a Live table. CONCURRENTLY, so that the stream goes on. */
  | {
      readonly kind: 'create-constraint';
      readonly table: MirrorTable;
      readonly constraint: ConstraintShape;
    }
  | { readonly kind: 'create-index'; readonly table: MirrorTable; readonly index: IndexShape }
  /** NOT VALID, then VALIDATE; when both ends are Live. */
  | {
      readonly kind: 'add-foreign-key';
      readonly table: MirrorTable;
      readonly foreignKey: ForeignKeyShape;
      /** The destination's name of the referenced table. */
      readonly references: TableName;
    }
  /** `table`: the mirrored one of the two, the owner if both are; undefined when neither is any more. */
  | {
      readonly kind: 'restore-foreign-key';
      readonly table: MirrorTable | undefined;
      readonly saved: SavedForeignKey;
      /** What the source says under that name: for when the columns of the saved one are gone. */
      readonly atSource?: ForeignKeyShape | undefined;
    }
  | {
      readonly kind: 'validate-foreign-key';
      readonly table: MirrorTable;
      readonly owner: TableName;
      readonly name: string;
    }
  /** Out of the list: stop streaming it. `drop`: deletionPolicy Delete. */
  | { readonly kind: 'retire-table'; readonly record: TableRecord; readonly drop: boolean }
  /** The ledger takes the file as it is now for what was asked for. */
  | { readonly kind: 'accept-spec'; readonly changes: readonly FieldChange[] }
  /** The file was removed. The ledger forgets the slot before it is dropped, so that a file that comes back finds no lost one. */
  | { readonly kind: 'release-slot' }
  /** A managed one that nobody reads any more. */
  | { readonly kind: 'drop-publication'; readonly name: string }
  /** Of a removed mirror, deletionPolicy Delete. */
  | { readonly kind: 'drop-table'; readonly record: TableRecord }
  /** Spools, shadows and the ledger's rows of a removed mirror. The last step. */
  | { readonly kind: 'forget-mirror' };

/** A table (or, without one, the whole mirror) that cannot go on until the cause is gone. */
export interface Refusal {
  readonly table: MirrorTable | undefined;
  readonly error: MirrorError;
  /** What `bunnydb check` calls it; where it is undefined the code tells. */
  readonly check?: CheckName;
}

/** Something to know that is not to be done: a counter that went back, a column only the destination has. */
export interface Notice {
  readonly table: MirrorTable | undefined;
  readonly reason:
    | 'GenerationReverted'
    | 'ExtraColumn'
    | 'IndexDiffers'
    | 'ShapeDiffers'
    | 'LeftInPlace'
    | 'ExtraTable'
    | 'Suspended';
  readonly message: string;
}

export interface Plan {
  readonly mirror: string;
  readonly steps: readonly Step[];
  readonly refusals: readonly Refusal[];
  readonly notices: readonly Notice[];
}

/** The empty plan: nothing to do and nothing refused. */
export function isEmptyPlan(plan: Plan): boolean {
  return plan.steps.length === 0 && plan.refusals.length === 0;
}

/** True for what the databases have otherwise and no step puts right. */
export function isDifference({ reason }: Notice): boolean {
  return reason === 'IndexDiffers' || reason === 'ShapeDiffers';
}

/** True for a step that waits for a maintenance window. */
export function isHeld(step: Step): boolean {
  return step.kind === 'copy-table' && step.heldUntil !== undefined;
}
