import type { TableName } from '../core/table-name.ts';
import { quoteTable } from './quote.ts';

/** For each table, by its place in the list, whether it has a row: columns `position` and `has_rows`. */
export function selectHasRowsSql(tables: readonly TableName[]): string {
  return tables
    .map(
      (table, position) =>
        `select ${position} as position, exists (select from ${quoteTable(table)} limit 1) as has_rows`,
    )
    .join('\nunion all\n');
}
