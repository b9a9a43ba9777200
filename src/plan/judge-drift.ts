import type { ColumnShape, Observed } from '../core/observed.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import { isSwapping } from '../core/table-state.ts';
import { columnDrift, columnsOnlyThere, keyDrift } from './drift.ts';
import { describeMend, isEmptyMend, mayMend, planMend } from './mend.ts';
import type { Notice, Refusal, Step } from './plan.ts';
import { refuse } from './refuse.ts';
import type { TableCase } from './table-case.ts';
import {
  alteredForeignKeys,
  lackedDefaults,
  printAlike,
  untilResync,
  type Comparison,
} from './unmended.ts';

interface DriftVerdict {
  readonly refusals: readonly Refusal[];
  readonly notices: readonly Notice[];
}

/** What a destination table of another shape comes to: a copy mends it; without one it is refused, or left. */
export function judgeDrift(
  tableCase: TableCase,
  copy: readonly Step[],
  look: Observed,
): DriftVerdict {
  const { desired, observed } = tableCase;
  const actual = observed.destinationShape;
  if (desired === undefined || actual === undefined) return { refusals: [], notices: [] };
  const shapes: Comparison = { desired, actual, sameMajor: printAlike(look) };
  if (!isMended(tableCase, copy)) return judgeUnmended(tableCase, shapes);
  const mend = planMend(desired, actual, tableCase);
  const isDropped = ({ name }: { readonly name: string }): boolean => mend.dropped.includes(name);
  return {
    refusals: isEmptyMend(mend) || actual.owned ? [] : [ownerRefusal(tableCase, look.destination)],
    notices: [
      ...describeMend(mend).map((line) => notice(tableCase, 'ShapeDiffers', line)),
      ...defaultNotices(
        tableCase,
        lackedDefaults(desired, actual).filter(({ name }) => !mend.retyped.includes(name)),
      ),
      ...columnsOnlyThere(desired, actual)
        .filter((column) => !isDropped(column))
        .map(({ name: column }) =>
          notice(
            tableCase,
            'ExtraColumn',
            observed.destinationHasRows === false
              ? `column ${column} is at the destination only; it is left as it is`
              : `column ${column} is at the destination only; it is kept with its default, and its values are lost`,
          ),
        ),
    ],
  };
}

/** By the copy that is planned, or by a shadow that is there with its rows. */
export function isMended({ record, table }: TableCase, copy: readonly Step[]): boolean {
  return copy.some(
    (step) =>
      (step.kind === 'copy-table' && mayMend(record?.observed, table.generation)) ||
      (step.kind === 'replay-table' && record !== undefined && isSwapping(record)),
  );
}

function judgeUnmended(tableCase: TableCase, shapes: Comparison): DriftVerdict {
  const { desired, actual } = shapes;
  const { excludeColumns, destination } = tableCase.table;
  const columns = columnDrift(desired, actual);
  const { otherKey, differing } = keyDrift(desired, actual);
  const problems = columns.problems.map(({ message }) => message);
  if (otherKey !== undefined)
    problems.push(`the primary key is (${otherKey.columns.join(', ')}) at the destination only`);
  return {
    refusals: problems.map((problem) =>
      refuse(
        tableCase.table,
        'SchemaMismatch',
        `${formatTableName(destination)}: ${problem}`,
        'Make the destination table like the source, or bump its resyncGeneration: the copy gives it the shape of the source.',
      ),
    ),
    notices: [
      ...columns.extraColumns
        .filter((column) => !excludeColumns.includes(column))
        .map((column) =>
          notice(
            tableCase,
            'ExtraColumn',
            `column ${column} is at the destination only; it is left as it is`,
          ),
        ),
      ...describeMend(untilResync(shapes)).map((line) => notice(tableCase, 'ShapeDiffers', line)),
      ...defaultNotices(tableCase, lackedDefaults(desired, actual)),
      ...alteredForeignKeys(shapes).map(({ name }) =>
        notice(
          tableCase,
          'IndexDiffers',
          `foreign key ${name} is defined otherwise than at the source; it is left as it is until a resync`,
        ),
      ),
      ...foreignKeysElsewhere(shapes).map((line) => notice(tableCase, 'IndexDiffers', line)),
      ...differing.map((part) =>
        notice(
          tableCase,
          'IndexDiffers',
          `${part} is defined otherwise than at the source; it is left as it is until a resync`,
        ),
      ),
    ],
  };
}

/** As those have that were made before the table that they reference got another destination. */
function foreignKeysElsewhere({ desired, actual }: Comparison): string[] {
  return desired.foreignKeys.flatMap(({ name, references }) => {
    const own = actual.foreignKeys.find((key) => key.name === name);
    return own === undefined || sameTable(own.references, references)
      ? []
      : [
          `foreign key ${name} references ${formatTableName(own.references)}, and ${formatTableName(references)} is mirrored; it is left as it is until a resync`,
        ];
  });
}

function defaultNotices(tableCase: TableCase, columns: readonly ColumnShape[]): Notice[] {
  return columns.map(({ name, defaultExpression }) =>
    notice(
      tableCase,
      'ShapeDiffers',
      `column ${name} has no default, at the source ${defaultExpression}; it is left as it is`,
    ),
  );
}

function ownerRefusal({ table }: TableCase, { role }: Observed['destination']): Refusal {
  return refuse(
    table,
    'PermissionDenied',
    `role ${role.name} does not own ${formatTableName(table.destination)}, so it may not give it the source's shape`,
    'Make the role a member of the owner at the destination, or alter the table by hand.',
  );
}

function notice({ table }: TableCase, reason: Notice['reason'], line: string): Notice {
  return { table, reason, message: `${formatTableName(table.destination)}: ${line}` };
}
