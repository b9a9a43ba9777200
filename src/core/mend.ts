import type { ColumnShape, ConstraintShape, SequenceShape } from './observed.ts';

/**
 * What a fresh copy changes about a destination table, decided by plan/mend.ts. All that is not named
 * stays as the destination has it; keys and indexes are built after the rows.
 */
export interface Mend {
  /** Columns that the destination lacks, as the source has them. They come last. */
  readonly added: readonly ColumnShape[];
  /** Columns of another type, collation or generated-ness, and the generated ones that read them. */
  readonly changed: readonly ColumnChange[];
  /** Columns that the destination has and the mirror has no more. A shadow loses them after it took its place. */
  readonly dropped: readonly string[];
  /** The names in `changed` and `dropped`: what reads such a column at the destination (a view) is in the way. */
  readonly retyped: readonly string[];
  /** Columns that lose their NOT NULL, as the destination has them. */
  readonly nullable: readonly ColumnShape[];
  /** Columns that get the source's NOT NULL. */
  readonly required: readonly string[];
  /** Names of the destination's constraints, foreign keys among them, that are in the source's way. */
  readonly droppedConstraints: readonly string[];
  /** Names of indexes that no constraint owns, likewise. */
  readonly droppedIndexes: readonly string[];
  /** Which of both go because they need columns that are left out, by name. */
  readonly needing: readonly { readonly name: string; readonly columns: readonly string[] }[];
  /** Checks of the source that the destination lacks. */
  readonly checks: readonly ConstraintShape[];
  /** What `added` and `changed` columns take their values from, under the destination's names. */
  readonly sequences: readonly SequenceShape[];
}

export interface ColumnChange {
  readonly from: ColumnShape;
  readonly to: ColumnShape;
  /** `replace`: no ALTER makes a column a generated one. It is dropped, and added as the last. */
  readonly how: 'alter' | 'replace';
}
