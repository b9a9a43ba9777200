/** What the ledger does for a mirror that is removed. */
import * as sql from '../sql/ledger.ts';
import { notOwner, type Owner } from './ledger.ts';
import type { Session } from './session.ts';

/** Makes the rest of this transaction wait for, or fail after, a takeover of the mirror. */
export async function fenceMirror(session: Session, owner: Owner): Promise<void> {
  const { rowCount } = await session.run(sql.FENCE_MIRROR, [owner.mirror, owner.epoch]);
  if (rowCount !== 1) throw notOwner(owner);
}

/** The mirror was never here. Its spools and shadows have to be gone: nothing knows of them afterwards. */
export async function forgetMirror(session: Session, owner: Owner): Promise<void> {
  await fenceMirror(session, owner);
  for (const statement of sql.FORGET_MIRROR) await session.query(statement, [owner.mirror]);
}

/**
 * For a new mirror, higher than any that one of its name had before it was removed: whoever lost that
 * one must not be taken for this one's owner. Each takeover uses up one transaction id at least.
 */
export async function firstEpoch(session: Session): Promise<bigint> {
  const [row] = await session.query(sql.SELECT_FIRST_EPOCH);
  return BigInt(row?.['epoch'] ?? 0);
}
