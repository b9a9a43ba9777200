/** Reads the text that the server sends: the only place on this floor where a driver's string is parsed. */
import type { TableName } from '../core/table-name.ts';
import type { Row } from '../postgres/session.ts';
import { TornLook } from './torn-look.ts';

/** A column that is never null, unless what it tells of was dropped while the query ran. */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (value === null || value === undefined) throw new TornLook(`catalog query: ${column} is null`);
  return value;
}

/** A column that may be null. */
export function optionalText(row: Row, column: string): string | undefined {
  return row[column] ?? undefined;
}

/** `t` or `f`; null is false. */
export function flag(row: Row, column: string): boolean {
  return row[column] === 't';
}

/** A number that fits a double: sizes, versions, attnums. Never a value of a user's table. */
export function number(row: Row, column: string): number {
  return Number(text(row, column));
}

/** A JSON array of strings that the query built. */
export function list(row: Row, column: string): string[] {
  return JSON.parse(row[column] ?? '[]') as string[];
}

/** The columns `schema` and `name`. */
export function tableName(row: Row): TableName {
  return { schema: text(row, 'schema'), name: text(row, 'name') };
}

/** The parameter for `any($1::oid[])`. */
export function oidArray(oids: readonly number[]): string {
  return `{${oids.join(',')}}`;
}

/** The rows by the table they belong to, in the query's order. */
export function groupByOid<T>(
  rows: readonly Row[],
  parse: (row: Row) => T,
): ReadonlyMap<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const row of rows) {
    const oid = number(row, 'oid');
    const group = groups.get(oid);
    if (group) group.push(parse(row));
    else groups.set(oid, [parse(row)]);
  }
  return groups;
}
