/**
 * Statements that make schemas, tables and sequences. Pure text: `shape` is always the desired one
 * (plan/desired-shape.ts), with the destination's names and without what is not mirrored.
 */
import type { ColumnShape, ConstraintShape, SequenceShape, TableShape } from '../core/observed.ts';
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteTable } from './quote.ts';

/** Nothing when it exists. */
export function createSchemaSql(schema: string): string {
  return `create schema if not exists ${quoteIdent(schema)}`;
}

/** Nothing when it exists. */
export function createSequenceSql(sequence: SequenceShape): string {
  return `create sequence if not exists ${quoteTable(sequence.name)} ${sequence.options}`;
}

/** To the owner of the table that it will feed. */
export function giveSequenceSql(sequence: SequenceShape, owner: string): string {
  return `alter sequence ${quoteTable(sequence.name)} owner to ${quoteIdent(owner)}`;
}

/** Ties a serial's sequence to its column, as at the source. */
export function ownSequenceSql(sequence: SequenceShape, table: TableName): string {
  return `alter sequence ${quoteTable(sequence.name)} owned by ${quoteTable(table)}.${quoteIdent(sequence.column)}`;
}

/** Columns, defaults, NOT NULL and checks. No keys and no foreign keys: they come after the rows. Fails when the table exists. */
export function createTableSql(shape: TableShape): string {
  const identities = new Map(
    shape.sequences
      .filter((sequence) => sequence.kind === 'identity')
      .map((sequence) => [sequence.column, sequence]),
  );
  const lines = [
    ...shape.columns.map((column) => columnSql(column, identities.get(column.name))),
    ...shape.constraints.filter((constraint) => constraint.kind === 'check').map(checkSql),
  ];
  return `create table ${quoteTable(shape.name)} (\n${lines.map((line) => `  ${line}`).join(',\n')}\n)`;
}

/** One column's line in CREATE TABLE or after ADD COLUMN. `sequence` is its identity's. */
export function columnSql(column: ColumnShape, sequence: SequenceShape | undefined): string {
  return [
    quoteIdent(column.name),
    column.type,
    ...(column.collation === undefined ? [] : [`collate ${column.collation}`]),
    ...valueSql(column, sequence),
    ...(column.notNull ? ['not null'] : []),
  ].join(' ');
}

function valueSql(column: ColumnShape, sequence: SequenceShape | undefined): string[] {
  if (column.generated !== 'no')
    return [`generated always as (${column.defaultExpression ?? 'null'}) ${column.generated}`];
  if (column.identity !== 'no') return [identitySql(column, sequence)];
  return column.defaultExpression === undefined ? [] : [`default ${column.defaultExpression}`];
}

/** What makes a column an identity; without its sequence one is made with a name that is free. */
export function identitySql(column: ColumnShape, sequence: SequenceShape | undefined): string {
  const options =
    sequence === undefined
      ? ''
      : ` (sequence name ${quoteTable(sequence.name)} ${sequence.options})`;
  return `generated ${column.identity} as identity${options}`;
}

function checkSql(constraint: ConstraintShape): string {
  return `constraint ${quoteIdent(constraint.name)} ${constraint.definition}`;
}

/** RESTRICT is the server's default: what depends on the table makes it fail. */
export function dropTableSql(table: TableName): string {
  return `drop table ${quoteTable(table)}`;
}
