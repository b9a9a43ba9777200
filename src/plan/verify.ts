import type { TableRecord } from '../core/table-state.ts';
import { isOfCopy } from '../core/verification.ts';

/**
 * Whether a Live table with nothing else to do is to be compared with its source, and why. Once after each
 * copy, whoever asked as well: until then it is not proven. What was never copied by us (adopted: no source
 * oid is known) or is known to be no copy any more (diverged) only when somebody asks.
 */
export function wantsVerification(record: TableRecord): 'copied' | 'requested' | undefined {
  const { state, observed, verification, verifyRequestedAt, sourceOid } = record;
  if (state.phase !== 'Live' || observed === undefined) return undefined;
  const isCopy = state.diverged === undefined && sourceOid !== undefined;
  if (isCopy && (verification === undefined || !isOfCopy(verification, observed))) return 'copied';
  const isAsked =
    verifyRequestedAt !== undefined &&
    (verification === undefined || verification.checkedAt < verifyRequestedAt);
  return isAsked ? 'requested' : undefined;
}
