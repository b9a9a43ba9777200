import type { Mirror } from '../core/mirror.ts';
import type { ForeignKeyShape, Observed, SavedForeignKey, TableShape } from '../core/observed.ts';
import { sameTable, type TableName } from '../core/table-name.ts';
import { keyDrift } from './drift.ts';
import type { Step } from './plan.ts';
import { isRecordOf, type TableCase } from './table-case.ts';

/** Keys and indexes that Live tables lack. Others get theirs at the end of their copy, and so do columns that it brings. */
export function planKeys(cases: readonly TableCase[]): Step[] {
  return cases.filter(isLive).flatMap((tableCase): Step[] => {
    const { table, observed, desired } = tableCase;
    const actual = observed.destinationShape;
    if (desired === undefined || actual === undefined) return [];
    const drift = keyDrift(desired, actual);
    const isPossible = ({ touches }: { readonly touches: readonly string[] }): boolean =>
      isFilled(tableCase, touches);
    return [
      ...drift.constraints.filter(isPossible).map((constraint): Step => ({
        kind: 'create-constraint',
        table,
        constraint,
      })),
      ...drift.indexes
        .filter(isPossible)
        .map((index): Step => ({ kind: 'create-index', table, index })),
    ];
  });
}

/**
 * Foreign keys, once both ends are Live: those of a truncated table back first, then the source's.
 * One that its owner's restore will bring is not added beside it.
 */
export function planForeignKeys(
  mirror: Mirror,
  observed: Observed,
  cases: readonly TableCase[],
): Step[] {
  const saved = observed.ledger.savedForeignKeys;
  return [
    ...saved
      .filter(
        (key) => isSettled(mirror, observed, key.table) && isSettled(mirror, observed, key.owner),
      )
      .map((saved): Step => {
        const table =
          mirror.tables.find((mirrored) => sameTable(mirrored.destination, saved.owner)) ??
          mirror.tables.find((mirrored) => sameTable(mirrored.destination, saved.table));
        const owner = cases.find(({ table: mirrored }) =>
          sameTable(mirrored.destination, saved.owner),
        );
        const atSource = owner?.desired?.foreignKeys.find(({ name }) => name === saved.name);
        return { kind: 'restore-foreign-key', table, saved, atSource };
      }),
    ...cases.filter(isLive).flatMap((tableCase) => planForeignKeysOf(tableCase, cases, saved)),
  ];
}

function planForeignKeysOf(
  tableCase: TableCase,
  cases: readonly TableCase[],
  saved: readonly SavedForeignKey[],
): Step[] {
  const { table, observed, desired } = tableCase;
  const actual = observed.destinationShape;
  if (desired === undefined || actual === undefined) return [];
  return desired.foreignKeys.flatMap((key): Step[] => {
    const referenced = cases.find((other) => sameTable(other.table.destination, key.references));
    if (referenced === undefined || !isLive(referenced)) return [];
    if (!isFilled(tableCase, key.columns) || !isWhole(referenced)) return [];
    const waits = (candidate: SavedForeignKey): boolean =>
      sameTable(candidate.owner, table.destination) && candidate.name === key.name;
    if (saved.some(waits)) return [];
    const present = findForeignKey(actual, key);
    if (present === undefined)
      return [{ kind: 'add-foreign-key', table, foreignKey: key, references: key.references }];
    return key.validated && !present.validated
      ? [{ kind: 'validate-foreign-key', table, owner: table.destination, name: present.name }]
      : [];
  });
}

/** The columns are there, with the source's values: one that was left out until now has them after a copy. */
function isFilled(
  { record, observed: { destinationShape } }: TableCase,
  wanted: readonly string[],
): boolean {
  const left = [...(record?.excludeColumns ?? []), ...(record?.staleColumns ?? [])];
  return wanted.every(
    (column) =>
      !left.includes(column) && destinationShape?.columns.some(({ name }) => name === column),
  );
}

/** It has every column that it ought to have. */
function isWhole(tableCase: TableCase): boolean {
  return isFilled(
    tableCase,
    (tableCase.desired?.columns ?? []).map(({ name }) => name),
  );
}

/** By what it says, under whatever name; or by its name, as another major version may print it otherwise. */
export function findForeignKey(
  actual: TableShape,
  desired: ForeignKeyShape,
): ForeignKeyShape | undefined {
  const alike = (key: ForeignKeyShape): boolean =>
    sameTable(key.references, desired.references) &&
    key.definition === desired.definition &&
    key.columns.length === desired.columns.length &&
    key.columns.every((column, index) => column === desired.columns[index]);
  return (
    actual.foreignKeys.find(alike) ?? actual.foreignKeys.find((key) => key.name === desired.name)
  );
}

/** Live in the ledger, and there. */
function isLive({ record, observed, moved, refilled }: TableCase): boolean {
  const isThere = observed.destinationShape !== undefined && !refilled;
  return !moved && record?.state.phase === 'Live' && isThere;
}

/** A destination table that no copy is about to touch: Live, or none of the file's. */
function isSettled(mirror: Mirror, { ledger }: Observed, name: TableName): boolean {
  const table = mirror.tables.find(({ destination }) => sameTable(destination, name));
  if (table === undefined) return true;
  return ledger.tables.find((one) => isRecordOf(one, table))?.state.phase === 'Live';
}
