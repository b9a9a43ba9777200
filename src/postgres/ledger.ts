/**
 * Reads and writes the ledger. Writers pass the epoch under which they own the mirror; a write that
 * finds another epoch throws NotOwner, and its transaction must be rolled back.
 */
import { MirrorError } from '../core/errors.ts';
import { formatLsn, type Lsn } from '../core/lsn.ts';
import type { Mirror } from '../core/mirror.ts';
import type { ObservedLedger, PublicationIdentity, SavedForeignKey } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { Done, FilledTable, TableState } from '../core/table-state.ts';
import type { Verification } from '../core/verification.ts';
import * as sql from '../sql/ledger.ts';
import { createSpoolSql, dropSpoolSql } from '../sql/spool.ts';
import { text, toMirrorRecord, toSavedForeignKey, toTableRecord } from './ledger-rows.ts';
import type { Session } from './session.ts';

export const LEDGER_VERSION = sql.LEDGER_MIGRATIONS.length;

const EMPTY: ObservedLedger = { version: 0, mirror: undefined, tables: [], savedForeignKeys: [] };

/** Everything the ledger says of one mirror; version 0 when there is no ledger. Throws LedgerTooNew. */
export async function readLedger(session: Session, mirror: string): Promise<ObservedLedger> {
  const { version, isForeign } = await readVersion(session);
  if (isForeign) return { ...EMPTY, foreign: true };
  if (version === 0) return EMPTY;
  if (version > LEDGER_VERSION)
    throw new MirrorError(
      'LedgerTooNew',
      `the ledger has version ${version}, this program knows ${LEDGER_VERSION}`,
    );
  return {
    version,
    mirror: (await session.query(sql.SELECT_MIRROR, [mirror])).map(toMirrorRecord)[0],
    tables: (await session.query(sql.SELECT_TABLES, [mirror])).map(toTableRecord),
    savedForeignKeys: (await session.query(sql.SELECT_SAVED_FOREIGN_KEYS, [mirror])).map(
      toSavedForeignKey,
    ),
  };
}

async function readVersion(session: Session): Promise<{ version: number; isForeign: boolean }> {
  const [schema] = await session.query(sql.SELECT_LEDGER);
  const isForeign = schema?.['is_foreign'] === 't';
  if (isForeign || schema?.['present'] !== 't') return { version: 0, isForeign };
  const [latest] = await session.query(sql.SELECT_LATEST_VERSION);
  return { version: Number(latest?.['version'] ?? 0), isForeign };
}

/** Brings the ledger to this program's version, in one transaction. Idempotent, safe beside another daemon. */
export async function migrateLedger(session: Session): Promise<void> {
  await session.transaction(async () => {
    await session.query(sql.LOCK_MIGRATION);
    const { version } = await readVersion(session);
    for (const [index, migration] of sql.LEDGER_MIGRATIONS.entries()) {
      if (index < version) continue;
      await session.query(migration);
      await session.query(sql.INSERT_VERSION, [index + 1]);
    }
  });
}

/**
 * Takes the mirror over: a new epoch on its row and all its tables. Waits for transactions of the
 * former owner that are still open, and makes every later one of its writes fail.
 * Undefined when the ledger does not know the mirror yet.
 */
export async function takeEpoch(session: Session, mirror: string): Promise<bigint | undefined> {
  return session.transaction(async () => {
    const [row] = await session.query(sql.BUMP_MIRROR_EPOCH, [mirror]);
    if (!row) return undefined;
    const epoch = BigInt(text(row, 'epoch'));
    await session.query(sql.BUMP_TABLE_EPOCHS, [mirror, epoch]);
    return epoch;
  });
}

export interface MirrorRegistration {
  readonly name: string;
  readonly epoch: bigint;
  readonly slot: string;
  readonly publication: string;
  readonly sourceSystemIdentifier: string;
  readonly sourceDatabase: string;
}

/** The write-ahead intent: the row is there before the slot is. Idempotent. */
export async function registerMirror(session: Session, mirror: MirrorRegistration): Promise<void> {
  await session.query(sql.INSERT_MIRROR, [
    mirror.name,
    mirror.epoch,
    mirror.slot,
    mirror.publication,
    mirror.sourceSystemIdentifier,
    mirror.sourceDatabase,
  ]);
}

/** Adds the table as Pending; nothing when it is there. Throws DestinationTaken: one table has one writer. */
export async function registerTable(
  session: Session,
  owner: Owner,
  table: { readonly source: TableName; readonly destination: TableName },
): Promise<void> {
  const { source, destination } = table;
  const names = [source.schema, source.name, destination.schema, destination.name];
  const added = await session.query(sql.INSERT_TABLE, [owner.mirror, owner.epoch, ...names]);
  if (added.length > 0) return;
  const [writer] = await session.query(sql.SELECT_WRITER, [owner.mirror, ...names]);
  if (writer !== undefined)
    throw new MirrorError(
      'DestinationTaken',
      `${formatTableName(destination)} is still written by mirror ${text(writer, 'mirror')}`,
    );
}

