/**
 * Reads and writes the ledger. Writers pass the epoch under which they own the mirror; a write that
 * finds another epoch throws NotOwner, and its transaction must be rolled back.
 */
import { MirrorError } from '../core/errors.ts';
import { formatLsn, parseLsn, type Lsn } from '../core/lsn.ts';
import type { Generation, Mirror } from '../core/mirror.ts';
import type { MirrorRecord, ObservedLedger, SavedForeignKey } from '../core/observed.ts';
import type { TableName } from '../core/table-name.ts';
import type { TableRecord, TableState } from '../core/table-state.ts';
import type { Verification } from '../core/verification.ts';
import * as sql from '../sql/ledger.ts';
import { createSpoolSql, dropSpoolSql } from '../sql/spool.ts';
import type { Session } from './session.ts';

export const LEDGER_VERSION = sql.LEDGER_MIGRATIONS.length;

const EMPTY: ObservedLedger = { version: 0, mirror: undefined, tables: [], savedForeignKeys: [] };

/** Everything the ledger says of one mirror; version 0 when there is no ledger. Throws LedgerTooNew. */
export async function readLedger(session: Session, mirror: string): Promise<ObservedLedger> {
  const version = await readVersion(session);
  if (version === 0) return EMPTY;
  if (version > LEDGER_VERSION)
    throw new MirrorError(
      'LedgerTooNew',
      `the ledger has version ${version}, this program knows ${LEDGER_VERSION}`,
    );
  return {
    version,
    mirror: await readMirror(session, mirror),
    tables: (await session.query(sql.SELECT_TABLES, [mirror])).map(toTableRecord),
    savedForeignKeys: (await session.query(sql.SELECT_SAVED_FOREIGN_KEYS, [mirror])).map(
      toSavedForeignKey,
    ),
  };
}

async function readVersion(session: Session): Promise<number> {
  const [present] = await session.query(sql.SELECT_LEDGER_VERSION);
  if (present?.['present'] !== '1') return 0;
  const [latest] = await session.query(sql.SELECT_LATEST_VERSION);
  return Number(latest?.['version'] ?? 0);
}

async function readMirror(session: Session, mirror: string): Promise<MirrorRecord | undefined> {
  const [row] = await session.query(sql.SELECT_MIRROR, [mirror]);
  if (!row) return undefined;
  const specHash = row['spec_hash'] ?? undefined;
  const spec = row['spec'] ?? undefined;
  const timeline = row['source_timeline'] ?? undefined;
  return {
    ...(specHash === undefined ? {} : { specHash }),
    ...(spec === undefined ? {} : { spec: JSON.parse(spec) as Partial<Mirror> }),
    ...(timeline === undefined ? {} : { sourceTimeline: Number(timeline) }),
    name: text(row, 'name'),
    slot: text(row, 'slot'),
    publication: text(row, 'publication'),
    slotState: text(row, 'slot_state') as MirrorRecord['slotState'],
    sourceSystemIdentifier: text(row, 'source_system_identifier'),
    sourceDatabase: text(row, 'source_database'),
    appliedLsn: parseLsn(text(row, 'applied_lsn')),
    epoch: BigInt(text(row, 'epoch')),
  };
}

/** Brings the ledger to this program's version, in one transaction. Idempotent, safe beside another daemon. */
export async function migrateLedger(session: Session): Promise<void> {
  await session.transaction(async () => {
    await session.query(sql.LOCK_MIGRATION);
    const version = await readVersion(session);
    for (const [index, migration] of sql.LEDGER_MIGRATIONS.entries()) {
      if (index < version) continue;
      await session.query(migration);
      await session.query(sql.INSERT_VERSION, [index + 1]);
    }
  });
}

/** Tries the mirror's advisory lock; it is held as long as the session lives. */
export async function tryLockMirror(session: Session, mirror: string): Promise<boolean> {
  const [row] = await session.query(sql.TRY_LOCK_MIRROR, [mirror]);
  return row?.['locked'] === 't';
}

