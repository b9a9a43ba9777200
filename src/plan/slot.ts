import type { Mirror } from '../core/mirror.ts';
import type { MirrorRecord, Observed } from '../core/observed.ts';
import { dropSlotSql } from '../sql/publication.ts';
import type { Refusal, Step } from './plan.ts';
import { refuse } from './refuse.ts';
import { isSomebodyElses } from './own-slot.ts';
import { isSlotLoss, slotLoss } from './slot-loss.ts';
import {
  formerPublication,
  identityChange,
  isAcknowledged,
  isSameCluster,
  leftBehind,
  publicationChange,
  type Breach,
} from './source-change.ts';

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
 * | creating     | there, and is left of this mirror | adopt; lost, or the file names another publication: reset and create |
 * | creating     | there, read by nobody | adopt, if it proves to be of an interrupted try of ours |
 * | creating     | there otherwise | refuse: it cannot be, or cannot be shown to be, of such a try |
 * | created      | there, behind   | nothing, but for what the ledger does not say of the source yet |
 * | created      | none, lost, ahead, no publication, of a lost history | refuse, or by onSlotLoss reset and create |
 * | created      | of another publication than the file's | refuse              |
 * | any          | of another cluster or database | refuse                       |
 *
 * Where it is refused, a raised resyncGeneration of the mirror is the answer too: reset and create. In
 * each row a slot of another plugin, or where ours cannot be, is somebody else's.
 */
export function planSlot(mirror: Mirror, observed: Observed): SlotPlan {
  const record = observed.ledger.mirror;
  if (record === undefined) return planFirst(mirror, observed);
  const breach =
    identityChange(observed, record) ??
    publicationChange(mirror, record) ??
    (record.slotState === 'created' ? slotLoss(mirror, observed, record) : undefined);
  if (breach !== undefined && !isAnswered(breach, mirror, observed))
    return { ...NOTHING, refusals: [refuse(undefined, breach.code, breach.message)] };
  const foreign = foreignSlot(mirror, observed, record);
  if (foreign !== undefined) return foreign;
  const strange =
    record.slotState === 'creating' ? strangeSlot(mirror, observed, record) : undefined;
  if (strange !== undefined) return strange;
  if (breach !== undefined) return startAgain(mirror, observed, record, breach.reason);
  if (record.slotState === 'created')
    return { ...NOTHING, steps: planRecordSource(observed, record) };
  // It lay so long that the source removed its WAL.
  if (observed.slot?.walStatus === 'lost')
    return startAgain(mirror, observed, record, 'was never finished and lost its WAL');
  return { ...NOTHING, steps: [{ kind: 'create-slot', adopt: observed.slot !== undefined }] };
}

function planFirst(mirror: Mirror, observed: Observed): SlotPlan {
  const { slot, source } = observed;
  if (slot === undefined)
    return {
      ...NOTHING,
      steps: [{ kind: 'register-mirror' }, { kind: 'create-slot', adopt: false }],
    };
  return (
    foreignSlot(mirror, observed, undefined) ??
    refuseSlot(
      mirror,
      `exists on the source${slot.active ? ', in use' : ''}, but this destination knows no mirror ${mirror.name}`,
      source.database,
      // Also where nobody reads it: the daemon has just let go of it, for the very edit that led here.
      "It may be this mirror's own: if its file led to another destination before, take that edit back. ",
    )
  );
}

/** Whether somebody said that all may be copied again: for a loss in advance, for what the file changed with a counter. */
function isAnswered({ code }: Breach, mirror: Mirror, { ledger }: Observed): boolean {
  // Nothing was made yet that a publication could be too late for.
  const isTooEarly = code === 'ImmutableFieldChanged' && ledger.mirror?.slotState === 'creating';
  return (
    isTooEarly ||
    (isSlotLoss(code) && mirror.onSlotLoss === 'Resync') ||
    isAcknowledged(mirror, ledger.tables)
  );
}

function startAgain(
  mirror: Mirror,
  observed: Observed,
  record: MirrorRecord,
  reason: string,
): SlotPlan {
  const isElsewhere = identityChange(observed, record) !== undefined;
  const left = isElsewhere ? leftBehind(mirror, record, observed.source) : undefined;
  const unread = isElsewhere ? undefined : formerPublication(mirror, record);
  return {
    steps: [
      ...(unread === undefined ? [] : [{ kind: 'drop-publication', name: unread } as const]),
      { kind: 'reset-slot', reason, ...(left === undefined ? {} : { left }) },
      { kind: 'create-slot', adopt: false },
    ],
    refusals: [],
    forget: true,
  };
}

function planRecordSource({ source, publication }: Observed, record: MirrorRecord): Step[] {
  const { systemIdentifier, timeline } = source;
  const isNews =
    (timeline !== 0 && timeline !== record.sourceTimeline) ||
    (systemIdentifier !== '' && record.sourceSystemIdentifier === '');
  // Whatever else is new of it is a loss.
  const isOwnedAnew =
    publication !== undefined && publication.identity.owner !== record.publicationIdentity?.owner;
  if (!isNews && !isOwnedAnew) return [];
  return [
    {
      kind: 'record-source',
      timeline,
      from: record.sourceTimeline,
      ...(isOwnedAnew ? { publication: publication.identity } : {}),
    },
  ];
}

/** A slot of that name that cannot be ours; `record` undefined: there is none of ours yet. */
function foreignSlot(
  mirror: Mirror,
  observed: Observed,
  record: MirrorRecord | undefined,
): SlotPlan | undefined {
  const { slot, source } = observed;
  if (slot === undefined) return undefined;
  if (slot.plugin !== 'pgoutput')
    return refuseSlot(
      mirror,
      `is ${slot.plugin === '' ? 'physical' : `of plugin ${slot.plugin}`}, not of pgoutput`,
      slot.database,
    );
  const isMoved = record !== undefined && identityChange(observed, record) !== undefined;
  const ours = isMoved ? isSameCluster(record, source) && record.sourceDatabase : source.database;
  if (ours === false)
    return refuseSlot(mirror, 'is there already on the new source', slot.database);
  return slot.database === ours
    ? undefined
    : refuseSlot(mirror, `belongs to database ${slot.database}, not to ${ours}`, slot.database);
}

/** One that is there before the ledger says that ours was made, and that is not even to be tried. */
function strangeSlot(
  mirror: Mirror,
  observed: Observed,
  record: MirrorRecord,
): SlotPlan | undefined {
  const { slot } = observed;
  if (slot === undefined || !isSomebodyElses(slot, record, observed)) return undefined;
  const how = slot.active ? 'is in use' : 'is there';
  return refuseSlot(
    mirror,
    `${how}, and nothing shows that this destination's mirror made it`,
    slot.database,
  );
}

function refuseSlot(mirror: Mirror, problem: string, database: string, first = ''): SlotPlan {
  return { ...NOTHING, refusals: [unknownSlot(mirror, problem, database, first)] };
}

/** The words for a slot that is left alone; `first`: what to look at before anything else. */
export function unknownSlot(
  mirror: Mirror,
  problem: string,
  database: string,
  first = '',
): Refusal {
  const where = database === '' ? '' : `, in database ${database}`;
  return refuse(
    undefined,
    'SlotUnknown',
    `slot ${mirror.slot} ${problem}`,
    `${first}Rename the mirror; or, only if no mirror ${mirror.name} runs anywhere and nobody else uses the slot, on the source${where}: ${dropSlotSql(mirror.slot)};`,
  );
}
