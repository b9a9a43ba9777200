import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type {
  ColumnShape,
  ConstraintShape,
  ForeignKeyShape,
  IndexShape,
  SequenceShape,
  TableShape,
} from '../core/observed.ts';
import { sameTable, type TableName } from '../core/table-name.ts';
import { quoteLiteral, quoteTable } from '../sql/quote.ts';

/** What of a mirror decides about the shape of its tables. */
export type ShapeRules = Pick<Mirror, 'replicateIndexes' | 'replicateForeignKeys' | 'tables'>;

/**
 * The shape that the destination table ought to have: the source's without the excluded columns and
 * all that reads them, under the destination's names. Creating a table, comparing it and building
 * its keys all start from here.
 *
 * - Checks that are NOT VALID stay away: rows that break them are on their way here.
 * - Without replicateIndexes only what identifies rows is left: the primary key and the replica identity.
 * - Foreign keys to tables outside the mirror have nothing to point at.
 */
export function desiredShape(
  rules: ShapeRules,
  table: MirrorTable,
  source: TableShape,
): TableShape {
  const columns = mirroredColumns(source, table.excludeColumns);
  const kept = new Set(columns.map((column) => column.name));
  const complete = (part: { readonly touches: readonly string[] }): boolean =>
    part.touches.every((column) => kept.has(column));
  const sequences = source.sequences.filter((sequence) => kept.has(sequence.column));
  return {
    ...source,
    name: table.destination,
    kind: 'table',
    columns: columns.map((column) => withMappedSequences(column, sequences, table)),
    constraints: source.constraints.filter(
      (constraint) =>
        complete(constraint) && constraint.validated && wantsConstraint(rules, source, constraint),
    ),
    indexes: source.indexes.filter(
      (index) =>
        complete(index) &&
        index.valid &&
        (rules.replicateIndexes || isIdentityIndex(source, index)),
    ),
    foreignKeys: rules.replicateForeignKeys
      ? source.foreignKeys
          .filter((key) => key.columns.every((column) => kept.has(column)))
          .flatMap((key) => withMappedReference(key, rules.tables))
      : [],
    sequences: sequences.map((sequence) => mapSequence(sequence, table)),
  };
}

/** The source's columns that are mirrored: not excluded, and not computed from one that is. */
export function mirroredColumns(
  source: TableShape,
  excludeColumns: readonly string[],
): readonly ColumnShape[] {
  return source.columns.filter(
    (column) =>
      !excludeColumns.includes(column.name) &&
      !column.touches.some((touched) => excludeColumns.includes(touched)),
  );
}

/** A sequence beside its table stays beside it; one from another schema keeps that schema. */
export function mapSequence(sequence: SequenceShape, table: MirrorTable): SequenceShape {
  const beside = sequence.name.schema === table.source.schema;
  const name: TableName = beside
    ? { schema: table.destination.schema, name: sequence.name.name }
    : sequence.name;
  return sameTable(name, sequence.name)
    ? sequence
    : { ...sequence, name, literal: `${quoteLiteral(quoteTable(name)).trim()}::regclass` };
}

function withMappedSequences(
  column: ColumnShape,
  sequences: readonly SequenceShape[],
  table: MirrorTable,
): ColumnShape {
  if (column.defaultExpression === undefined || column.generated !== 'no') return column;
  const defaultExpression = sequences
    .filter((sequence) => sequence.column === column.name)
    .reduce(
      (expression, sequence) =>
        expression.replaceAll(sequence.literal, () => mapSequence(sequence, table).literal),
      column.defaultExpression,
    );
  return { ...column, defaultExpression };
}

function withMappedReference(
  key: ForeignKeyShape,
  tables: readonly MirrorTable[],
): ForeignKeyShape[] {
  const referenced = tables.find((table) => sameTable(table.source, key.references));
  return referenced === undefined ? [] : [{ ...key, references: referenced.destination }];
}

function wantsConstraint(
  rules: ShapeRules,
  source: TableShape,
  constraint: ConstraintShape,
): boolean {
  switch (constraint.kind) {
    case 'check':
    case 'primary key':
      return true;
    case 'unique':
      return rules.replicateIndexes || isIdentity(source, constraint.columns);
    case 'exclusion':
      return rules.replicateIndexes;
  }
}

function isIdentityIndex(source: TableShape, index: IndexShape): boolean {
  return index.unique && isIdentity(source, index.touches);
}

function isIdentity({ replicaIdentity }: TableShape, columns: readonly string[]): boolean {
  return (
    replicaIdentity.kind === 'index' &&
    replicaIdentity.columns.length === columns.length &&
    replicaIdentity.columns.every((column) => columns.includes(column))
  );
}
