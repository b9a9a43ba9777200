/**
 * From the lock to a mirror that nobody else can write to. Whatever a former owner has open is ended,
 * also one that is only paused: what it had locked would keep its readers waiting, its open transactions
 * the epoch, its walsender the slot.
 */
import type { Log } from '../../core/log.ts';
import { observeServer } from '../../observe/server.ts';
import { observeSlot } from '../../observe/slot.ts';
import { isReadByAnother } from '../../plan/slot-loss.ts';
import { identityChange } from '../../plan/source-change.ts';
import { readLedger, takeEpoch, type Owner } from '../../postgres/ledger.ts';
import { endSessions, READERS, WORKERS } from '../../postgres/ownership.ts';
import type { Session } from '../../postgres/session.ts';

/** Both sessions of a daemon that has the mirror's lock. */
export interface Ends {
  readonly source: Session;
  /** Holds the lock. */
  readonly destination: Session;
}

export interface TakeOver extends Ends {
  readonly mirror: string;
  /** Another daemon was seen to have the mirror before. */
  readonly isFromAnother: boolean;
  readonly log: Log;
}

/** Whose the mirror is now. */
export interface TakenOver {
  /** Undefined while the ledger does not know the mirror. */
  readonly owner: Owner | undefined;
  /** Another daemon had it: seen before, or by what it had open. */
  readonly isFromAnother: boolean;
}

/**
 * Before the epoch, because a transaction of the former owner may hold the row. And after it, because
 * a session that was opened meanwhile may have found the old epoch still there: each of an owner's sessions
 * asks for the epoch when it is open (openDestination), so that one is refused, or was there to be ended.
 * The readers also where the lock was simply free: sessions at the destination may go without those at the source.
 */
export async function takeOver(take: TakeOver): Promise<TakenOver> {
  const { mirror, destination, source, isFromAnother, log } = take;
  let writers = await endSessions(destination, mirror, WORKERS);
  const epoch = await newEpoch(destination, mirror);
  writers += await endSessions(destination, mirror, WORKERS);
  const isToEnd = isFromAnother || (await hasSlot(take));
  const readers = isToEnd ? await endSessions(source, mirror, READERS) : 0;
  const sessions = writers + readers;
  if (sessions > 0) log.info({ sessions }, 'ended what the former owner had open');
  const owner = epoch === undefined ? undefined : { mirror, epoch };
  return { owner, isFromAnother: isFromAnother || readers > 0 };
}

/** By the ledger. A slot that another destination's daemon reads under this name is not ours to free. */
async function hasSlot({ mirror, source, destination }: TakeOver): Promise<boolean> {
  const { mirror: record } = await readLedger(destination, mirror);
  if (record?.slotState !== 'created') return false;
  if (identityChange({ source: await observeServer(source) }, record) !== undefined) return false;
  return !isReadByAnother(await observeSlot(source, record.slot), record);
}

async function newEpoch(destination: Session, mirror: string): Promise<bigint | undefined> {
  const { version } = await readLedger(destination, mirror);
  return version === 0 ? undefined : takeEpoch(destination, mirror);
}
