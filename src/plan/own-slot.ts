/** Whose a slot is that is there while the ledger does not say that ours was made. Pure. */
import { LSN_ZERO } from '../core/lsn.ts';
import type { MirrorRecord, Observed, ObservedSlot } from '../core/observed.ts';
import { hasFailedOver } from './slot-loss.ts';

type Source = Pick<Observed, 'source'>;

/**
 * Ours, released and not yet dropped: the ledger keeps how far it was read. One that is made later begins
 * past that, for it begins with a record of its own.
 */
export function isLeftOver(slot: ObservedSlot, record: MirrorRecord, look: Source): boolean {
  const { appliedLsn } = record;
  const confirmed = slot.confirmedFlushLsn;
  const isBehind = confirmed !== undefined && confirmed <= appliedLsn;
  return appliedLsn > LSN_ZERO && isBehind && !hasFailedOver(look, record);
}

/**
 * Nobody reads what an interrupted try has left, and its WAL says whose it is: where somebody does, or that
 * WAL is gone or another database's, it counts as somebody else's. One without a position is still being made.
 */
export function isSomebodyElses(slot: ObservedSlot, record: MirrorRecord, look: Source): boolean {
  if (slot.confirmedFlushLsn === undefined || isLeftOver(slot, record, look)) return false;
  return slot.active || slot.walStatus === 'lost' || slot.database !== look.source.database;
}
