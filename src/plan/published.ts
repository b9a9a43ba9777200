import type { ObservedPublication, ObservedTable } from '../core/observed.ts';
import { sameTable, type TableName } from '../core/table-name.ts';

/** What a mirror needs to be told of. */
export const OPERATIONS = ['insert', 'update', 'delete', 'truncate'];

/** Whether every change of the table comes, under its own name; without that a copy of it has a gap. */
export function isPublished(
  { source, sourceShape }: ObservedTable,
  publication: ObservedPublication | undefined,
): boolean {
  return (
    publication !== undefined &&
    publishes(publication, source) &&
    OPERATIONS.every((operation) => publication.operations.includes(operation)) &&
    (sourceShape?.kind !== 'partitioned' || publication.viaPartitionRoot)
  );
}

/** Whether the table is in it, by itself, by its schema or as one of all. */
export function publishes(publication: ObservedPublication, table: TableName): boolean {
  return publication.allTables || publication.tables.some((member) => sameTable(member, table));
}
