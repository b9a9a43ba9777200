import type { Mirror } from '../core/mirror.ts';
import type { MirrorRecord, Observed, ObservedPublication } from '../core/observed.ts';
import { sameTable, type TableName } from '../core/table-name.ts';

/** What a mirror needs to be told of. */
export const OPERATIONS = ['insert', 'update', 'delete', 'truncate'];

/** Whether the table is in it, by itself, by its schema or as one of all. */
export function publishes(publication: ObservedPublication, table: TableName): boolean {
  return publication.allTables || publication.tables.some((member) => sameTable(member, table));
}

/** What one of ours is: every operation, and partitions under their root's name. */
export function isComplete({ operations, viaPartitionRoot }: ObservedPublication): boolean {
  return viaPartitionRoot && OPERATIONS.every((operation) => operations.includes(operation));
}

/** Why what was written at the source did not come through the publication; undefined when all came. */
export function publicationLoss(
  mirror: Mirror,
  observed: Observed,
  record: MirrorRecord,
): string | undefined {
  return settingsLoss(mirror, observed) ?? versionLoss(mirror, observed, record);
}

/** As it is now. One of somebody else's is the preflight's. */
function settingsLoss(mirror: Mirror, observed: Observed): string | undefined {
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

/**
 * As it may have been since the slot was made: one that was put back looks as if nothing had been. Its
 * tables come and go without a new version of it; a new owner is one, and tells nothing of what else was altered.
 */
function versionLoss(
  mirror: Mirror,
  { publication }: Observed,
  { publicationIdentity: known }: MirrorRecord,
): string | undefined {
  if (publication === undefined || known === undefined) return undefined;
  const { name } = mirror.publication;
  const { oid, xmin, owner } = publication.identity;
  if (oid !== known.oid)
    return `is behind publication ${name}, which somebody dropped and made again: what was written in between did not come`;
  return xmin !== known.xmin && owner === known.owner
    ? `is behind publication ${name}, which somebody altered by hand: what was written before it was as it is now may not have come`
    : undefined;
}
