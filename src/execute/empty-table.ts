import type { Mend } from '../core/mend.ts';
import { sameTable } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import { fenceTable, saveForeignKey, type Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import { truncateSql } from '../sql/apply.ts';
import { dropForeignKeySql } from '../sql/foreign-key-ddl.ts';
import { readInboundForeignKeys } from '../observe/foreign-keys.ts';
import { loadTarget } from '../stream/target.ts';
import { inLockOrder, letVacuumGiveWay, lockAll, namingBlockers } from './lock-tables.ts';
import { mendTable } from './mend-table.ts';

/**
 * Empties a table for a copy, and mends its shape. Foreign keys that point at it are written down in the
 * ledger and dropped in the same transaction; the plan puts them back when the table is Live again, also
 * after a crash. Never CASCADE. Idempotent.
 */
export async function emptyTable(
  session: Session,
  owner: Owner,
  record: TableRecord,
  mend: Mend,
): Promise<void> {
  const table = record.destination;
  const own = mend.droppedConstraints.length > 0 || mend.droppedIndexes.length > 0;
  const inbound = await readInboundForeignKeys(session, table, { own });
  const owners = inbound.map((key) => key.owner).filter((one) => !sameTable(one, table));
  const locks = { views: [], tables: inLockOrder([table, ...owners]) };
  await letVacuumGiveWay(session, locks);
  await session.transaction(async () => {
    await fenceTable(session, owner, record.id);
    await namingBlockers(session, locks, async () => lockAll(session, locks));
    for (const key of await readInboundForeignKeys(session, table, { own })) {
      // One of its own that is not as the source has it does not come back.
      if (sameTable(key.owner, table) && mend.droppedConstraints.includes(key.name)) continue;
      await saveForeignKey(session, owner, { ...key, table });
      await session.query(dropForeignKeySql(key.owner, key.name));
    }
    await session.query(truncateSql([await loadTarget(session, table, [])]));
    await mendTable(session, table, mend);
  });
}
