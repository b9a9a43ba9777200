/**
 * What an edit of a field asks for. `in-place`: the next pass works by it. `needs-resync`: rows are copied.
 * `immutable`: what was copied means nothing under the new value; refused until it is acknowledged.
 */
export type FieldClass = 'in-place' | 'needs-resync' | 'immutable';

/** One field that the file has otherwise than what was applied last. */
export interface FieldChange {
  /** As in the file: `spec.cdc.maxBatchSize`, `spec.tables[public.users].excludeColumns`. */
  readonly field: string;
  readonly fieldClass: FieldClass;
  /** One line of YAML each; undefined for what is not there. Never a secret. */
  readonly from: string | undefined;
  readonly to: string | undefined;
}
