import type { Observed, SwapObstacle } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { planMend } from './mend.ts';
import type { Refusal } from './plan.ts';
import { refuse } from './refuse.ts';
import type { TableCase } from './table-case.ts';

const RETYPE_HINT =
  'Drop or change the object that the message names for the time of the resync; where a type changes, it is in the way of either resyncStrategy.';
const DROP_HINT =
  'Drop or change the object that the message names; with deletionPolicy: Retain the column stays, without its values.';

/**
 * What a copy by swap would not carry over or may not do: at most one refusal, that names all of it.
 * What a change of type would break is among it.
 */
export function swapRefusals(tableCase: TableCase, { destination }: Observed): Refusal[] {
  const { table, observed } = tableCase;
  const always = observed.swapObstacles.filter(({ columns }) => columns === undefined);
  const named = new Set(always.map(({ object }) => object));
  const retyped = retypeObstacles(tableCase).filter(({ object }) => !named.has(object));
  const sentences = [
    ...(destination.canCreate
      ? []
      : [
          `role ${destination.role.name} may not CREATE in database ${destination.database}, which the schema of its shadow needs`,
        ]),
    ...[...always, ...retyped].map((obstacle) => toSentence(obstacle, tableCase)),
  ];
  if (sentences.length === 0) return [];
  return [
    refuse(
      table,
      'SwapObstructed',
      `${formatTableName(table.destination)} cannot be swapped: ${sentences.join('; ')}`,
      hintFor(retyped, tableCase),
    ),
  ];
}

/** The same for a copy into the table itself (`truncate`): what keeps it from being emptied, or its columns from being mended. */
export function truncateRefusals(tableCase: TableCase): Refusal[] {
  const { table, observed } = tableCase;
  const { emptyObstacles } = observed;
  if (emptyObstacles.length === 0) return retypeRefusals(tableCase);
  return [
    refuse(
      table,
      'PermissionDenied',
      `${formatTableName(table.destination)} cannot be emptied: ${emptyObstacles.map((obstacle) => toSentence(obstacle, tableCase)).join('; ')}`,
      'Make the role a member of the owner at the destination, or grant it the right that the message names.',
    ),
  ];
}

function retypeRefusals(tableCase: TableCase): Refusal[] {
  const { table } = tableCase;
  const obstacles = retypeObstacles(tableCase);
  if (obstacles.length === 0) return [];
  return [
    refuse(
      table,
      'SchemaMismatch',
      `${formatTableName(table.destination)} cannot be given the source's types: ${obstacles.map((obstacle) => toSentence(obstacle, tableCase)).join('; ')}`,
      hintFor(obstacles, tableCase),
    ),
  ];
}

/** Those that count for some columns only, where the copy changes one of them. */
function retypeObstacles({ observed, desired, dropped }: TableCase): SwapObstacle[] {
  const actual = observed.destinationShape;
  if (desired === undefined || actual === undefined) return [];
  const { retyped } = planMend(desired, actual, { dropped });
  return observed.swapObstacles.flatMap((obstacle) => {
    const columns = obstacle.columns?.filter((column) => retyped.includes(column)) ?? [];
    return columns.length === 0 ? [] : [{ ...obstacle, columns }];
  });
}

function toSentence(obstacle: SwapObstacle, tableCase: TableCase): string {
  const { object, reason, columns } = obstacle;
  if (columns === undefined) return `${object} ${reason}`;
  return isOfDropped(obstacle, tableCase)
    ? `${object} depends on ${columns.join(', ')}, which the resync drops`
    : `${object} ${reason} ${columns.join(', ')}, which the resync changes`;
}

function hintFor(obstacles: readonly SwapObstacle[], tableCase: TableCase): string | undefined {
  if (obstacles.length === 0) return undefined;
  const isDrop = obstacles.every((obstacle) => isOfDropped(obstacle, tableCase));
  return isDrop ? DROP_HINT : RETYPE_HINT;
}

function isOfDropped({ columns }: SwapObstacle, { dropped }: TableCase): boolean {
  return columns?.every((column) => dropped.includes(column)) === true;
}
