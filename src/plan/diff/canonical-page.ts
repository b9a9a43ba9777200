/** The pages that actual and desired are compared on, and what they are written from. */
import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import type { Mirror } from '../../core/mirror.ts';
import type { Observed } from '../../core/observed.ts';
import { formatTableName, type TableName } from '../../core/table-name.ts';
import type { Plan } from '../plan.ts';
import type { TableCase } from '../table-case.ts';

/** YAML of both sides; undefined where there is nothing on that side. */
export interface Page {
  /** `shop` for the mirror, `shop/public.orders` for a table of the destination. */
  readonly name: string;
  readonly actual: string | undefined;
  readonly desired: string | undefined;
}

/** One mirror as the plan was made from it. */
export interface Scene {
  readonly mirror: Mirror;
  readonly observed: Observed;
  readonly plan: Plan;
  /** Of the tables that are on a page. */
  readonly cases: readonly TableCase[];
  /** By their name at the destination. */
  readonly refused: (table: TableName) => boolean;
}

/** Undefined is left out, and so is what holds nothing. */
export type Sheet = Readonly<Record<string, unknown>>;

export interface Sides {
  readonly actual: Sheet | undefined;
  readonly desired: Sheet | undefined;
}

/** None when both sides are alike. */
export function pageOf(name: string, sides: Sides): Page[] {
  const [actual, desired] = [prune(sides.actual), prune(sides.desired)];
  return isDeepStrictEqual(actual, desired)
    ? []
    : [{ name, actual: toYaml(actual), desired: toYaml(desired) }];
}

/** Lines are not folded: one that changes is one line of a diff. */
function toYaml(value: unknown): string | undefined {
  return value === undefined ? undefined : stringify(value, { lineWidth: 0, indentSeq: false });
}

function prune(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 0 ? undefined : value;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value)
    .map(([key, part]): [string, unknown] => [key, prune(part)])
    .filter(([, part]) => part !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** By code points, as every machine does it. */
export function sorted(texts: readonly string[]): string[] {
  return texts.toSorted((a, b) => Number(a > b) - Number(a < b));
}

export function isOneOf(tables: readonly TableName[]): (table: TableName) => boolean {
  const names = new Set(tables.map(formatTableName));
  return (table) => names.has(formatTableName(table));
}
