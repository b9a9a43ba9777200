/** A destination table goes: deletionPolicy is Delete. Never CASCADE. */
import { driverCode, MirrorError } from '../core/errors.ts';
import type { SavedForeignKey } from '../core/observed.ts';
import { formatTableName, sameTable, type TableName } from '../core/table-name.ts';
import { readInboundForeignKeys } from '../observe/foreign-keys.ts';
import type { Session } from '../postgres/session.ts';
import { dropTableSql } from '../sql/ddl.ts';
import { dropForeignKeySql } from '../sql/foreign-key-ddl.ts';
import { quoteTable } from '../sql/quote.ts';
import type { LockList } from '../sql/swap-lock.ts';
import { inLockOrder, letVacuumGiveWay, lockAll, namingBlockers } from './lock-tables.ts';
import { detailOf } from './swap.ts';

/** What dropping one table takes. */
export interface TableDrop {
  readonly table: TableName;
  /** Of tables that go too: no reason to keep this one. */
  readonly foreignKeys: readonly Omit<SavedForeignKey, 'id'>[];
}

const SELECT_THERE = /* sql */ `select 1 as there where to_regclass($1) is not null`;

/**
 * Before the transaction that drops it: finds out what that takes, and lets a vacuum give way. Undefined
 * when there is no such table. `going`: tables that are dropped too, whatever becomes of them.
 */
export async function prepareDrop(
  session: Session,
  table: TableName,
  going: readonly TableName[],
): Promise<TableDrop | undefined> {
  if ((await session.query(SELECT_THERE, [quoteTable(table)])).length === 0) return undefined;
  const foreignKeys = (await readInboundForeignKeys(session, table)).filter(({ owner }) =>
    going.some((other) => sameTable(other, owner)),
  );
  const drop = { table, foreignKeys };
  await letVacuumGiveWay(session, locksOf(drop));
  return drop;
}

/**
 * In the caller's transaction, which is to be rolled back when it throws: LockTimeout with who is in the
 * way, DropObstructed with what depends on the table.
 */
export async function dropTable(session: Session, drop: TableDrop): Promise<void> {
  const locks = locksOf(drop);
  try {
    await namingBlockers(session, locks, async () => {
      await lockAll(session, locks);
      for (const { owner, name } of drop.foreignKeys)
        await session.query(dropForeignKeySql(owner, name));
      await session.query(dropTableSql(drop.table));
    });
  } catch (error) {
    throw obstruction(drop.table, error);
  }
}

function locksOf({ table, foreignKeys }: TableDrop): LockList {
  return { views: [], tables: inLockOrder([table, ...foreignKeys.map(({ owner }) => owner)]) };
}

/** dependent_objects_still_exist; wrong_object_type, of a view under the table's name. */
const OBSTACLES: ReadonlySet<string | undefined> = new Set(['2BP01', '42809']);

/** The server names what depends on it in the error's detail, which holds no row. */
function obstruction(table: TableName, error: unknown): unknown {
  if (!(error instanceof MirrorError) || !OBSTACLES.has(driverCode(error.cause))) return error;
  const detail = detailOf(error.cause) ?? error.message;
  return new MirrorError(
    'DropObstructed',
    `${formatTableName(table)} cannot be dropped: ${detail.replaceAll(/\s*\n\s*/g, '; ')}`,
    { cause: error.cause },
  );
}
