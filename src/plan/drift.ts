import type { ColumnShape, ConstraintShape, IndexShape, TableShape } from '../core/observed.ts';

/** What of a destination table's columns is not as the source's rows need it. */
export interface ColumnDrift {
  /** One line each; with any of them rows cannot be written. */
  readonly problems: readonly string[];
  /** Columns that only the destination has, and that can do without a value. */
  readonly extraColumns: readonly string[];
}

/** Compares by name; the order does not matter. */
export function columnDrift(desired: TableShape, actual: TableShape): ColumnDrift {
  const actualColumns = new Map(actual.columns.map((column) => [column.name, column]));
  const desiredNames = new Set(desired.columns.map((column) => column.name));
  const extra = actual.columns.filter((column) => !desiredNames.has(column.name));
  return {
    problems: [
      ...desired.columns.flatMap((column) =>
        columnProblems(column, actualColumns.get(column.name)),
      ),
      ...extra
        .filter(needsValue)
        .map((column) => `column ${column.name} is only there, NOT NULL and without a default`),
    ],
    extraColumns: extra.filter((column) => !needsValue(column)).map((column) => column.name),
  };
}

function columnProblems(desired: ColumnShape, actual: ColumnShape | undefined): string[] {
  const name = `column ${desired.name}`;
  if (actual === undefined) return [`${name} (${desired.type}) is missing`];
  const problems: string[] = [];
  if (desired.type !== actual.type)
    problems.push(`${name} is ${desired.type} at the source and ${actual.type} at the destination`);
  else if (desired.collation !== actual.collation)
    problems.push(
      `${name} has collation ${desired.collation ?? 'default'} at the source and ${actual.collation ?? 'default'} at the destination`,
    );
  // Generated values are not sent: the destination computes them, or has none.
  if ((desired.generated === 'no') !== (actual.generated === 'no'))
    problems.push(
      desired.generated === 'no'
        ? `${name} is generated at the destination only`
        : `${name} is generated at the source only`,
    );
  if (actual.notNull && !desired.notNull)
    problems.push(`${name} is NOT NULL at the destination only`);
  return problems;
}

function needsValue(column: ColumnShape): boolean {
  return (
    column.notNull &&
    column.defaultExpression === undefined &&
    column.generated === 'no' &&
    column.identity === 'no'
  );
}

/** What of a destination table's keys and indexes is missing. */
export interface KeyDrift {
  readonly constraints: readonly ConstraintShape[];
  readonly indexes: readonly IndexShape[];
  /** Another primary key: rows are told apart differently. */
  readonly problems: readonly string[];
  /** Names that are taken by something with another definition; left as they are. */
  readonly differing: readonly string[];
}

/** Compares by definition: one under another name is as good. Checks are the table's, not keys. */
export function keyDrift(desired: TableShape, actual: TableShape): KeyDrift {
  const taken = new Set([
    ...actual.constraints.map((constraint) => constraint.name),
    ...actual.indexes.filter((index) => index.valid).map((index) => index.name),
  ]);
  const constraints = desired.constraints.filter(
    (constraint) => constraint.kind !== 'check' && !hasConstraint(actual, constraint),
  );
  const indexes = desired.indexes.filter((index) => !hasIndex(actual, index));
  const otherKey = constraints.some((constraint) => constraint.kind === 'primary key')
    ? actual.constraints.find((constraint) => constraint.kind === 'primary key')
    : undefined;
  return {
    constraints: constraints.filter((constraint) => !taken.has(constraint.name)),
    indexes: indexes.filter((index) => !taken.has(index.name)),
    problems:
      otherKey === undefined
        ? []
        : [`the primary key is (${otherKey.columns.join(', ')}) at the destination only`],
    differing: [...constraints, ...indexes]
      .map((part) => part.name)
      .filter((name) => taken.has(name) && name !== otherKey?.name),
  };
}

function hasConstraint(actual: TableShape, desired: ConstraintShape): boolean {
  const alike = (constraint: ConstraintShape): boolean =>
    constraint.kind === desired.kind &&
    (constraint.definition === desired.definition ||
      // The rest (INCLUDE, fillfactor, DEFERRABLE) does not change what identifies a row.
      (desired.kind === 'primary key' && sameList(constraint.columns, desired.columns)));
  if (actual.constraints.some(alike)) return true;
  return (
    desired.kind === 'unique' &&
    actual.indexes.some(
      (index) => index.unique && index.valid && index.definition === desired.indexDefinition,
    )
  );
}

function hasIndex(actual: TableShape, desired: IndexShape): boolean {
  return (
    actual.indexes.some(
      (index) =>
        index.valid && index.unique === desired.unique && index.definition === desired.definition,
    ) ||
    (desired.unique &&
      actual.constraints.some((constraint) => constraint.indexDefinition === desired.definition))
  );
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
