import type { Mirror } from '../core/mirror.ts';
import type { MirrorRecord, Observed, ObservedSlot } from '../core/observed.ts';
import { formatLsn } from '../core/lsn.ts';
import type { Refusal, Step } from './plan.ts';
import { publicationLoss } from './published.ts';
import { refuse } from './refuse.ts';

/** What is to be done about the slot. */
export interface SlotPlan {
  readonly steps: readonly Step[];
  readonly refusals: readonly Refusal[];
  /** The slot is lost and made anew: every table has to be copied again. */
  readonly forget: boolean;
}

const NOTHING: SlotPlan = { steps: [], refusals: [], forget: false };

/**
 * | ledger's row | slot            | answer                                       |
 * | ------------ | --------------- | -------------------------------------------- |
 * | none         | none            | register the mirror, create                  |
 * | none         | there           | refuse: somebody else's                      |
 * | creating     | none            | create                                       |
 * | creating     | there           | adopt: an interrupted try of ours left it    |
 * | created      | there, behind   | nothing                                      |
 * | created      | none, lost, ahead, no publication | refuse, or by onSlotLoss reset and create |
 *
 * In each row a slot of another plugin or database is somebody else's.
 */
export function planSlot(mirror: Mirror, observed: Observed): SlotPlan {
  const { slot } = observed;
  const record = observed.ledger.mirror;
  const foreign = slot && foreignSlot(mirror, observed, slot);
  if (foreign) return foreign;
  if (record === undefined)
    return slot === undefined
      ? { ...NOTHING, steps: [{ kind: 'register-mirror' }, { kind: 'create-slot', adopt: false }] }
      : refuseSlot(
          'SlotUnknown',
          `slot ${mirror.slot} exists on the source, but this destination knows no mirror ${mirror.name}`,
        );
  if (record.slotState === 'creating')
    return { ...NOTHING, steps: [{ kind: 'create-slot', adopt: slot !== undefined }] };
  const reason = lossOf(mirror, observed, record);
  if (reason === undefined) return NOTHING;
  if (mirror.onSlotLoss === 'Stop') return refuseSlot('SlotLost', `slot ${mirror.slot} ${reason}`);
  return {
    steps: [
      { kind: 'reset-slot', reason },
      { kind: 'create-slot', adopt: false },
    ],
    refusals: [],
    forget: true,
  };
}

function foreignSlot(mirror: Mirror, observed: Observed, slot: ObservedSlot): SlotPlan | undefined {
  if (slot.plugin !== 'pgoutput')
    return refuseSlot(
      'SlotUnknown',
      `slot ${mirror.slot} is ${slot.plugin === '' ? 'physical' : `of plugin ${slot.plugin}`}, not of pgoutput`,
    );
  if (slot.database !== observed.source.database)
    return refuseSlot(
      'SlotUnknown',
      `slot ${mirror.slot} belongs to database ${slot.database}, not to ${observed.source.database}`,
    );
  return undefined;
}

/** Without its publication the slot goes on, and what is written is not published: an error up to 17, silence from 18 on. */
function lossOf(mirror: Mirror, observed: Observed, record: MirrorRecord): string | undefined {
  const { slot } = observed;
  if (slot === undefined) return 'is gone';
  if (slot.walStatus === 'lost') return 'lost its WAL (wal_status lost)';
  const unpublished = publicationLoss(mirror, observed);
  if (unpublished !== undefined) return unpublished;
  const { confirmedFlushLsn } = slot;
  return confirmedFlushLsn !== undefined && confirmedFlushLsn > record.appliedLsn
    ? `is at ${formatLsn(confirmedFlushLsn)}, ahead of what was applied (${formatLsn(record.appliedLsn)})`
    : undefined;
}

function refuseSlot(code: 'SlotUnknown' | 'SlotLost', message: string): SlotPlan {
  return { ...NOTHING, refusals: [refuse(undefined, code, message)] };
}
