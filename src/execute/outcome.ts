import type { TableName } from '../core/table-name.ts';
import type { Step } from '../plan/plan.ts';

/** What became of one step. Every step gives one, a noop too: status is computed from these. */
export interface Outcome {
  readonly step: Step['kind'];
  /** The destination table it was about. */
  readonly table?: TableName;
  /** False when everything was as it should be already. */
  readonly changed: boolean;
  /** One line for people. */
  readonly message: string;
}
