import type { Mend } from '../core/mend.ts';
import { sameTable, type TableName } from '../core/table-name.ts';
import { saveForeignKey, type Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import { truncateSql } from '../sql/apply.ts';
import { dropForeignKeySql } from '../sql/foreign-key-ddl.ts';
import type { LockList } from '../sql/swap-lock.ts';
import { readInboundForeignKeys } from '../observe/foreign-keys.ts';
import { loadTarget } from '../stream/target.ts';
import { inLockOrder, letVacuumGiveWay, lockAll, namingBlockers } from './lock-tables.ts';
import { mendTable } from './mend-table.ts';

/** What a try needs and has no time to find out. */
export interface Emptying {
  readonly mend: Mend;
  readonly locks: LockList;
  /** Also foreign keys from the table to itself: a key that they need is made anew. */
  readonly own: boolean;
}

/**
 * Outside any boundary, on a session that is not the stream's: a vacuum of the server's own gives way.
 * Throws LockTimeout when another kind of maintenance holds the table.
 */
export async function prepareEmptying(
  session: Session,
  table: TableName,
  mend: Mend,
): Promise<Emptying> {
  const own = mend.droppedConstraints.length > 0 || mend.droppedIndexes.length > 0;
  const inbound = await readInboundForeignKeys(session, table, { own });
  const owners = inbound.map((key) => key.owner).filter((one) => !sameTable(one, table));
  const locks = { views: [], tables: inLockOrder([table, ...owners]) };
  await letVacuumGiveWay(session, locks);
  return { mend, locks, own };
}

/**
 * In the caller's transaction: empties a table for a copy, and mends its shape. Foreign keys that point at
 * it are written down in the ledger and dropped; the plan puts them back when the table is Live again, also
 * after a crash. Never CASCADE. Idempotent. Throws LockTimeout with who is in the way; the transaction must
 * then be rolled back.
 */
export async function emptyTable(
  session: Session,
  owner: Owner,
  table: TableName,
  { mend, locks, own }: Emptying,
): Promise<void> {
  await namingBlockers(session, locks, async () => lockAll(session, locks));
  for (const key of await readInboundForeignKeys(session, table, { own })) {
    // One of its own that is not as the source has it does not come back.
    if (sameTable(key.owner, table) && mend.droppedConstraints.includes(key.name)) continue;
    await saveForeignKey(session, owner, { ...key, table });
    await session.query(dropForeignKeySql(key.owner, key.name));
  }
  await session.query(truncateSql([await loadTarget(session, table, [])]));
  await mendTable(session, table, mend);
}
