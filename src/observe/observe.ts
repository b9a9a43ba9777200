/**
 * Looks at both databases and the ledger: catalogs in, plain data out.
 *
 * Nothing here decides, and nothing here writes. The answer is no snapshot (the two databases are
 * two), so whoever acts on it checks again where that matters.
 */
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { Observed, ObservedLedger, ObservedTable } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import { readLedger } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import { selectHasRowsSql } from '../sql/has-rows.ts';
import { observePublication } from './publication.ts';
import { flag, number } from './read.ts';
import { observeSchemas, observeServer } from './server.ts';
import { observeShapes, type Shapes } from './shapes.ts';
import { observeSlot } from './slot.ts';
import { observeTypes } from './type-closure.ts';

/** A session on either side. Reading is all that happens on them. */
export interface Sessions {
  readonly source: Session;
  readonly destination: Session;
}

/** Everything that planMirror needs to know. Throws LedgerTooNew and what a session throws. */
export async function observe(mirror: Mirror, sessions: Sessions): Promise<Observed> {
  // The source first: what its slot has confirmed was in the ledger before it, so a slot that is seen
  // ahead of a ledger read later is ahead for good, and not only because time went by in between.
  const source = await observeSource(mirror, sessions.source);
  const destination = await observeDestination(mirror, sessions.destination);
  const columnTypes = ({ source: name, excludeColumns }: MirrorTable): number[] =>
    (source.shapes.get(formatTableName(name))?.columns ?? [])
      .filter((column) => !excludeColumns.includes(column.name))
      .map((column) => column.typeOid);
  const typesOf = await observeTypes(sessions, mirror.tables.flatMap(columnTypes));
  const filled = await observeRows(sessions.destination, unfinished(mirror, destination));
  return {
    source: source.server,
    destination: destination.server,
    slot: source.slot,
    publication: source.publication,
    ledger: destination.ledger,
    destinationSchemas: destination.schemas,
    tables: mirror.tables.map((table): ObservedTable => {
      const destinationKey = formatTableName(table.destination);
      return {
        source: table.source,
        destination: table.destination,
        sourceShape: source.shapes.get(formatTableName(table.source)),
        destinationShape: destination.shapes.get(destinationKey),
        destinationHasRows: filled.get(destinationKey),
        types: typesOf(columnTypes(table)),
      };
    }),
  };
}

async function observeSource(
  mirror: Mirror,
  session: Session,
): Promise<
  Pick<Observed, 'slot' | 'publication'> & { server: Observed['source']; shapes: Shapes }
> {
  const wanted = mirror.tables.map(({ source, excludeColumns }) => ({
    name: source,
    excludeColumns,
  }));
  return {
    server: await observeServer(session),
    slot: await observeSlot(session, mirror.slot),
    publication: await observePublication(session, mirror.publication.name),
    shapes: await observeShapes(session, wanted, 'source'),
  };
}

interface DestinationSide {
  readonly server: Observed['destination'];
  readonly ledger: ObservedLedger;
  readonly schemas: readonly string[];
  readonly shapes: Shapes;
}

async function observeDestination(mirror: Mirror, session: Session): Promise<DestinationSide> {
  const wanted = mirror.tables.map((table) => ({ name: table.destination }));
  return {
    server: await observeServer(session),
    ledger: await readLedger(session, mirror.name),
    schemas: await observeSchemas(session),
    shapes: await observeShapes(session, wanted, 'destination'),
  };
}

/** The tables whose first copy has yet to be made, and that we may look into: only there do rows in the way matter. */
function unfinished(mirror: Mirror, { ledger, shapes }: DestinationSide): TableName[] {
  const started = new Set(
    ledger.tables
      .filter((record) => record.state.phase !== 'Pending')
      .map((record) => formatTableName(record.destination)),
  );
  return mirror.tables
    .map((table) => table.destination)
    .filter((table) => {
      const shape = shapes.get(formatTableName(table));
      return shape?.readable === true && !started.has(formatTableName(table));
    });
}

async function observeRows(
  session: Session,
  tables: readonly TableName[],
): Promise<ReadonlyMap<string, boolean>> {
  if (tables.length === 0) return new Map();
  const keys = tables.map(formatTableName);
  const rows = await session.query(selectHasRowsSql(tables));
  return new Map(rows.map((row) => [keys[number(row, 'position')] ?? '', flag(row, 'has_rows')]));
}
