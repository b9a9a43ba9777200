import type { ColumnShape, ConstraintShape, IndexShape, TableShape } from '../core/observed.ts';

/** One way in which a destination column keeps the source's rows out. */
export interface ColumnProblem {
  readonly column: string;
  /** `needs value`: only the destination has it, and it cannot do without a value. */
  readonly kind: 'missing' | 'type' | 'collation' | 'generated' | 'not null' | 'needs value';
  readonly message: string;
}

/** What of a destination table's columns is not as the source's rows need it. */
export interface ColumnDrift {
  /** With any of them rows cannot be written. */
  readonly problems: readonly ColumnProblem[];
  /** Columns that only the destination has, and that can do without a value. */
  readonly extraColumns: readonly string[];
}

/** Compares by name; the order does not matter. */
export function columnDrift(desired: TableShape, actual: TableShape): ColumnDrift {
  const actualColumns = new Map(actual.columns.map((column) => [column.name, column]));
  const extra = columnsOnlyThere(desired, actual);
  return {
    problems: [
      ...desired.columns.flatMap((column) =>
        columnProblems(column, actualColumns.get(column.name)),
      ),
      ...extra.filter(needsValue).map(({ name }): ColumnProblem => ({
        column: name,
        kind: 'needs value',
        message: `column ${name} is only there, NOT NULL and without a default`,
      })),
    ],
    extraColumns: extra.filter((column) => !needsValue(column)).map((column) => column.name),
  };
}

/** Whether or not they can do without a value. */
export function columnsOnlyThere(desired: TableShape, actual: TableShape): ColumnShape[] {
  const names = new Set(desired.columns.map((column) => column.name));
  return actual.columns.filter((column) => !names.has(column.name));
}

function columnProblems(desired: ColumnShape, actual: ColumnShape | undefined): ColumnProblem[] {
  const name = `column ${desired.name}`;
  const problems: ColumnProblem[] = [];
  const found = (kind: ColumnProblem['kind'], message: string): void => {
    problems.push({ column: desired.name, kind, message: `${name} ${message}` });
  };
  if (actual === undefined) {
    found('missing', `(${desired.type}) is missing`);
    return problems;
  }
  if (desired.type !== actual.type)
    found('type', `is ${desired.type} at the source and ${actual.type} at the destination`);
  else if (desired.collation !== actual.collation)
    found(
      'collation',
      `has collation ${desired.collation ?? 'default'} at the source and ${actual.collation ?? 'default'} at the destination`,
    );
  // Generated values are not sent: the destination computes them, or has none.
  if ((desired.generated === 'no') !== (actual.generated === 'no'))
    found(
      'generated',
      `is generated at the ${desired.generated === 'no' ? 'destination' : 'source'} only`,
    );
  if (actual.notNull && !desired.notNull) found('not null', 'is NOT NULL at the destination only');
  return problems;
}

/** A row that does not bring one is refused. */
export function needsValue(column: ColumnShape): boolean {
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
  /** The destination's primary key where it is on other columns: rows are told apart differently. */
  readonly otherKey: ConstraintShape | undefined;
  /** Names that are taken by something with another definition; left as they are. */
  readonly differing: readonly string[];
}

/** Compares by definition: one under another name is as good. Checks are the table's, not keys. */
export function keyDrift(desired: TableShape, actual: TableShape): KeyDrift {
  // A check has no index: its name is free for one.
  const takenIndexes = new Set([
    ...actual.constraints.filter(({ kind }) => kind !== 'check').map(({ name }) => name),
    ...actual.indexes.filter(({ valid }) => valid).map(({ name }) => name),
  ]);
  const taken = new Set([...takenIndexes, ...actual.constraints.map(({ name }) => name)]);
  const constraints = desired.constraints.filter(
    (constraint) => constraint.kind !== 'check' && findConstraint(actual, constraint) === undefined,
  );
  const indexes = desired.indexes.filter((index) => findIndex(actual, index) === undefined);
  const otherKey = constraints.some((constraint) => constraint.kind === 'primary key')
    ? actual.constraints.find((constraint) => constraint.kind === 'primary key')
    : undefined;
  return {
    constraints: constraints.filter(({ name }) => !taken.has(name)),
    indexes: indexes.filter(({ name }) => !takenIndexes.has(name)),
    otherKey,
    differing: [
      ...constraints.filter(({ name }) => taken.has(name)),
      ...indexes.filter(({ name }) => takenIndexes.has(name)),
    ]
      .map(({ name }) => name)
      .filter((name) => name !== otherKey?.name),
  };
}

/** What the destination has for it, under whatever name: a unique constraint may be an index there. */
export function findConstraint(
  actual: TableShape,
  desired: ConstraintShape,
): ConstraintShape | IndexShape | undefined {
  const alike = (constraint: ConstraintShape): boolean =>
    constraint.kind === desired.kind &&
    (constraint.definition === desired.definition ||
      // The rest (INCLUDE, fillfactor, DEFERRABLE) does not change what identifies a row.
      (desired.kind === 'primary key' && sameList(constraint.columns, desired.columns)));
  const found = actual.constraints.find(alike);
  if (found !== undefined || desired.kind !== 'unique') return found;
  return actual.indexes.find(
    (index) => index.unique && index.valid && index.definition === desired.indexDefinition,
  );
}

/** Likewise: the index may be a constraint's. */
export function findIndex(
  actual: TableShape,
  desired: IndexShape,
): ConstraintShape | IndexShape | undefined {
  const found = actual.indexes.find(
    (index) =>
      index.valid && index.unique === desired.unique && index.definition === desired.definition,
  );
  if (found !== undefined || !desired.unique) return found;
  return actual.constraints.find((constraint) => constraint.indexDefinition === desired.definition);
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
