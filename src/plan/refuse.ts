import { MirrorError, type ErrorCode } from '../core/errors.ts';
import type { MirrorTable } from '../core/mirror.ts';
import type { CheckName } from './check/check-name.ts';
import type { Refusal } from './plan.ts';

/** One refusal; `table` undefined refuses the whole mirror. `hint` where the code's own does not fit. */
export function refuse(
  table: MirrorTable | undefined,
  code: ErrorCode,
  message: string,
  hint?: string,
): Refusal {
  return { table, error: new MirrorError(code, message, hint === undefined ? {} : { hint }) };
}

/** The same refusals, under the name that `bunnydb check` has for them. */
export function underCheck(check: CheckName, refusals: readonly Refusal[]): Refusal[] {
  return refusals.map((refusal) => ({ ...refusal, check }));
}
