/** What the directory asks of one mirror: decided from files, carried to the mirror's loop, told in its status. */
import type { Mirror } from './mirror.ts';
import type { TableName } from './table-name.ts';

/** What is wrong with the newest file of a mirror, while an older spec runs on. */
export interface SpecProblem {
  readonly reason:
    | 'SchemaInvalid'
    | 'SemanticInvalid'
    | 'DuplicateName'
    | 'ImmutableFieldChanged'
    | 'Unsettled';
  /** `file:line:column: message (hint)` */
  readonly text: string;
}

/** Absence is not intent: a file that is not there has been removed only when it was seen so for the removal grace. */
export type Presence =
  | { readonly kind: 'present' }
  /**
   * Not there, and not yet removed; the last good spec runs on. `message`: what that waits for.
   * `isGraceRunning`: it is removed by time alone.
   */
  | { readonly kind: 'missing'; readonly message: string; readonly isGraceRunning: boolean }
  | { readonly kind: 'removed' };

export interface Intent {
  /** The newest good spec; after its own tables those that are on their way out. */
  readonly mirror: Mirror;
  readonly problems: readonly SpecProblem[];
  /** Sources of the tables that the file does not name any more, while their removal grace runs. */
  readonly leaving: readonly TableName[];
  readonly presence: Presence;
}
