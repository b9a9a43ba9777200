/**
 * Where a swap keeps its tables. Schemas of our own for each mirrored table, so that a shadow bears the
 * table's own name, and so do its indexes: no name of a user's is ever taken (TRAPS 47).
 */
import type { TableName } from '../core/table-name.ts';

export const SHADOW_SCHEMA_PREFIX = 'bunnydb_shadow_';
export const OLD_SCHEMA_PREFIX = 'bunnydb_old_';

interface Swapped {
  /** The ledger's id of the table. */
  readonly id: string;
  readonly destination: TableName;
}

/** The table that a swap fills. */
export function shadowOf({ id, destination }: Swapped): TableName {
  return { schema: `${SHADOW_SCHEMA_PREFIX}${id}`, name: destination.name };
}

/** Where the old table is between the swap and its end. */
export function oldOf({ id, destination }: Swapped): TableName {
  return { schema: `${OLD_SCHEMA_PREFIX}${id}`, name: destination.name };
}