/** Who writes: the mirror and the epoch under which it is owned. */
export interface Owner {
  readonly mirror: string;
  readonly epoch: bigint;
}

/** What a slot began with. */
export interface SlotStart {
  readonly lsn: Lsn;
  /** The source's; 0 unknown. */
  readonly timeline: number;
  readonly publication: PublicationIdentity | undefined;
}

/** The slot exists and everything before its LSN needs no streaming. */
export async function recordSlot(
  session: Session,
  owner: Owner,
  { lsn, timeline, publication }: SlotStart,
): Promise<void> {
  const values = [formatLsn(lsn), `${timeline}`, jsonOrNull(publication)];
  await fenced(session, owner, { text: sql.RECORD_SLOT, values });
}

/** The slot is gone; the next one starts from nothing. */
export async function forgetSlot(session: Session, owner: Owner): Promise<void> {
  await fenced(session, owner, { text: sql.FORGET_SLOT, values: [] });
}

/** The slot is about to be dropped: see isLeftOver for how it is known by what the ledger keeps. */
export async function markSlotReleased(session: Session, owner: Owner): Promise<void> {
  await fenced(session, owner, { text: sql.RELEASE_SLOT, values: [] });
}

/** What a slot of this ledger's mirror, and no other, has in its WAL where it begins. Random. */
export async function readSlotMark(session: Session, owner: Owner): Promise<string> {
  const [row] = await session.query(sql.SELECT_SLOT_MARK, [owner.mirror, owner.epoch]);
  if (!row) throw notOwner(owner);
  return text(row, 'mark');
}

/** Whose changes the next slot brings, and through which publication: with forgetSlot, in one transaction. */
export async function recordOrigin(
  session: Session,
  owner: Owner,
  origin: Pick<MirrorRegistration, 'sourceSystemIdentifier' | 'sourceDatabase' | 'publication'>,
): Promise<void> {
  const { sourceSystemIdentifier, sourceDatabase, publication } = origin;
  const values = [sourceSystemIdentifier, sourceDatabase, publication];
  await fenced(session, owner, { text: sql.RECORD_ORIGIN, values });
}

/** The source as it is now. */
export interface SourceIdentity {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly publication: PublicationIdentity | undefined;
}

/** The same source is on another timeline, or was not known in full; what is '', 0 or undefined is still not. */
export async function writeSource(
  session: Session,
  owner: Owner,
  { systemIdentifier, timeline, publication }: SourceIdentity,
): Promise<void> {
  const values = [systemIdentifier, `${timeline}`, jsonOrNull(publication)];
  await fenced(session, owner, { text: sql.RECORD_SOURCE, values });
}

/** Part of each apply transaction: every commit before `lsn` is durable when it commits. */
export async function advanceProgress(session: Session, owner: Owner, lsn: Lsn): Promise<void> {
  await fenced(session, owner, {
    text: sql.ADVANCE_PROGRESS,
    values: [formatLsn(lsn)],
    name: 'advance_progress',
  });
}

/** A write to the mirror's row, which must be the owner's. */
async function fenced(
  session: Session,
  owner: Owner,
  statement: { readonly text: string; readonly values: Values; readonly name?: string },
): Promise<void> {
  const values = [owner.mirror, owner.epoch, ...statement.values];
  const { rowCount } = await session
    .run(statement.text, values, statement.name)
    .catch(throwLedgerGone);
  if (rowCount !== 1) throw notOwner(owner);
}

/** Of a statement that names no table but the ledger's. */
function throwLedgerGone(error: unknown): never {
  if (!(error instanceof MirrorError) || error.code !== 'TableMissing') throw error;
  throw new MirrorError(
    'TableMissing',
    'the ledger, schema bunnydb, is gone from the destination',
    {
      cause: error,
      hint: "Nothing is applied. Put it back from a backup; or begin anew: drop the slot at the source and raise the mirror's resyncGeneration.",
    },
  );
}

export function notOwner(owner: Owner): MirrorError {
  return new MirrorError('NotOwner', `another daemon took over mirror ${owner.mirror}`);
}

/** A write to one table's row, which must be the owner's. */
async function fencedTable(
  session: Session,
  owner: Owner,
  statement: { readonly text: string; readonly tableId: string; readonly values?: Values },
): Promise<void> {
  const values = [statement.tableId, owner.epoch, ...(statement.values ?? [])];
  const { rowCount } = await session.run(statement.text, values).catch(throwLedgerGone);
  if (rowCount !== 1) throw notOwner(owner);
}

type Values = readonly (string | number | null)[];

function jsonOrNull(value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value);
}

