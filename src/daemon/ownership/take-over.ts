/**
 * From the lock to a mirror that nobody else can write to. Whatever a former owner has open is ended,
 * also one that is only paused: what it had locked would keep its readers waiting, its open transactions
 * the epoch, its walsender the slot.
 */
import type { Log } from '../../core/log.ts';
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

/**
 * Returns whose the mirror is now; undefined while the ledger does not know it.
 *
 * Before the epoch, because a transaction of the former owner may hold the row. And after it, because
 * a session that was opened meanwhile may have found the old epoch still there: each of an owner's sessions
 * asks for the epoch when it is open (openDestination), so that one is refused, or was there to be ended.
 */
export async function takeOver(take: TakeOver): Promise<Owner | undefined> {
  const { mirror, destination, source, isFromAnother, log } = take;
  let ended = await endSessions(destination, mirror, WORKERS);
  const epoch = await newEpoch(destination, mirror);
  ended += await endSessions(destination, mirror, WORKERS);
  // A slot that another destination's daemon reads under this name is not ours to free.
  if (isFromAnother) ended += await endSessions(source, mirror, READERS);
  if (ended > 0) log.info({ sessions: ended }, 'ended what the former owner had open');
  return epoch === undefined ? undefined : { mirror, epoch };
}

async function newEpoch(destination: Session, mirror: string): Promise<bigint | undefined> {
  const { version } = await readLedger(destination, mirror);
  return version === 0 ? undefined : takeEpoch(destination, mirror);
}
