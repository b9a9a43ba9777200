/**
 * Looks at both databases and the ledger: catalogs in, plain data out.
 *
 * Nothing here decides, and nothing here writes. The answer is no snapshot (the two databases are
 * two), so whoever acts on it checks again where that matters.
 */
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { Observed, ObservedLedger, ObservedTable } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import { desiredShape } from '../plan/desired-shape.ts';
import { droppedColumns } from '../plan/exclusions.ts';
import { planMend } from '../plan/mend.ts';
import { isRecordOf } from '../plan/table-case.ts';
import { readLedger } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import { selectHasRowsSql } from '../sql/has-rows.ts';
import { oldOf, shadowOf } from '../sql/shadow.ts';
import { readEmptyObstacles, readForeignKeysTo } from './foreign-keys.ts';
import {
  observeMemberships,
  observePublication,
  observePublicationSettings,
  type PublicationSettings,
} from './publication.ts';
import { flag, number, tableName } from './read.ts';
import { observeSchemas, observeServer, readClock } from './server.ts';
import { observeShapes, type Shapes } from './shapes.ts';
import { observeSlot } from './slot.ts';
import { readSwapObstacles } from './swap-obstacles.ts';
import { observeNeeds } from './table-needs.ts';
import { observeWal } from './timeline.ts';
import { lookUntilWhole } from './torn-look.ts';

/** A session on either side. Reading is all that happens on them. */
export interface Sessions {
  readonly source: Session;
  readonly destination: Session;
}

/** What is known before any table is looked at: to find it out takes no lock on one. */
export interface MirrorLook extends Pick<
  Observed,
  | 'at'
  | 'source'
  | 'sourceWal'
  | 'destination'
  | 'slot'
  | 'ledger'
  | 'destinationSchemas'
  | 'shadows'
> {
  /** Without its members: to list them the server opens each, from PostgreSQL 16 on. */
  readonly publication: PublicationSettings | undefined;
  /** Tables of the ledger with rows or changes of ours that are not there any more. */
  readonly gone: readonly TableName[];
}

/** Everything that planMirror needs to know. Throws LedgerTooNew and what a session throws. */
export async function observe(mirror: Mirror, sessions: Sessions): Promise<Observed> {
  return observeTables(mirror, sessions, await observeMirror(mirror, sessions));
}

/** The first half of a look: what the stream needs, and nothing that a locked table holds up. */
export async function observeMirror(mirror: Mirror, sessions: Sessions): Promise<MirrorLook> {
  const { source, destination } = sessions;
  // The source first: what its slot has confirmed was in the ledger before it, so a slot that is seen
  // ahead of a ledger read later is ahead for good, and not only because time went by in between.
  const server = await observeServer(source);
  const slot = await observeSlot(source, mirror.slot);
  const publication = await observePublicationSettings(source, mirror.publication.name);
  const ledger = await readLedger(destination, mirror.name);
  const destinationSchemas = await observeSchemas(destination);
  return {
    at: await readClock(destination),
    source: server,
    sourceWal: await observeWal(mirror, source, { server, record: ledger.mirror }),
    slot,
    publication,
    ledger,
    destination: await observeServer(destination),
    destinationSchemas,
    shadows: shadowsAmong(destinationSchemas, ledger),
    gone: await observeGone(destination, ledger),
  };
}

/**
 * The second half: the tables and who is published. Throws LockTimeout while somebody keeps one of them
 * locked. Made again at once where a table was moved or dropped under it.
 */
export async function observeTables(
  mirror: Mirror,
  sessions: Sessions,
  look: MirrorLook,
): Promise<Observed> {
  return lookUntilWhole(async () => lookAtTables(mirror, sessions, look));
}

