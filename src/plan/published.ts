import type { Mirror } from '../core/mirror.ts';
import type { Observed, ObservedPublication } from '../core/observed.ts';
import { sameTable, type TableName } from '../core/table-name.ts';

/** What a mirror needs to be told of. */
export const OPERATIONS = ['insert', 'update', 'delete', 'truncate'];

/** Whether the table is in it, by itself, by its schema or as one of all. */
export function publishes(publication: ObservedPublication, table: TableName): boolean {
  return publication.allTables || publication.tables.some((member) => sameTable(member, table));
}

/** Why what was written at the source did not come through our publication; undefined when all came. */
export function publicationLoss(mirror: Mirror, observed: Observed): string | undefined {
  const { name, managed } = mirror.publication;
  const { publication } = observed;
  if (!managed) return undefined;
  if (publication === undefined) return `lost its publication ${name}: somebody dropped it`;
  const silent = OPERATIONS.filter((operation) => !publication.operations.includes(operation));
  if (silent.length > 0)
    return `is behind publication ${name}, which somebody keeps from publishing ${silent.join(', ')}`;
  const partitioned = observed.tables.some((table) => table.sourceShape?.kind === 'partitioned');
  return partitioned && !publication.viaPartitionRoot
    ? `is behind publication ${name}, which somebody keeps from publishing partitions as their root`
    : undefined;
}