/** Writes a table's state and, when a copy has ended, what it was for: it is not verified then. */
export async function writeTableState(
  session: Session,
  owner: Owner,
  tableId: string,
  change: { readonly state: TableState; readonly done?: Done },
): Promise<void> {
  const { state, done } = change;
  const values = [
    JSON.stringify(state),
    done?.generation.table ?? null,
    done?.generation.mirror ?? null,
    jsonOrNull(done?.excludeColumns),
    jsonOrNull(done?.memberships),
    jsonOrNull(done?.filled),
  ];
  await fencedTable(session, owner, { text: sql.UPDATE_TABLE_STATE, tableId, values });
}

/** In the transaction from which on the stream leaves them out. */
export async function writeStaleColumns(
  session: Session,
  owner: Owner,
  tableId: string,
  columns: readonly string[],
): Promise<void> {
  const values = [JSON.stringify(columns)];
  await fencedTable(session, owner, { text: sql.UPDATE_STALE_COLUMNS, tableId, values });
}

/** Only where it is not known yet. */
export async function fillExcludedColumns(
  session: Session,
  owner: Owner,
  tableId: string,
  columns: readonly string[],
): Promise<void> {
  await session.run(sql.FILL_EXCLUDED_COLUMNS, [tableId, owner.epoch, JSON.stringify(columns)]);
}

/** The file as it is now is what was asked for last. */
export async function writeSpec(session: Session, owner: Owner, mirror: Mirror): Promise<void> {
  const { specHash, file: _path, ...spec } = mirror;
  await fenced(session, owner, { text: sql.ACCEPT_SPEC, values: [specHash, JSON.stringify(spec)] });
}

/** What came of comparing both sides of the table. */
export async function writeVerification(
  session: Session,
  owner: Owner,
  tableId: string,
  verification: Verification,
): Promise<void> {
  const values = [JSON.stringify(verification)];
  await fencedTable(session, owner, { text: sql.UPDATE_VERIFICATION, tableId, values });
}

/** Remembers which source table is copied, whatever it is called later. */
export async function writeSourceOid(
  session: Session,
  owner: Owner,
  tableId: string,
  sourceOid: number,
): Promise<void> {
  await fencedTable(session, owner, { text: sql.UPDATE_SOURCE_OID, tableId, values: [sourceOid] });
}

/** In the transaction that made another table in the place of the one that was filled. */
export async function writeFilled(
  session: Session,
  owner: Owner,
  tableId: string,
  filled: FilledTable,
): Promise<void> {
  const values = [JSON.stringify(filled)];
  await fencedTable(session, owner, { text: sql.UPDATE_FILLED, tableId, values });
}

/** Makes the rest of this transaction wait for, or fail after, a takeover of the mirror. */
export async function fenceTable(session: Session, owner: Owner, tableId: string): Promise<void> {
  await fencedTable(session, owner, { text: sql.FENCE_TABLE, tableId });
}

/** Where the replay of a table's spool is. */
export async function readReplayPosition(
  session: Session,
  owner: Owner,
  tableId: string,
): Promise<string> {
  const [row] = await session.query(sql.SELECT_REPLAY, [tableId, owner.epoch]);
  if (!row) throw notOwner(owner);
  return text(row, 'replayed_seq');
}

/** Part of each replay transaction: everything up to `seq` is in the table when it commits. */
export async function advanceReplay(
  session: Session,
  owner: Owner,
  tableId: string,
  seq: string,
): Promise<void> {
  await fencedTable(session, owner, { text: sql.ADVANCE_REPLAY, tableId, values: [seq] });
}

/** An empty spool for the table, in the caller's transaction; an older one and its position are gone. */
export async function createSpool(session: Session, owner: Owner, tableId: string): Promise<void> {
  await fencedTable(session, owner, { text: sql.RESET_REPLAY, tableId });
  for (const statement of createSpoolSql(tableId)) await session.query(statement);
}

/** Idempotent. */
export async function dropSpool(session: Session, tableId: string): Promise<void> {
  await session.query(dropSpoolSql(tableId));
}

export async function deleteTable(session: Session, owner: Owner, tableId: string): Promise<void> {
  await fencedTable(session, owner, { text: sql.DELETE_TABLE, tableId });
}

/** Remembers a foreign key that the same transaction drops. */
export async function saveForeignKey(
  session: Session,
  owner: Owner,
  key: Omit<SavedForeignKey, 'id'>,
): Promise<void> {
  await session.query(sql.INSERT_SAVED_FOREIGN_KEY, [
    owner.mirror,
    key.table.schema,
    key.table.name,
    key.owner.schema,
    key.owner.name,
    key.name,
    key.definition,
  ]);
}

/** In the transaction that put the foreign key back. */
export async function forgetForeignKey(session: Session, id: string): Promise<void> {
  await session.query(sql.DELETE_SAVED_FOREIGN_KEY, [id]);
}
