/**
 * Who made a slot, told by its WAL: the statement that makes one writes its mirror's mark there, and only when it
 * has made it. So a slot in whose WAL this ledger's mark is found was made by a try of this ledger's mirror,
 * whatever became of the daemon; another one's never has it.
 */
import { driverCode, MirrorError } from '../core/errors.ts';
import { formatLsn } from '../core/lsn.ts';
import type { MirrorRecord, Observed, ObservedSlot } from '../core/observed.ts';
import { isLeftOver, isSomebodyElses } from '../plan/own-slot.ts';
import { readSlotMark } from '../postgres/ledger.ts';
import { quoteIdent } from '../sql/quote.ts';
import type { ExecuteContext } from './context.ts';

/** Whoever makes slots on a standby leaves no mark: what it did not get to write down counts as somebody else's. */
export const CREATE_SLOT = /* sql */ `
select lsn::text as lsn,
  case when not pg_is_in_recovery() then pg_logical_emit_message(false, 'bunnydb', $2) end as marked
from pg_create_logical_replication_slot($1, 'pgoutput')`;

/** A mark without a transaction is on disk a moment later, or with the commit of any that is. */
const FLUSH_WAL = /* sql */ `
select case when not pg_is_in_recovery() then pg_logical_emit_message(true, 'bunnydb', '') end`;

/**
 * The mark follows where the slot begins, but for what others wrote meanwhile: 64 MB are far more than that, and soon
 * read. Moves nothing. 77 is M, a logical message.
 */
const SELECT_HAS_MARK = /* sql */ `
select exists (
  select from pg_logical_slot_peek_binary_changes($1, $2::pg_lsn + 67108864::numeric, null,
    'proto_version', '1', 'publication_names', $3, 'messages', 'true')
  where get_byte(data, 0) = 77 and position(convert_to($4, 'UTF8') in data) > 0
) as has_mark`;

/** undefined_object: the publication is not there, or was not when the slot was made; ours would have had it. */
const UNDEFINED_OBJECT = '42704';

/** Whether a slot that is there before the ledger says so is this ledger's. Throws SlotBusy while it is read or made. */
export async function isOwnSlot(
  ctx: Pick<ExecuteContext, 'source' | 'destination' | 'mirror' | 'owner'>,
  slot: ObservedSlot,
  { record, look }: { readonly record: MirrorRecord; readonly look: Pick<Observed, 'source'> },
): Promise<boolean> {
  const { source, destination, mirror, owner } = ctx;
  if (slot.confirmedFlushLsn === undefined)
    throw new MirrorError('SlotBusy', `slot ${mirror.slot} is being made by another session`);
  if (isLeftOver(slot, record, look)) return true;
  if (isSomebodyElses(slot, record, look)) return false;
  const publication = quoteIdent(record.publication);
  const mark = await readSlotMark(destination, owner);
  await source.query(FLUSH_WAL);
  const values = [record.slot, formatLsn(slot.confirmedFlushLsn), publication, mark];
  try {
    const [row] = await source.query(SELECT_HAS_MARK, values);
    return row?.['has_mark'] === 't';
  } catch (error) {
    if (error instanceof MirrorError && driverCode(error.cause) === UNDEFINED_OBJECT) return false;
    throw error;
  }
}
