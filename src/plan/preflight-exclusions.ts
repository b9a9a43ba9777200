/** What is asked of a file's excludeColumns before anything is done about them. */
import type { TableShape } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { runOf } from '../core/table-state.ts';
import { mayMend } from './mend.ts';
import { needingParts, type NeedingPart } from './needing-parts.ts';
import type { Refusal } from './plan.ts';
import { refuse, underCheck } from './refuse.ts';
import type { TableCase } from './table-case.ts';

/** `shape` is the source's. None of them says anything about the table without those exclusions. */
export function preflightExclusions(tableCase: TableCase, shape: TableShape): Refusal[] {
  return underCheck('excluded-columns', [
    ...missingIdentityColumns(tableCase, shape),
    ...unknownExclusions(tableCase, shape),
    ...renamedExclusions(tableCase, shape),
    ...strictDomains(tableCase),
    ...needingRefusals(tableCase, shape),
  ]);
}

/** Without its key a row cannot be found again at the destination. */
function missingIdentityColumns(
  { table }: TableCase,
  { replicaIdentity: identity }: TableShape,
): Refusal[] {
  const excluded = identity.columns.filter((column) => table.excludeColumns.includes(column));
  return identity.kind === 'full' || excluded.length === 0
    ? []
    : [
        refuse(
          table,
          'InvalidSpec',
          `excludeColumns of ${formatTableName(table.source)} names ${excluded.join(', ')}, which identifies its rows`,
          'Take it out of excludeColumns.',
        ),
      ];
}

/** A misspelt name would let through what was to stay away. One that was left out before may be gone from the source. */
function unknownExclusions({ table, record }: TableCase, shape: TableShape): Refusal[] {
  if (record?.observed !== undefined && record.excludeColumns === undefined) return [];
  const run = record && runOf(record);
  const names = new Set([
    ...shape.columns.map((column) => column.name),
    ...(record?.excludeColumns ?? []),
    ...(run?.excludeColumns ?? []),
  ]);
  const unknown = table.excludeColumns.filter((column) => !names.has(column));
  return unknown.length === 0
    ? []
    : [
        refuse(
          table,
          'InvalidSpec',
          `excludeColumns of ${formatTableName(table.source)} names ${unknown.join(', ')}, which it does not have`,
          'Correct the name; case counts.',
        ),
      ];
}

/** What was to stay away may be there under another name, and a copy would bring it. */
function renamedExclusions(
  { table, record, observed, desired }: TableCase,
  shape: TableShape,
): Refusal[] {
  const names = new Set(shape.columns.map(({ name }) => name));
  const gone = table.excludeColumns.filter((column) => !names.has(column));
  if (record === undefined || gone.length === 0) return [];
  const there = new Set(observed.destinationShape?.columns.map(({ name }) => name));
  const added = (desired?.columns ?? []).map(({ name }) => name).filter((name) => !there.has(name));
  if (added.length === 0) return [];
  const [was, is] = [gone.join(', '), added.join(', ')];
  return [
    refuse(
      table,
      'InvalidSpec',
      `excludeColumns of ${formatTableName(table.source)} names ${was}, which the source has no more, while ${formatTableName(table.destination)} lacks its ${is}: was it renamed?`,
      `If it was, name it in excludeColumns as it is called now, before any resync. If not, take ${was} out of excludeColumns, and bump its resyncGeneration: ${is} is copied.`,
    ),
  ];
}

/** No copy has gone without them yet; one that has proves that the table can do so. */
function newlyExcluded({ table, record }: TableCase): string[] {
  const { observed, excludeColumns } = record ?? {};
  if (observed !== undefined && excludeColumns === undefined) return [];
  return table.excludeColumns.filter((column) => excludeColumns?.includes(column) !== true);
}

/** Their NOT NULL is the type's, and no ALTER of the column takes it away. A shadow has also those that go at its end. */
function strictDomains(tableCase: TableCase): Refusal[] {
  const { table, observed, dropped } = tableCase;
  const names = newlyExcluded(tableCase);
  const goes = (name: string): boolean =>
    dropped.includes(name) && table.resyncStrategy === 'truncate';
  const strict = (observed.destinationShape?.columns ?? []).filter(
    ({ name, strictDomain, defaultExpression }) =>
      strictDomain === true &&
      defaultExpression === undefined &&
      names.includes(name) &&
      !goes(name),
  );
  return strict.map(({ name, type }) =>
    refuse(
      table,
      'InvalidSpec',
      `column ${name} of ${formatTableName(table.destination)} cannot be left out: its type ${type} is a domain that is NOT NULL`,
      'At the destination give the column a default or another type, or drop it.',
    ),
  );
}

/** What the copy drops as the source's is no obstacle, where the copy may do so. */
function needingRefusals(tableCase: TableCase, shape: TableShape): Refusal[] {
  const { table, record, observed, dropped } = tableCase;
  const actual = observed.destinationShape;
  if (actual === undefined) return [];
  const mends = mayMend(record?.observed, table.generation);
  const isInTheWay = ({ ofSource, isContent, columns }: NeedingPart): boolean =>
    !(ofSource && mends) && !isContent && !columns.some((column) => dropped.includes(column));
  return needingParts({ excludeColumns: newlyExcluded(tableCase) }, shape, actual)
    .filter(isInTheWay)
    .map(({ kind, name, columns, ofSource }) =>
      refuse(
        table,
        'InvalidSpec',
        `column ${columns.join(', ')} of ${formatTableName(table.destination)} cannot be left out: ${kind} ${name}${ofSource ? '' : ', which only the destination has,'} needs it`,
        `Drop ${kind} ${name} at the destination${ofSource ? ', or bump its resyncGeneration: the copy drops it' : ''}.`,
      ),
    );
}
