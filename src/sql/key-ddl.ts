/** Statements for keys and indexes. Pure text. */
import type { ConstraintShape, IndexShape } from '../core/observed.ts';
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteTable } from './quote.ts';

/** Builds the key with its index. Blocks writers of the table meanwhile. */
export function addConstraintSql(table: TableName, constraint: ConstraintShape): string {
  return `${alterTable(table)} add constraint ${quoteIdent(constraint.name)} ${constraint.definition}`;
}

/** The two steps that build a key beside running writers: its index, then the constraint from it. */
export function addConstraintUsingIndexSql(
  table: TableName,
  constraint: ConstraintShape,
  indexDefinition: string,
): { readonly createIndex: string; readonly addConstraint: string } {
  const deferral = /( DEFERRABLE)?( INITIALLY DEFERRED)?$/.exec(constraint.definition)?.[0] ?? '';
  return {
    createIndex: createIndexSql(
      table,
      { name: constraint.name, unique: true, definition: indexDefinition },
      { concurrently: true },
    ),
    addConstraint: `${alterTable(table)} add constraint ${quoteIdent(constraint.name)} ${constraint.kind} using index ${quoteIdent(constraint.name)}${deferral}`,
  };
}

/** CONCURRENTLY is not for partitioned tables, and not inside a transaction. */
export function createIndexSql(
  table: TableName,
  index: Pick<IndexShape, 'name' | 'unique' | 'definition'>,
  options: { readonly concurrently: boolean },
): string {
  const words = ['create', ...(index.unique ? ['unique'] : []), 'index'];
  if (options.concurrently) words.push('concurrently');
  return `${words.join(' ')} ${quoteIdent(index.name)} on ${quoteTable(table)} ${index.definition}`;
}

/** For an invalid one that a broken CONCURRENTLY left. An index lives in its table's schema. */
export function dropIndexConcurrentlySql(table: TableName, name: string): string {
  return `drop index concurrently if exists ${quoteTable({ schema: table.schema, name })}`;
}

/** As long as a name may be, in bytes; the server cuts off the rest. */
const MAX_NAME_BYTES = 63;

/** The name with a number at its end, no longer than a name may be. */
export function numberedName(name: string, number: number): string {
  const letters = Array.from(name);
  while (Buffer.byteLength(`${letters.join('')}${number}`) > MAX_NAME_BYTES) letters.pop();
  return `${letters.join('')}${number}`;
}

/** Of one that no constraint owns, beside running writers. */
export function dropIndexSql(table: TableName, name: string): string {
  return `drop index concurrently ${quoteTable({ schema: table.schema, name })}`;
}

export function dropConstraintSql(table: TableName, name: string): string {
  return `${alterTable(table)} drop constraint ${quoteIdent(name)}`;
}

function alterTable(table: TableName): string {
  return `alter table ${quoteTable(table)}`;
}