async function lookAtTables(
  mirror: Mirror,
  sessions: Sessions,
  look: MirrorLook,
): Promise<Observed> {
  const publication = await observePublication(sessions.source, mirror.publication.name);
  const wanted = mirror.tables.map(({ source: name, excludeColumns }) => ({
    name,
    excludeColumns,
  }));
  const sources = await observeShapes(sessions.source, wanted, 'source');
  const membershipsOf = await observeMemberships(
    sessions.source,
    mirror.publication.name,
    [...sources.values()].map(({ oid }) => oid),
  );
  const targets = mirror.tables.map((table) => ({ name: table.destination }));
  const destinations = await observeShapes(sessions.destination, targets, 'destination');
  const needsOf = await observeNeeds(mirror, sessions, { sources, destinations });
  const filled = await observeRows(
    sessions.destination,
    unfinished(mirror, look.ledger, destinations),
  );
  const obstacles = await readSwapObstacles(
    sessions.destination,
    obstructible(mirror, look.ledger, { sources, destinations }),
  );
  const places = mirror.tables.map((table) => table.destination);
  const heldBy = await readEmptyObstacles(sessions.destination, places);
  const referencedBy = await readForeignKeysTo(sessions.destination, places);
  return {
    at: look.at,
    source: look.source,
    sourceWal: look.sourceWal,
    destination: look.destination,
    slot: look.slot,
    publication,
    ledger: look.ledger,
    destinationSchemas: look.destinationSchemas,
    shadows: look.shadows,
    tables: mirror.tables.map((table): ObservedTable => {
      const destinationKey = formatTableName(table.destination);
      const sourceShape = sources.get(formatTableName(table.source));
      return {
        source: table.source,
        destination: table.destination,
        sourceShape,
        memberships: sourceShape === undefined ? [] : membershipsOf(sourceShape.oid),
        destinationShape: destinations.get(destinationKey),
        destinationHasRows: filled.get(destinationKey),
        ...needsOf(table),
        swapObstacles: obstacles.get(destinationKey) ?? [],
        emptyObstacles: heldBy.get(destinationKey) ?? [],
        foreignKeysTo: referencedBy.get(destinationKey) ?? [],
      };
    }),
  };
}

function shadowsAmong(schemas: readonly string[], { tables }: ObservedLedger): string[] {
  return tables
    .filter((record) =>
      [shadowOf(record), oldOf(record)].some(({ schema }) => schemas.includes(schema)),
    )
    .map(({ id }) => id);
}

const SELECT_GONE = /* sql */ `
select w.schema, w.name
from json_to_recordset($1::json) as w (schema text, name text)
where not exists (
  select from pg_class c
  join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = w.schema and c.relname = w.name
)`;

async function observeGone(session: Session, { tables }: ObservedLedger): Promise<TableName[]> {
  const started = tables.filter((record) => record.state.phase !== 'Pending');
  const names = started.map((record) => record.destination);
  if (names.length === 0) return [];
  return (await session.query(SELECT_GONE, [JSON.stringify(names)])).map(tableName);
}

/** The tables whose first copy has yet to be made, and that we may look into: only there do rows in the way matter. */
function unfinished(mirror: Mirror, ledger: ObservedLedger, shapes: Shapes): TableName[] {
  // What another source has filled there is in the way as anybody's.
  const hasStarted = (table: MirrorTable): boolean =>
    ledger.tables.some((record) => record.state.phase !== 'Pending' && isRecordOf(record, table));
  return mirror.tables
    .filter(
      (table) =>
        shapes.get(formatTableName(table.destination))?.readable === true && !hasStarted(table),
    )
    .map((table) => table.destination);
}

/** The tables that a resync may put another in the place of, or change a column's type of. */
function obstructible(
  mirror: Mirror,
  ledger: ObservedLedger,
  shapes: { readonly sources: Shapes; readonly destinations: Shapes },
): TableName[] {
  return mirror.tables
    .filter((table) => {
      const source = shapes.sources.get(formatTableName(table.source));
      const actual = shapes.destinations.get(formatTableName(table.destination));
      if (source === undefined || actual === undefined) return false;
      const record = ledger.tables.find((candidate) => isRecordOf(candidate, table));
      const dropped = droppedColumns(mirror, table, record, actual);
      return (
        table.resyncStrategy === 'swap' ||
        planMend(desiredShape(mirror, table, source), actual, { dropped }).retyped.length > 0
      );
    })
    .map((table) => table.destination);
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
