import { parseLsn } from '../core/lsn.ts';
import type { ObservedSlot } from '../core/observed.ts';
import type { Session } from '../postgres/session.ts';
import { flag, number, optionalText, text } from './read.ts';

const SELECT_SLOT = /* sql */ `
select coalesce(plugin::text, '') as plugin,
  coalesce(database::text, '') as database,
  active,
  confirmed_flush_lsn::text as confirmed_flush_lsn,
  coalesce(wal_status, 'lost') as wal_status,
  to_jsonb(one) ->> 'invalidation_reason' as invalidation_reason,
  coalesce(pg_wal_lsn_diff(
    case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
    restart_lsn
  ), 0)::text as retained_bytes
from pg_replication_slots as one
where slot_name = $1`;

/** The slot of that name, whoever made it; undefined when there is none. */
export async function observeSlot(
  session: Session,
  name: string,
): Promise<ObservedSlot | undefined> {
  const [row] = await session.query(SELECT_SLOT, [name]);
  if (!row) return undefined;
  const confirmed = optionalText(row, 'confirmed_flush_lsn');
  const invalidationReason = optionalText(row, 'invalidation_reason');
  return {
    plugin: text(row, 'plugin'),
    database: text(row, 'database'),
    active: flag(row, 'active'),
    confirmedFlushLsn: confirmed === undefined ? undefined : parseLsn(confirmed),
    walStatus: text(row, 'wal_status'),
    ...(invalidationReason === undefined ? {} : { invalidationReason }),
    retainedBytes: number(row, 'retained_bytes'),
  };
}
