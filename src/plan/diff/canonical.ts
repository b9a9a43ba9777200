/**
 * What the databases have and what they ought to have by a mirror's file, as pages of canonical YAML to
 * compare: one for the mirror, one for each table. Only what bunnydb answers for, sorted, without secrets
 * and without numbers that change by themselves. Pages that are alike are left out: none are left
 * exactly where the plan has nothing to do and nothing to tell of a difference.
 *
 * What is refused is on no page: what it ought to be is not going to be.
 */
import type { Generation, Mirror } from '../../core/mirror.ts';
import type { Mend } from '../../core/mend.ts';
import type { Observed, TableShape } from '../../core/observed.ts';
import { append } from '../../core/multi-map.ts';
import { formatTableName, type TableName } from '../../core/table-name.ts';
import { isSwapping, type TableRecord } from '../../core/table-state.ts';
import { mirrorSides } from './canonical-mirror.ts';
import { isOneOf, type Page, pageOf, type Sheet, type Sides, sorted } from './canonical-page.ts';
import { shapePair } from './canonical-shape.ts';
import { isMended } from '../judge-drift.ts';
import { NO_MEND, planMend } from '../mend.ts';
import type { Plan, Step } from '../plan.ts';
import { tableCases, type TableCase } from '../table-case.ts';
import { printAlike, untilResync } from '../unmended.ts';

/** The pages that differ. `plan` is what planMirror made of the other two. */
export function comparePages(mirror: Mirror, observed: Observed, plan: Plan): readonly Page[] {
  const isRefused = plan.refusals.some(({ table }) => table === undefined);
  if (mirror.suspend || isRefused) return [];
  const isForgotten = plan.steps.some(({ kind }) => kind === 'reset-slot');
  const refused = isOneOf(plan.refusals.flatMap(({ table }) => table?.destination ?? []));
  const cases = tableCases(mirror, observed, isForgotten).filter(
    ({ table }) => !refused(table.destination),
  );
  const isMirrored = isOneOf(cases.map(({ table }) => table.destination));
  const records = new Map(
    observed.ledger.tables.map((record) => [formatTableName(record.destination), record]),
  );
  const stepsOf = groupSteps(plan);
  return [
    ...pageOf(mirror.name, mirrorSides({ mirror, observed, plan, cases, refused })),
    ...cases.flatMap((tableCase) => {
      const name = formatTableName(tableCase.table.destination);
      const source = formatTableName(tableCase.table.source);
      const steps = stepsOf.get(source) ?? [];
      const sameMajor = printAlike(observed);
      const look = { tableCase, record: records.get(name), steps, isMirrored, sameMajor };
      return pageOf(`${mirror.name}/${name}`, tableSides(look));
    }),
    ...plan.steps.flatMap((step) =>
      step.kind === 'retire-table' && !isMirrored(step.record.destination)
        ? retiredPage(mirror.name, step.record)
        : [],
    ),
  ];
}

interface TableLook {
  readonly tableCase: TableCase;
  /** As the ledger has it: the plan looks at what the loss of a slot leaves of it. Of another source, where that has to make way. */
  readonly record: TableRecord | undefined;
  /** Of this table. */
  readonly steps: readonly Step[];
  /** Whether that table of the destination is on a page too. */
  readonly isMirrored: (table: TableName) => boolean;
  readonly sameMajor: boolean;
}

function groupSteps({ steps }: Plan): Map<string, Step[]> {
  const groups = new Map<string, Step[]>();
  for (const step of steps) {
    if ('table' in step && step.table !== undefined)
      append(groups, formatTableName(step.table.source), step);
  }
  return groups;
}

function tableSides(look: TableLook): Sides {
  const { tableCase, record, steps, isMirrored, sameMajor } = look;
  const { desired } = tableCase;
  const actual = tableCase.observed.destinationShape;
  // Without a table at the source it would be refused.
  if (desired === undefined) return { actual: undefined, desired: undefined };
  const mendOf = (there: TableShape): Mend =>
    isMended(tableCase, steps)
      ? planMend(desired, there, tableCase)
      : untilResync({ desired, actual: there, sameMajor });
  const mend = actual === undefined ? NO_MEND : mendOf(actual);
  const shape = shapePair({ desired, actual, mend, isMirrored, sameMajor });
  const rows = rowSides(look);
  const isUnknown = record === undefined && actual === undefined;
  return {
    actual: isUnknown ? undefined : { ...rows.actual, ...shape.actual },
    desired: { ...rows.desired, ...shape.desired },
  };
}

/** Where the rows come from, how far they are, and what they were copied for. */
function rowSides({ tableCase, record, steps }: TableLook): {
  readonly actual: Sheet;
  readonly desired: Sheet;
} {
  const { table, observed, hasShadow } = tableCase;
  const source = formatTableName(table.source);
  const columns = new Set(observed.sourceShape?.columns.map(({ name }) => name));
  const ofSource = (names: readonly string[]): string[] =>
    sorted(names.filter((name) => columns.has(name)));
  const isDue = steps.some(({ kind }) => kind === 'verify-table');
  const done = record?.observed;
  const kept = tableCase.record?.observed;
  return {
    actual: {
      source: record === undefined ? source : formatTableName(record.source),
      state: stateWord(tableCase, record),
      ...(done && generationSheet(done)),
      comparedWithSource: isDue ? 'due' : undefined,
      leftOfSwap: record !== undefined && hasShadow && !isSwapping(record) ? 'yes' : undefined,
      excludeColumns: ofSource(record?.excludeColumns ?? table.excludeColumns),
      columnsNotFollowed: ofSource(record?.staleColumns ?? []),
    },
    desired: {
      source,
      state: 'Live',
      ...generationSheet({
        table: Math.max(table.generation.table, kept?.table ?? 0),
        mirror: Math.max(table.generation.mirror, kept?.mirror ?? 0),
      }),
      comparedWithSource: isDue ? 'done' : undefined,
      excludeColumns: ofSource(table.excludeColumns),
    },
  };
}

/** A phase; or New, which the ledger does not know; or Stale, whose changes went with the slot or whose rows with their table. */
function stateWord({ record: left, refilled }: TableCase, record: TableRecord | undefined): string {
  if (record === undefined) return 'New';
  const { phase } = record.state;
  const isForgotten = left?.state.phase === 'Pending' && phase !== 'Pending';
  return isForgotten || (refilled && phase === 'Live') ? 'Stale' : phase;
}

/** The table's own counter, and the mirror's where it was ever raised. */
function generationSheet({ table, mirror }: Generation): Sheet {
  return {
    resyncGeneration: table,
    resyncGenerationOfMirror: mirror === 0 ? undefined : mirror,
  };
}

/** The rows that are kept are nobody's business of ours any more. */
function retiredPage(mirror: string, record: TableRecord): Page[] {
  const sheet = { source: formatTableName(record.source), state: record.state.phase };
  return pageOf(`${mirror}/${formatTableName(record.destination)}`, {
    actual: sheet,
    desired: undefined,
  });
}
