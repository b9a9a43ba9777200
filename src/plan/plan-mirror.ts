/**
 * Decides what is to be done, from one look at both databases. Pure: no clock, no connection, no
 * log; the same input gives the same plan, and after its execution the next plan is empty.
 */
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { Observed, ObservedPublication } from '../core/observed.ts';
import type { TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import { LEDGER_MIGRATIONS } from '../sql/ledger.ts';
import { planAcceptance } from './acceptance.ts';
import { generationNotices, planCopy, planShadows } from './copies.ts';
import { planForeignKeys, planKeys } from './dependents.ts';
import { newlyStale, refusesExclusions } from './exclusions.ts';
import { isMended, judgeDrift } from './judge-drift.ts';
import { leftInPlace } from './left-in-place.ts';
import { missingObjectRefusals } from './needed-objects.ts';
import type { Notice, Plan, Refusal, Step } from './plan.ts';
import { preflightMirror, preflightTable } from './preflight.ts';
import { planProvision } from './provision.ts';
import {
  planPublication,
  preflightPublication,
  preflightPublished,
  publicationNotices,
} from './publication.ts';
import { underCheck } from './refuse.ts';
import { planRetirement } from './retirement.ts';
import { planSlot, type SlotPlan } from './slot.ts';
import { asAccepted, isRecordOf, tableCases, type TableCase } from './table-case.ts';

/**
 * The difference between the file and the two databases. A refused table has no steps, the others
 * have; a refused mirror has none at all, but all that is refused is named.
 */
export function planMirror(mirror: Mirror, observed: Observed): Plan {
  if (mirror.suspend) return suspended(mirror);
  const slot = planSlot(mirror, observed);
  const cases = tableCases(mirror, observed, slot.forget);
  const verdicts = cases.map((tableCase) => judge(tableCase, mirror, observed));
  const mirrorRefusals = refusalsOfMirror(mirror, observed, slot);
  const unfit = verdicts.filter(({ refusals }) => refusals.length > 0).map(tableOf);
  const retirement = planRetirement(mirror, observed.ledger, unfit);
  const refused = new Set([...unfit, ...retirement.refusals.map(({ table }) => table)]);
  const accepted = verdicts.filter((verdict) => !refused.has(tableOf(verdict)));
  const steps = orderSteps(mirror, observed, { slot, accepted, retired: retirement.steps });
  return {
    mirror: mirror.name,
    steps: mirrorRefusals.length > 0 ? [] : steps,
    refusals: [
      ...mirrorRefusals,
      ...verdicts.flatMap(({ refusals }) => refusals),
      ...retirement.refusals,
    ],
    notices: [
      ...verdicts.flatMap((verdict) => verdict.notices),
      ...retirement.notices,
      ...publicationNotices(mirror, observed),
    ],
  };
}

function refusalsOfMirror(mirror: Mirror, observed: Observed, slot: SlotPlan): Refusal[] {
  return [
    ...preflightMirror(mirror, observed),
    ...preflightPublication(mirror, observed.publication),
    ...slot.refusals,
  ];
}

/** What is known before any table was looked at. */
type MirrorLook = Omit<Observed, 'tables' | 'publication'> & {
  readonly publication: Omit<ObservedPublication, 'tables' | 'partial'> | undefined;
  /** Tables of the ledger that the destination lacks by now. */
  readonly gone: readonly TableName[];
};

/**
 * Whether the stream may go on before the tables are looked at, which a lock on one of them can hold
 * up for hours. Only where no table could forbid it: else it starts when the plan is known, as a
 * first time does.
 */
export function mayStream(mirror: Mirror, look: MirrorLook): boolean {
  const { gone, publication } = look;
  const { version, mirror: record } = look.ledger;
  if (mirror.suspend || version < LEDGER_MIGRATIONS.length) return false;
  if (record?.slotState !== 'created') return false;
  // Made again while the stream fails it, such a table would look whole, and be followed from nothing.
  if (gone.length > 0) return false;
  // Nor may the source have a column that it is told to leave out, or name its rows by it.
  if (leavesOutMore(mirror, look.ledger.tables)) return false;
  // Whether one of the tables is partitioned is not known yet.
  if (mirror.publication.managed && publication?.viaPartitionRoot !== true) return false;
  const { slot, refusals } = judgeMirror(mirror, look);
  return slot.steps.length === 0 && refusals.length === 0;
}

/** Whether the file says so of a table whose changes are written, and nobody has judged it yet. */
function leavesOutMore(mirror: Mirror, records: readonly TableRecord[]): boolean {
  return mirror.tables.some((table) => {
    const record = records.find((candidate) => isRecordOf(candidate, table));
    return record !== undefined && newlyStale(table, record).length > 0;
  });
}

/** Why nothing of the mirror may go on, as far as that is known before the tables are looked at. */
export function earlyRefusals(mirror: Mirror, look: MirrorLook): readonly Refusal[] {
  return mirror.suspend ? [] : judgeMirror(mirror, look).refusals;
}

function judgeMirror(
  mirror: Mirror,
  { gone: _gone, publication, ...look }: MirrorLook,
): { slot: SlotPlan; refusals: readonly Refusal[] } {
  const observed: Observed = {
    ...look,
    publication: publication && { ...publication, tables: [], partial: [] },
    tables: [],
  };
  const slot = planSlot(mirror, observed);
  return { slot, refusals: refusalsOfMirror(mirror, observed, slot) };
}

interface Verdict {
  readonly tableCase: TableCase;
  readonly copy: readonly Step[];
  readonly refusals: readonly Refusal[];
  readonly notices: readonly Notice[];
}

function judge(tableCase: TableCase, mirror: Mirror, observed: Observed): Verdict {
  const copy = planCopy(tableCase, mirror, observed);
  const unfit = [
    ...preflightTable(tableCase, mirror, observed),
    ...preflightPublished(tableCase, mirror, observed.publication),
    ...underCheck('objects', missingObjectRefusals(tableCase, isMended(tableCase, copy.steps))),
  ];
  const isHeld = unfit.some(refusesExclusions);
  const seen = isHeld ? asAccepted(tableCase, mirror) : tableCase;
  const drift = judgeDrift(seen, isHeld ? [] : copy.steps, observed);
  // What a copy would be refused for is beside the point while there can be none, and what a copy mends too.
  const [refusals = []] = [unfit, copy.refusals, drift.refusals].filter((some) => some.length > 0);
  return {
    tableCase,
    copy: copy.steps,
    refusals,
    notices: [...generationNotices(tableCase), ...drift.notices, ...leftInPlace(seen, mirror)],
  };
}

function tableOf({ tableCase }: Verdict): MirrorTable {
  return tableCase.table;
}

interface Parts {
  readonly slot: SlotPlan;
  readonly accepted: readonly Verdict[];
  readonly retired: readonly Step[];
}

function orderSteps(mirror: Mirror, observed: Observed, parts: Parts): Step[] {
  const { slot, accepted, retired } = parts;
  const cases = accepted.map((verdict) => verdict.tableCase);
  const ofKind = (...kinds: Step['kind'][]): Step[] =>
    slot.steps.filter((step) => kinds.includes(step.kind));
  const coming = accepted.filter(({ tableCase }) => tableCase.moved);
  const staying = accepted.filter(({ tableCase }) => !tableCase.moved);
  const { version } = observed.ledger;
  return [
    ...(version < LEDGER_MIGRATIONS.length
      ? [{ kind: 'migrate-ledger', fromVersion: version } as const]
      : []),
    ...ofKind('register-mirror'),
    ...planProvision(cases, observed.destinationSchemas),
    // First what is lost is written down: a publication that is mended before that would hide the gap.
    ...ofKind('drop-publication', 'reset-slot'),
    // The slot decodes with the catalog of its time: a publication made after it is not seen (TRAPS 20).
    ...planPublication(mirror, observed, accepted.map(tableOf)),
    // With a slot that is there, that is: what was mended of it is known from then on.
    ...ofKind('record-source', 'create-slot'),
    ...registrations(staying),
    ...planAcceptance(mirror, observed.ledger.mirror),
    ...staying.flatMap((verdict) => verdict.copy),
    ...planShadows(cases),
    ...planKeys(cases),
    ...planForeignKeys(mirror, observed, cases),
    ...retired,
    // The ledger has one row for each source and for each place: what comes needs what goes to be gone.
    ...registrations(coming),
    ...coming.flatMap((verdict) => verdict.copy),
  ];
}

function registrations(verdicts: readonly Verdict[]): Step[] {
  return verdicts
    .filter(({ tableCase }) => tableCase.record === undefined)
    .map((verdict): Step => ({ kind: 'register-table', table: tableOf(verdict) }));
}

function suspended(mirror: Mirror): Plan {
  return {
    mirror: mirror.name,
    steps: [],
    refusals: [],
    notices: [
      {
        table: undefined,
        reason: 'Suspended',
        message: 'suspend is true in the file: nothing is applied, and the source keeps its WAL',
      },
    ],
  };
}