/** Whether some daemon runs the mirror now. */
export async function isMirrorLocked(session: Session, mirror: string): Promise<boolean> {
  const [row] = await session.query(sql.SELECT_MIRROR_LOCKED, [mirror]);
  return row?.['locked'] === 't';
}

/** Calls back whenever somebody asks the mirror's owner for something; as long as the session lives. */
export async function listenForRequests(
  session: Session,
  mirror: string,
  onRequest: () => void,
): Promise<void> {
  session.client.on('notification', ({ payload }) => {
    if (payload === mirror) onRequest();
  });
  await session.query(sql.LISTEN_FOR_REQUESTS);
}

/** Asks the mirror's owner to compare those tables, by the ledger's ids. */
export async function requestVerification(
  session: Session,
  mirror: string,
  tableIds: readonly string[],
): Promise<void> {
  await session.transaction(async () => {
    for (const id of tableIds) await session.query(sql.REQUEST_VERIFICATION, [id]);
    await session.query(sql.NOTIFY_OWNER, [mirror]);
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

/** Adds the table as Pending; nothing when it is there. */
export async function registerTable(
  session: Session,
  owner: Owner,
  table: { readonly source: TableName; readonly destination: TableName },
): Promise<void> {
  const { source, destination } = table;
  await session.query(sql.INSERT_TABLE, [
    owner.mirror,
    owner.epoch,
    source.schema,
    source.name,
    destination.schema,
    destination.name,
  ]);
}

/** Who writes: the mirror and the epoch under which it is owned. */
export interface Owner {
  readonly mirror: string;
  readonly epoch: bigint;
}

/** The slot exists and everything before `lsn` needs no streaming. `timeline`: the source's; 0 unknown. */
export async function recordSlot(
  session: Session,
  owner: Owner,
  { lsn, timeline }: { readonly lsn: Lsn; readonly timeline: number },
): Promise<void> {
  await fenced(session, owner, { text: sql.RECORD_SLOT, values: [formatLsn(lsn), `${timeline}`] });
}

/** The slot is gone; the next one starts from nothing. */
export async function forgetSlot(session: Session, owner: Owner): Promise<void> {
  await fenced(session, owner, { text: sql.FORGET_SLOT, values: [] });
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

/** The same source is on another timeline, or who it is was not known; '' and 0 are still not. */
export async function writeSource(
  session: Session,
  owner: Owner,
  { systemIdentifier, timeline }: { readonly systemIdentifier: string; readonly timeline: number },
): Promise<void> {
  const values = [systemIdentifier, `${timeline}`];
  await fenced(session, owner, { text: sql.RECORD_SOURCE, values });
}

  await fenced(session, owner, { text: sql.RECORD_SLOT, values: [formatLsn(lsn)] });
}

/** The slot is gone; the next one starts from nothing. */
export async function forgetSlot(session: Session, owner: Owner): Promise<void> {
  await fenced(session, owner, { text: sql.FORGET_SLOT, values: [] });
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
  statement: { readonly text: string; readonly values: readonly string[]; readonly name?: string },
): Promise<void> {
  const values = [owner.mirror, owner.epoch, ...statement.values];
  const { rowCount } = await session.run(statement.text, values, statement.name);
  if (rowCount !== 1) throw notOwner(owner);
}

function notOwner(owner: Owner): MirrorError {
  return new MirrorError('NotOwner', `another daemon took over mirror ${owner.mirror}`);
}

/** Writes a table's state and, when a copy has ended, the generation it was for: it is not verified then. */
export async function writeTableState(
  session: Session,
  owner: Owner,
  tableId: string,
  change: { readonly state: TableState; readonly observed?: Generation },
): Promise<void> {
  const { rowCount } = await session.run(sql.UPDATE_TABLE_STATE, [
    tableId,
    owner.epoch,
    JSON.stringify(change.state),
    change.observed?.table ?? null,
    change.observed?.mirror ?? null,
  ]);
  if (rowCount !== 1) throw notOwner(owner);
}

/** What came of comparing both sides of the table. */
export async function writeVerification(
  session: Session,
  owner: Owner,
  tableId: string,
  verification: Verification,
): Promise<void> {
  const values = [tableId, owner.epoch, JSON.stringify(verification)];
  const { rowCount } = await session.run(sql.UPDATE_VERIFICATION, values);
  if (rowCount !== 1) throw notOwner(owner);
}

/** Remembers which source table is copied, whatever it is called later. */
export async function writeSourceOid(
  session: Session,
  owner: Owner,
  tableId: string,
  sourceOid: number,
): Promise<void> {
  const { rowCount } = await session.run(sql.UPDATE_SOURCE_OID, [tableId, owner.epoch, sourceOid]);
  if (rowCount !== 1) throw notOwner(owner);
}

/** Makes the rest of this transaction wait for, or fail after, a takeover of the mirror. */
export async function fenceTable(session: Session, owner: Owner, tableId: string): Promise<void> {
  const { rowCount } = await session.run(sql.FENCE_TABLE, [tableId, owner.epoch]);
  if (rowCount !== 1) throw notOwner(owner);
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
  const { rowCount } = await session.run(sql.ADVANCE_REPLAY, [tableId, owner.epoch, seq]);
  if (rowCount !== 1) throw notOwner(owner);
}

/** An empty spool for the table, in the caller's transaction; an older one and its position are gone. */
export async function createSpool(session: Session, owner: Owner, tableId: string): Promise<void> {
  const { rowCount } = await session.run(sql.RESET_REPLAY, [tableId, owner.epoch]);
  if (rowCount !== 1) throw notOwner(owner);
  for (const statement of createSpoolSql(tableId)) await session.query(statement);
}

/** Idempotent. */
export async function dropSpool(session: Session, tableId: string): Promise<void> {
  await session.query(dropSpoolSql(tableId));
}

export async function deleteTable(session: Session, owner: Owner, tableId: string): Promise<void> {
  const { rowCount } = await session.run(sql.DELETE_TABLE, [tableId, owner.epoch]);
  if (rowCount !== 1) throw notOwner(owner);
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

type LedgerRow = Record<string, string | null>;

function toTableRecord(row: LedgerRow): TableRecord {
  const tableGeneration = row['observed_table_generation'];
  const sourceOid = row['source_oid'];
  const excluded = row['excluded_columns'] ?? undefined;
  const verification = row['verification'] ?? undefined;
  const verifyRequestedAt = row['verify_requested_at'] ?? undefined;
  return {
    id: text(row, 'id'),
    source: { schema: text(row, 'source_schema'), name: text(row, 'source_name') },
    destination: { schema: text(row, 'destination_schema'), name: text(row, 'destination_name') },
    ...(sourceOid === null || sourceOid === undefined ? {} : { sourceOid: Number(sourceOid) }),
    observed:
      tableGeneration === null || tableGeneration === undefined
        ? undefined
        : {
            table: Number(tableGeneration),
            mirror: Number(text(row, 'observed_mirror_generation')),
          },
    ...(excluded === undefined ? {} : { excludeColumns: JSON.parse(excluded) as string[] }),
    state: JSON.parse(text(row, 'state')) as TableState,
    ...(verification === undefined
      ? {}
      : { verification: JSON.parse(verification) as Verification }),
    ...(verifyRequestedAt === undefined ? {} : { verifyRequestedAt }),
  };
}

function toSavedForeignKey(row: LedgerRow): SavedForeignKey {
  return {
    id: text(row, 'id'),
    table: { schema: text(row, 'table_schema'), name: text(row, 'table_name') },
    owner: { schema: text(row, 'owner_schema'), name: text(row, 'owner_name') },
    name: text(row, 'name'),
    definition: text(row, 'definition'),
  };
}

function text(row: LedgerRow, column: string): string {
  const value = row[column];
  if (value === null || value === undefined) throw new Error(`ledger: ${column} is null`);
  return value;
}
