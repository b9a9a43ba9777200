/** What a destination table lacks that keeps no row out: it is left as it is, and told. */
import type { Mend } from '../core/mend.ts';
import type { ColumnShape, ForeignKeyShape, Observed, TableShape } from '../core/observed.ts';
import { sameTable } from '../core/table-name.ts';
import { findForeignKey } from './dependents.ts';
import { NO_MEND, planMend } from './mend.ts';
import { majorVersion } from './server-version.ts';

/** Two shapes to compare; other majors may print the same expression otherwise. */
export interface Comparison {
  readonly desired: TableShape;
  readonly actual: TableShape;
  readonly sameMajor: boolean;
}

export function printAlike({
  source,
  destination,
}: Pick<Observed, 'source' | 'destination'>): boolean {
  return majorVersion(source) === majorVersion(destination);
}

/** Of what a resync would mend, that which nothing else asks for: each NOT NULL and check of the source. */
export function untilResync({ desired, actual, sameMajor }: Comparison): Mend {
  const { required, checks } = planMend(desired, actual);
  return { ...NO_MEND, required, checks: sameMajor ? checks : [] };
}

/** Columns of the source whose default the destination's do not have. No copy makes it. */
export function lackedDefaults(desired: TableShape, actual: TableShape): ColumnShape[] {
  return desired.columns.filter((column) => {
    const own = actual.columns.find(({ name }) => name === column.name);
    return (
      own !== undefined &&
      column.defaultExpression !== undefined &&
      own.defaultExpression === undefined &&
      [column, own].every(({ generated, identity }) => generated === 'no' && identity === 'no')
    );
  });
}

/** Foreign keys that are there by name, to the right table, and say something else. */
export function alteredForeignKeys({ desired, actual, sameMajor }: Comparison): ForeignKeyShape[] {
  if (!sameMajor) return [];
  return desired.foreignKeys.filter((key) => {
    const present = findForeignKey(actual, key);
    return (
      present !== undefined &&
      sameTable(present.references, key.references) &&
      (present.definition !== key.definition || present.columns.join() !== key.columns.join())
    );
  });
}
