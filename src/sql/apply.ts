/**
 * Statements that write changes to a table. Values come as arrays of text, one for each column, and
 * are read by the column's own input function; names and types are the destination's.
 */
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteTable } from './quote.ts';

/** A destination column as a statement needs it. */
export interface ApplyColumn {
  readonly name: string;
  /** format_type(type, -1): a cast that never truncates; the assignment applies the modifier. */
  readonly baseType: string;
}

/** A key column, and how its type compares for equality: `OPERATOR(pg_catalog.=)`. */
export interface KeyColumn extends ApplyColumn {
  readonly equals: string;
}

/** Parameters: one text[] for each column. */
export function insertSql(table: TableName, columns: readonly ApplyColumn[]): string {
  if (columns.length === 0) return `insert into ${quoteTable(table)} default values`;
  const names = columns.map((column) => quoteIdent(column.name)).join(', ');
  const values = columns.map((column, index) => `s.c${index}::${column.baseType}`).join(', ');
  return (
    `insert into ${quoteTable(table)} (${names}) overriding system value ` +
    `select ${values} from ${unnestSql(columns.map((_, index) => `c${index}`))}`
  );
}

/** Parameters: a text[] for each key column (the old key), then one for each column to set. */
export function updateSql(
  table: TableName,
  key: readonly KeyColumn[],
  set: readonly ApplyColumn[],
): string {
  const aliases = [...key.map((_, index) => `k${index}`), ...set.map((_, index) => `c${index}`)];
  const assignments = set
    .map((column, index) => `${quoteIdent(column.name)} = s.c${index}::${column.baseType}`)
    .join(', ');
  return `update ${quoteTable(table)} as t set ${assignments} from ${unnestSql(aliases)} where ${keyMatch(key)}`;
}

/**
 * For what UPDATE cannot set (identity ALWAYS): takes the rows out and puts them in again, with the
 * columns of `kept` as they were. Parameters as updateSql's.
 */
export function replaceSql(
  table: TableName,
  key: readonly KeyColumn[],
  columns: { readonly set: readonly ApplyColumn[]; readonly kept: readonly ApplyColumn[] },
): string {
  const { set, kept } = columns;
  const keys = key.map((_, index) => `k${index}`);
  const news = set.map((_, index) => `c${index}`);
  const olds = kept.map((_, index) => `o${index}`);
  const returned = [
    ...news.map((alias) => `s.${alias}`),
    ...kept.map(({ name }) => `t.${quoteIdent(name)}`),
  ];
  const values = [...set.map((column, index) => `c${index}::${column.baseType}`), ...olds];
  return (
    `with gone (${[...news, ...olds].join(', ')}) as (` +
    `delete from ${quoteTable(table)} as t using ${unnestSql([...keys, ...news])} where ${keyMatch(key)} ` +
    `returning ${returned.join(', ')}) ` +
    `insert into ${quoteTable(table)} (${[...set, ...kept].map(({ name }) => quoteIdent(name)).join(', ')}) ` +
    `overriding system value select ${values.join(', ')} from gone`
  );
}

/** Parameters: a text[] for each key column. */
export function deleteSql(table: TableName, key: readonly KeyColumn[]): string {
  return `delete from ${quoteTable(table)} as t using ${unnestSql(key.map((_, index) => `k${index}`))} where ${keyMatch(key)}`;
}

/** Touches exactly one row that prints like the old one (TRAPS 35). Parameters: a text for each old column, then each set column. */
export function updateOneSql(
  table: TableName,
  old: readonly ApplyColumn[],
  set: readonly ApplyColumn[],
): string {
  const assignments = set
    .map(
      (column, index) =>
        `${quoteIdent(column.name)} = $${old.length + index + 1}::text::${column.baseType}`,
    )
    .join(', ');
  return `update ${quoteTable(table)} set ${assignments} where (tableoid, ctid) = ${oneRowSql(table, old)}`;
}

/** Touches exactly one row that prints like the old one. Parameters: a text for each old column. */
export function deleteOneSql(table: TableName, old: readonly ApplyColumn[]): string {
  return `delete from ${quoteTable(table)} where (tableoid, ctid) = ${oneRowSql(table, old)}`;
}

/** In the order of the relation's columns; text format. */
export function copyIntoSql(table: TableName, columns: readonly ApplyColumn[]): string {
  return `copy ${quoteTable(table)} (${columns.map((column) => quoteIdent(column.name)).join(', ')}) from stdin`;
}

/** A partitioned table has no rows of its own; of any other, what inherits from it is not ours. */
export interface EmptiedTable {
  readonly table: TableName;
  readonly partitioned: boolean;
}

/** One statement for all, as at the source. */
export function truncateSql(tables: readonly EmptiedTable[]): string {
  return `truncate ${tables.map(emptiedSql).join(', ')}`;
}

/** For a table that a foreign key from outside keeps from being truncated. */
export function deleteAllSql(table: EmptiedTable): string {
  return `delete from ${emptiedSql(table)}`;
}

function emptiedSql({ table, partitioned }: EmptiedTable): string {
  return `${partitioned ? '' : 'only '}${quoteTable(table)}`;
}

function unnestSql(aliases: readonly string[]): string {
  const parameters = aliases.map((_, index) => `$${index + 1}::text[]`).join(', ');
  return `unnest(${parameters}) as s(${aliases.join(', ')})`;
}

function keyMatch(key: readonly KeyColumn[]): string {
  return key
    .map(
      (column, index) =>
        `t.${quoteIdent(column.name)} ${column.equals} s.k${index}::${column.baseType}`,
    )
    .join(' and ');
}

/**
 * A ctid alone is not unique among partitions.
 * json, xml and point have no equality, and equal floats may print differently: the text that the
 * type's output function gives is compared instead (format's %s, since a cast to text trims char(n)).
 */
function oneRowSql(table: TableName, old: readonly ApplyColumn[]): string {
  const matches = old.map((column, index) => {
    const name = quoteIdent(column.name);
    const parameter = `$${index + 1}::text`;
    return `case when ${parameter} is null then ${name} is not distinct from null else format('%s', ${name}) = ${parameter} end`;
  });
  return `(select tableoid, ctid from ${quoteTable(table)} where ${matches.join(' and ') || 'true'} limit 1)`;
}
