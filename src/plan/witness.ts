/** What was copied against what is there under its names now, and how it came. Pure. */
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { ObservedServer, ObservedTable } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { isOtherTable, runOf, type TableRecord } from '../core/table-state.ts';
import type { Refusal } from './plan.ts';
import { refuse } from './refuse.ts';

/** One table: what the ledger has of it, and what is there. */
interface Known {
  readonly record: TableRecord | undefined;
  readonly observed: ObservedTable;
}

/** The stream knows tables by their oid: another one under the name that was copied is not followed. */
export function isReplaced({ record, observed: { sourceShape } }: Known): boolean {
  return (
    record?.sourceOid !== undefined && ![undefined, record.sourceOid].includes(sourceShape?.oid)
  );
}

/** It is published, and in no way as when its copy began: for a time it was not, or not whole. */
export function isReadmitted({ record, observed: { memberships } }: Known): boolean {
  if (record === undefined || memberships.length === 0) return false;
  const known = (runOf(record) ?? record).memberships;
  return known !== undefined && !known.some((way) => memberships.includes(way));
}

/** At the destination: what was filled is gone, and another one has its name. */
export function isRefilled({ record, observed }: Known, destination: ObservedServer): boolean {
  const known = record && (runOf(record) ?? record).filled;
  const { destinationShape } = observed;
  if (known === undefined || destinationShape === undefined) return false;
  const { systemIdentifier, databaseOid } = destination;
  return isOtherTable(known, { oid: destinationShape.oid, systemIdentifier, databaseOid });
}

export function replacedRefusal(table: MirrorTable): Refusal {
  return refuse(
    table,
    'SlotLost',
    `${formatTableName(table.source)} is another table than the one that was copied`,
    'Bump its resyncGeneration: this one is copied.',
  );
}

export function unpublishedRefusal(table: MirrorTable, mirror: Mirror): Refusal {
  const source = formatTableName(table.source);
  return refuse(
    table,
    'SlotLost',
    `${source} was taken out of publication ${mirror.publication.name}: what was written to it since did not come`,
    'Bump its resyncGeneration: it is published and copied again.',
  );
}

export function readmittedRefusal(table: MirrorTable, mirror: Mirror): Refusal {
  const source = formatTableName(table.source);
  return refuse(
    table,
    'SlotLost',
    `${source} was taken out of publication ${mirror.publication.name}, or published in part, and put back: what was written to it meanwhile did not come`,
    'Bump its resyncGeneration: it is copied again.',
  );
}

export function refilledRefusal(table: MirrorTable): Refusal {
  return refuse(
    table,
    'RowsMissing',
    `${formatTableName(table.destination)} is another table than the one that was filled`,
    'Bump its resyncGeneration: this one is filled. Or drop it: it is made and copied again.',
  );
}
