/**
 * Decides what is to be done, from one look at both databases. Pure: no clock, no connection, no
 * log; the same input gives the same plan, and after its execution the next plan is empty.
 */
import type { Mirror } from '../core/mirror.ts';
import type { Observed } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { LEDGER_MIGRATIONS } from '../sql/ledger.ts';
import { generationNotices, planCopy } from './copies.ts';
import { planForeignKeys, planKeys } from './dependents.ts';
import { columnDrift, keyDrift } from './drift.ts';
import type { Notice, Plan, Refusal, Step } from './plan.ts';
import { preflightMirror, preflightTable } from './preflight.ts';
import { planProvision } from './provision.ts';
import {
  planPublication,
  preflightPublication,
  preflightPublished,
  publicationNotices,
} from './publication.ts';
import { refuse } from './refuse.ts';
import { planSlot } from './slot.ts';
import { isRecordOf, tableCases, type TableCase } from './table-case.ts';

/**
 * The difference between the file and the two databases. A refused table has no steps, the others
 * have; a refused mirror has none at all, but all that is refused is named.
 */
export function planMirror(mirror: Mirror, observed: Observed): Plan {
  if (mirror.suspend) return suspended(mirror);
  const slot = planSlot(mirror, observed);
  const cases = tableCases(mirror, observed, slot.forget);
  const verdicts = cases
    .filter((tableCase) => !tableCase.moved)
    .map((tableCase) => judge(tableCase, mirror, observed));
  const mirrorRefusals = [
    ...preflightMirror(mirror, observed),
    ...preflightPublication(mirror, observed.publication),
    ...slot.refusals,
  ];
  const accepted = verdicts.filter((verdict) => verdict.refusals.length === 0);
  return {
    mirror: mirror.name,
    steps: mirrorRefusals.length > 0 ? [] : orderSteps(mirror, observed, slot.steps, accepted),
    refusals: [...mirrorRefusals, ...verdicts.flatMap((verdict) => verdict.refusals)],
    notices: [
      ...verdicts.flatMap((verdict) => verdict.notices),
      ...publicationNotices(mirror, observed),
    ],
  };
}

interface Verdict {
  readonly tableCase: TableCase;
  readonly copy: readonly Step[];
  readonly refusals: readonly Refusal[];
  readonly notices: readonly Notice[];
}

function judge(tableCase: TableCase, mirror: Mirror, observed: Observed): Verdict {
  const copy = planCopy(tableCase, mirror);
  const unfit = [
    ...preflightTable(tableCase, mirror, observed),
    ...preflightPublished(tableCase, mirror, observed.publication),
    ...driftRefusals(tableCase),
  ];
  return {
    tableCase,
    copy: copy.steps,
    // What a copy would be refused for is beside the point while there can be none.
    refusals: unfit.length > 0 ? unfit : copy.refusals,
    notices: [...generationNotices(tableCase), ...driftNotices(tableCase)],
  };
}

function driftRefusals({ table, observed, desired }: TableCase): Refusal[] {
  const actual = observed.destinationShape;
  if (desired === undefined || actual === undefined) return [];
  return [...columnDrift(desired, actual).problems, ...keyDrift(desired, actual).problems].map(
    (problem) =>
      refuse(table, 'SchemaMismatch', `${formatTableName(table.destination)}: ${problem}`),
  );
}

function driftNotices({ table, observed, desired }: TableCase): Notice[] {
  const actual = observed.destinationShape;
  if (desired === undefined || actual === undefined) return [];
  const name = formatTableName(table.destination);
  const extra = columnDrift(desired, actual).extraColumns.filter(
    (column) => !table.excludeColumns.includes(column),
  );
  return [
    ...extra.map((column): Notice => ({
      table,
      reason: 'ExtraColumn',
      message: `column ${column} of ${name} is at the destination only; it is left as it is`,
    })),
    ...keyDrift(desired, actual).differing.map((part): Notice => ({
      table,
      reason: 'IndexDiffers',
      message: `${part} of ${name} is defined otherwise than at the source; it is left as it is`,
    })),
  ];
}

function orderSteps(
  mirror: Mirror,
  observed: Observed,
  slotSteps: readonly Step[],
  accepted: readonly Verdict[],
): Step[] {
  const cases = accepted.map((verdict) => verdict.tableCase);
  const ofKind = (...kinds: Step['kind'][]): Step[] =>
    slotSteps.filter((step) => kinds.includes(step.kind));
  const { version } = observed.ledger;
  return [
    ...(version < LEDGER_MIGRATIONS.length
      ? [{ kind: 'migrate-ledger', fromVersion: version } as const]
      : []),
    ...ofKind('register-mirror'),
    ...planProvision(cases, observed.destinationSchemas),
    // First what is lost is written down: a publication that is mended before that would hide the gap.
    ...ofKind('reset-slot'),
    // The slot decodes with the catalog of its time: a publication made after it is not seen (TRAPS 20).
    ...planPublication(
      mirror,
      observed,
      cases.map((tableCase) => tableCase.table),
    ),
    ...ofKind('create-slot'),
    ...cases
      .filter((tableCase) => tableCase.record === undefined)
      .map(({ table }): Step => ({ kind: 'register-table', table })),
    ...accepted.flatMap((verdict) => verdict.copy),
    ...planKeys(cases),
    ...planForeignKeys(mirror, observed, cases),
    ...observed.ledger.tables
      .filter((record) => !mirror.tables.some((table) => isRecordOf(record, table)))
      .map((record): Step => ({ kind: 'retire-table', record })),
  ];
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
