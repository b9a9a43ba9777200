/**
 * Statements that give an EMPTY table the source's shape: one that was just truncated, or a swap's
 * shadow. Pure text. They come in the order of this file, and a shadow, born without keys, needs no drops.
 */
import type { ColumnChange, Mend } from '../core/mend.ts';
import type { ColumnShape, SequenceShape } from '../core/observed.ts';
import type { TableName } from '../core/table-name.ts';
import { columnSql, identitySql } from './ddl.ts';
import { addConstraintSql } from './key-ddl.ts';
import { quoteIdent, quoteTable } from './quote.ts';

/** What is in the way of the source's shape. Never CASCADE: what depends on it makes it fail. */
export function dropPartsSql(table: TableName, mend: Mend): string[] {
  return [
    ...mend.droppedConstraints.map(
      (name) => `alter table ${quoteTable(table)} drop constraint if exists ${quoteIdent(name)}`,
    ),
    ...mend.droppedIndexes.map(
      (name) => `drop index ${quoteTable({ schema: table.schema, name })}`,
    ),
  ];
}

/** The columns. The sequences that defaults name must be there; identities make their own, beside the table. */
export function mendSql(table: TableName, mend: Mend): string[] {
  const alter = (action: string): string => `alter table ${quoteTable(table)} ${action}`;
  const altered = mend.changed.filter(({ how }) => how === 'alter');
  const replaced = mend.changed.filter(({ how }) => how === 'replace');
  const identity = (column: ColumnShape): SequenceShape | undefined =>
    identityOf(table, mend, column);
  // A generated column needs those that it reads.
  const added = [...mend.added, ...replaced.map(({ to }) => to)].toSorted(
    (a, b) => Number(a.generated !== 'no') - Number(b.generated !== 'no'),
  );
  return [
    // First what reads the columns that change.
    ...replaced.map(({ from }) => `drop column ${quoteIdent(from.name)}`),
    ...mend.nullable.filter(({ name }) => !mend.dropped.includes(name)).flatMap(dropNotNull),
    ...altered.filter(({ from }) => from.generated !== 'no').map(dropExpression),
    ...altered.flatMap(changeType),
    ...added.map((column) => `add column ${columnSql(column, identity(column))}`),
    ...mend.required.map((name) => `alter column ${quoteIdent(name)} set not null`),
    ...altered.flatMap((change) => setDefault(change, identity(change.to))),
  ].map(alter);
}

/** In that order: what reads another one comes first. Views and the like that read one make it fail. */
export function dropColumnsSql(table: TableName, columns: readonly string[]): string[] {
  return columns.map((name) => `alter table ${quoteTable(table)} drop column ${quoteIdent(name)}`);
}

/** The checks that the destination lacks. */
export function addChecksSql(table: TableName, mend: Mend): string[] {
  return mend.checks.map((check) => addConstraintSql(table, check));
}

/** Which of those columns a row must bring a value for. `$1` is the table, `$2` a JSON list of names. */
export const SELECT_NEEDING_VALUES = /* sql */ `
select a.attname
from pg_attribute a
where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
  and a.attnotnull and not a.atthasdef and a.attidentity = ''
  and a.attname in (select json_array_elements_text($2::json))`;

export function letBeNullSql(table: TableName, columns: readonly string[]): string {
  const actions = columns.map((name) => `alter column ${quoteIdent(name)} drop not null`);
  return `alter table ${quoteTable(table)} ${actions.join(', ')}`;
}

/** An identity is never NULL; its sequence goes with it. */
function dropNotNull({ name, identity }: ColumnShape): string[] {
  const column = `alter column ${quoteIdent(name)}`;
  return [
    ...(identity === 'no' ? [] : [`${column} drop identity if exists`]),
    `${column} drop not null`,
  ];
}

function dropExpression({ from }: ColumnChange): string {
  return `alter column ${quoteIdent(from.name)} drop expression if exists`;
}

/** There is no value to convert, and a default of the old type might have no cast. */
function changeType({ from, to }: ColumnChange): string[] {
  const column = `alter column ${quoteIdent(to.name)}`;
  const collation = to.collation === undefined ? '' : ` collate ${to.collation}`;
  const keepsIdentity = from.identity !== 'no' && to.identity !== 'no';
  return [
    ...(from.identity !== 'no' && !keepsIdentity ? [`${column} drop identity if exists`] : []),
    ...(keepsIdentity ? [] : [`${column} drop default`]),
    `${column} type ${to.type}${collation} using null::${to.type}`,
  ];
}

function setDefault({ from, to }: ColumnChange, sequence: SequenceShape | undefined): string[] {
  const column = `alter column ${quoteIdent(to.name)}`;
  if (to.identity !== 'no' && from.identity === 'no')
    return [`${column} add ${identitySql(to, sequence)}`];
  return to.defaultExpression === undefined
    ? []
    : [`${column} set default ${to.defaultExpression}`];
}

/** A sequence lives beside its table, also beside a shadow. */
function identityOf(table: TableName, mend: Mend, column: ColumnShape): SequenceShape | undefined {
  const sequence = mend.sequences.find(
    (candidate) => candidate.kind === 'identity' && candidate.column === column.name,
  );
  return sequence && { ...sequence, name: { schema: table.schema, name: sequence.name.name } };
}
