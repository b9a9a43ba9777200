import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { Observed, ObservedTable, TableShape } from '../core/observed.ts';
import { formatTableName, sameTable, type TableName } from '../core/table-name.ts';
import { releasedState, type TableRecord } from '../core/table-state.ts';
import { desiredShape } from './desired-shape.ts';
import { acceptedExclusions, droppedColumns } from './exclusions.ts';
import { needingParts, type NeedingPart } from './needing-parts.ts';
import { publishes } from './published.ts';
import { isRefilled } from './witness.ts';

/** All that is known of one table of the file. */
export interface TableCase {
  readonly table: MirrorTable;
  readonly observed: ObservedTable;
  /** The ledger's row; after the loss of the slot as it is without. */
  readonly record: TableRecord | undefined;
  /** What the destination table ought to be; undefined when the source has none. */
  readonly desired: TableShape | undefined;
  /** False when it is not in our publication though that is there: its changes do not come. */
  readonly published: boolean;
  /** The destination table is another than the one that was filled. */
  readonly refilled: boolean;
  /** Columns of the destination that the next copy takes away. */
  readonly dropped: readonly string[];
  /** What of it needs columns that the file leaves out. */
  readonly needing: readonly NeedingPart[];
  /** There is a shadow for it at the destination, or an old table that a swap has put aside. */
  readonly hasShadow: boolean;
  /** The ledger knows its source or its destination in another pair: that one is retired first, and this is as one that is new. */
  readonly moved: boolean;
}

/** One case for each table of the file, in its order. `forget`: the slot is lost, every copy with it. */
export function tableCases(mirror: Mirror, observed: Observed, forget: boolean): TableCase[] {
  const looks = new Map(
    observed.tables.map((look) => [
      `${formatTableName(look.source)} ${formatTableName(look.destination)}`,
      look,
    ]),
  );
  return mirror.tables.map((table) => {
    const { source, destination } = table;
    const look = looks.get(`${formatTableName(source)} ${formatTableName(destination)}`);
    if (look === undefined) throw new Error(`${formatTableName(source)} was not observed`);
    const related = observed.ledger.tables.filter(
      (record) => sameTable(record.source, source) || sameTable(record.destination, destination),
    );
    const record = related.find((candidate) => isRecordOf(candidate, table));
    return {
      table,
      observed: look,
      record: record && forget ? { ...record, state: releasedState(record) } : record,
      desired:
        look.sourceShape === undefined ? undefined : desiredShape(mirror, table, look.sourceShape),
      dropped: droppedColumns(mirror, table, record, look.destinationShape),
      needing: needingOf(table, look),
      hasShadow: record !== undefined && observed.shadows.includes(record.id),
      published: isMember(mirror, observed, source),
      refilled: isRefilled({ record, observed: look }, observed.destination),
      moved: related.length > (record === undefined ? 0 : 1),
    };
  });
}

/** The case of a file that left out what it did before: its new exclusions are refused, so nothing comes of them. */
export function asAccepted(tableCase: TableCase, mirror: Mirror): TableCase {
  const { table, record, observed } = tableCase;
  if (record === undefined) return tableCase;
  const accepted = { ...table, ...acceptedExclusions(table, record) };
  const { sourceShape, destinationShape } = observed;
  return {
    ...tableCase,
    table: accepted,
    desired: sourceShape && desiredShape(mirror, accepted, sourceShape),
    dropped: droppedColumns(mirror, accepted, record, destinationShape),
    needing: needingOf(accepted, observed),
  };
}

function needingOf(
  table: MirrorTable,
  { sourceShape, destinationShape }: ObservedTable,
): NeedingPart[] {
  return sourceShape === undefined || destinationShape === undefined
    ? []
    : needingParts(table, sourceShape, destinationShape);
}

/** A publication that is gone altogether is the mirror's matter, one of somebody else's the preflight's. */
function isMember(mirror: Mirror, { publication }: Observed, source: TableName): boolean {
  return !mirror.publication.managed || publication === undefined || publishes(publication, source);
}

/** True for the ledger's row of that table. */
export function isRecordOf(record: TableRecord, table: MirrorTable): boolean {
  return sameTable(record.source, table.source) && sameTable(record.destination, table.destination);
}
