/** Statements for foreign keys. Pure text. */
import type { ForeignKeyShape } from '../core/observed.ts';
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteTable } from './quote.ts';

/** As pg_get_constraintdef would have it, but for its quoting and NOT VALID. */
export function foreignKeyDefinition(key: ForeignKeyShape): string {
  const columns = key.columns.map((column, index) => {
    const period = key.period && index === key.columns.length - 1;
    return `${period ? 'period ' : ''}${quoteIdent(column)}`;
  });
  return `foreign key (${columns.join(', ')}) references ${quoteTable(key.references)} ${key.definition}`;
}

/** Without looking at the rows that are there, unless `validate`: a partitioned table takes no NOT VALID. */
export function addForeignKeySql(
  owner: TableName,
  key: ForeignKeyShape,
  options: { readonly validate: boolean },
): string {
  const { name } = key;
  return restoreForeignKeySql(owner, { name, definition: foreignKeyDefinition(key) }, options);
}

/** The same from what pg_get_constraintdef printed, with or without its NOT VALID. */
export function restoreForeignKeySql(
  owner: TableName,
  key: { readonly name: string; readonly definition: string },
  options: { readonly validate: boolean },
): string {
  return `alter table ${quoteTable(owner)} add constraint ${quoteIdent(key.name)} ${withoutNotValid(key.definition)}${options.validate ? '' : ' not valid'}`;
}

/** What pg_get_constraintdef prints at the end of a key that was never checked against the rows. */
export function isNotValid(definition: string): boolean {
  return definition.endsWith(' NOT VALID');
}

function withoutNotValid(definition: string): string {
  return isNotValid(definition) ? definition.slice(0, -' NOT VALID'.length) : definition;
}

/** Reads the rows under a lock that lets writers pass. */
export function validateForeignKeySql(owner: TableName, name: string): string {
  return `alter table ${quoteTable(owner)} validate constraint ${quoteIdent(name)}`;
}

/** No CASCADE: a foreign key has nothing that depends on it. */
export function dropForeignKeySql(owner: TableName, name: string): string {
  return `alter table ${quoteTable(owner)} drop constraint ${quoteIdent(name)}`;
}
