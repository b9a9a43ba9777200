/** Whether the slot still has everything that was not applied yet, and nothing else than that. Pure. */
import type { ErrorCode } from '../core/errors.ts';
import { formatLsn, LSN_ZERO } from '../core/lsn.ts';
import type { Mirror } from '../core/mirror.ts';
import type { MirrorRecord, Observed, ObservedSlot } from '../core/observed.ts';
import { publicationLoss } from './published.ts';
import type { Breach } from './source-change.ts';

/** What onSlotLoss answers. */
export function isSlotLoss(code: ErrorCode): boolean {
  return code === 'SlotLost' || code === 'TargetRewound';
}

/** Of a slot that the ledger says was made; undefined when nothing is missing. */
export function slotLoss(
  mirror: Mirror,
  observed: Observed,
  record: MirrorRecord,
): Breach | undefined {
  const reason = lossOf(mirror, observed, record);
  if (reason !== undefined) return breach(mirror, 'SlotLost', reason);
  const ahead = aheadOf(observed.slot, record);
  return ahead === undefined ? undefined : breach(mirror, 'TargetRewound', ahead);
}

function breach(mirror: Mirror, code: 'SlotLost' | 'TargetRewound', reason: string): Breach {
  return { code, reason, message: `slot ${mirror.slot} ${reason}` };
}

function lossOf(mirror: Mirror, observed: Observed, record: MirrorRecord): string | undefined {
  const { slot, source } = observed;
  if (slot === undefined)
    return hasFailedOver(observed, record)
      ? `is gone: the source failed over from timeline ${record.sourceTimeline} to ${source.timeline} without it`
      : 'is gone';
  if (slot.walStatus === 'lost') {
    const cause = slot.invalidationReason === undefined ? '' : `, ${slot.invalidationReason}`;
    return `was invalidated (wal_status lost${cause})`;
  }
  // Without its publication the slot goes on, and what is written is not published: an error up to 17, silence from 18 on.
  return historyLoss(observed, record) ?? publicationLoss(mirror, observed, record);
}

/** Somebody is told what is not in the ledger: no daemon of this mirror is, which confirms what it has written there. */
export function isReadByAnother(slot: Observed['slot'], { appliedLsn }: MirrorRecord): boolean {
  return slot?.active === true && (slot.confirmedFlushLsn ?? LSN_ZERO) > appliedLsn;
}

/** The slot was told to forget what the ledger does not have. */
export function aheadOf(
  slot: Pick<ObservedSlot, 'confirmedFlushLsn'> | undefined,
  { appliedLsn }: Pick<MirrorRecord, 'appliedLsn'>,
): string | undefined {
  const confirmed = slot?.confirmedFlushLsn;
  return confirmed !== undefined && confirmed > appliedLsn
    ? `has confirmed ${formatLsn(confirmed)}, and only ${formatLsn(appliedLsn)} was applied: the destination was restored from a backup, or somebody made or moved the slot by hand`
    : undefined;
}

/** The source lacks what was applied from it: what it wrote in its place is not what the stream would bring. */
function historyLoss(observed: Observed, record: MirrorRecord): string | undefined {
  const { source, sourceWal } = observed;
  const { appliedLsn, sourceTimeline } = record;
  const applied = `was applied up to ${formatLsn(appliedLsn)}`;
  const never = 'the destination holds changes that this source never had';
  if (hasFailedOver(observed, record)) {
    const end = sourceWal.timelineEnd;
    if (end === undefined)
      return `${applied} on timeline ${sourceTimeline}, which the source, now on timeline ${source.timeline}, does not come from: ${never}`;
    if (appliedLsn > end)
      return `${applied} on timeline ${sourceTimeline}, and the source left that at ${formatLsn(end)} when it failed over to timeline ${source.timeline}: ${never}`;
  }
  return sourceWal.lsn !== undefined && sourceWal.lsn < appliedLsn
    ? `${applied}, and the source is at ${formatLsn(sourceWal.lsn)}, as after a restore from a backup: ${never}`
    : undefined;
}

/** The source writes another timeline than the one that was followed; one that cannot be read is no other. */
export function hasFailedOver(
  { source }: Pick<Observed, 'source'>,
  { sourceTimeline }: MirrorRecord,
): boolean {
  return (
    sourceTimeline !== undefined && source.timeline !== 0 && source.timeline !== sourceTimeline
  );
}
