/** The source that the ledger speaks of against the one that the file leads to. Pure. */
import type { Mirror } from '../core/mirror.ts';
import type { MirrorRecord, Observed, ObservedServer } from '../core/observed.ts';
import type { TableRecord } from '../core/table-state.ts';
import { cleanSourceSql, dropPublicationSql } from '../sql/publication.ts';

/** Why what was copied cannot be followed on. `reason` goes on after "the slot". */
export interface Breach {
  readonly code: 'SlotLost' | 'TargetRewound' | 'IdentityChanged' | 'ImmutableFieldChanged';
  readonly reason: string;
  readonly message: string;
}

/** Known to be one cluster: an identity that cannot be read proves nothing. */
export function isSameCluster(
  { sourceSystemIdentifier }: MirrorRecord,
  { systemIdentifier }: ObservedServer,
): boolean {
  return systemIdentifier !== '' && sourceSystemIdentifier === systemIdentifier;
}

/** Known to be another one. */
export function isOtherCluster(record: MirrorRecord, source: ObservedServer): boolean {
  const isKnown = record.sourceSystemIdentifier !== '' && source.systemIdentifier !== '';
  return isKnown && !isSameCluster(record, source);
}

/** The progress in the ledger belongs to one cluster and one database; with others it means nothing (TRAPS 17). */
export function identityChange(
  { source }: Pick<Observed, 'source'>,
  record: MirrorRecord,
): Breach | undefined {
  const isElsewhere = isOtherCluster(record, source);
  if (!isElsewhere && record.sourceDatabase === source.database) return undefined;
  const [is, was] = isElsewhere
    ? [`cluster ${source.systemIdentifier}`, `cluster ${record.sourceSystemIdentifier}`]
    : [`database ${source.database}`, `database ${record.sourceDatabase}`];
  return {
    code: 'IdentityChanged',
    reason: `is of the former source, ${was}`,
    message: `the source is ${is}; what was copied came from ${was}`,
  };
}

/**
 * A slot decodes with the catalogs of their time: what was written before the new publication was there,
 * or had its tables, is an error up to PostgreSQL 17 and left out in silence from 18 on.
 */
export function publicationChange(
  { publication }: Mirror,
  record: MirrorRecord,
): Breach | undefined {
  return record.publication === publication.name
    ? undefined
    : {
        code: 'ImmutableFieldChanged',
        reason: `was read through publication ${record.publication}, and the file names another`,
        message: `publication is ${publication.name} in the file; what was copied came through ${record.publication}`,
      };
}

/**
 * Whether the mirror's counter asks for a copy of everything, above all that was done or is under way:
 * nothing that a former source or slot left then matters any more. Nor does it while nothing was copied.
 */
export function isAcknowledged(mirror: Mirror, tables: readonly TableRecord[]): boolean {
  const begun = tables.flatMap(({ observed, state }) => [
    ...(observed === undefined ? [] : [observed]),
    ...('run' in state && state.run !== undefined ? [state.run.generation] : []),
  ]);
  return begun.every((generation) => mirror.resyncGeneration > generation.mirror);
}

/** The publication of ours that nobody reads when the file names another; undefined for somebody else's. */
export function formerPublication(mirror: Mirror, record: MirrorRecord): string | undefined {
  // A managed one has the slot's name.
  const isOurs = record.publication === mirror.slot;
  return isOurs && record.publication !== mirror.publication.name ? record.publication : undefined;
}

/** Where and how to remove by hand what stays at a former source; undefined when nothing does. */
export function leftBehind(
  mirror: Mirror,
  record: MirrorRecord,
  source: ObservedServer,
): string | undefined {
  const publication = record.publication === mirror.slot ? record.publication : undefined;
  const database = `database ${record.sourceDatabase}`;
  if (!isSameCluster(record, source)) {
    const statements = cleanSourceSql(record.slot, publication).map((sql) => `${sql};`);
    const where =
      record.sourceSystemIdentifier === '' ? '' : `cluster ${record.sourceSystemIdentifier}, `;
    return `${where}${database}: ${statements.join(' ')}`;
  }
  return publication && `${database}: ${dropPublicationSql(publication)};`;
}
