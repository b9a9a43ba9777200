/** The status of a mirror that was never taken: its file has errors, or it waits for another mirror. Pure. */
import type { SpecProblem } from '../core/intent.ts';
import { sinceWhen, type Condition } from './conditions.ts';
import type { Status } from './status.ts';

/** `previous` only lends lastTransitionTime. Throws on a list without problems, which is a bug. */
export function rejectedStatus(
  name: string,
  problems: readonly SpecProblem[],
  { previous, now }: { readonly previous: Status | undefined; readonly now: Date },
): Status {
  const [first] = problems;
  if (first === undefined) throw new Error(`mirror ${name} is rejected for no reason`);
  const { reason, text: message } = first;
  const before = previous?.status.conditions ?? [];
  const condition = (type: Condition['type'], status: Condition['status']): Condition =>
    sinceWhen({ type, status, reason, message }, before, now);
  return {
    apiVersion: 'bunnydb/v1',
    kind: 'MirrorStatus',
    metadata: { name },
    status: {
      state: 'FAILED',
      conditions: [
        condition('Ready', 'False'),
        // What waits goes on by itself.
        ...(reason === 'Unsettled' ? [] : [condition('Stalled', 'True')]),
        condition('SpecAccepted', 'False'),
      ],
      tables: [],
    },
  };
}
