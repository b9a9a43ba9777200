/**
 * Who runs a mirror and who stands by for it, told by advisory locks in the mirror's destination: a
 * session's locks go with it, whatever ends it, and everybody may see them. A mirror's keys are hashes of
 * 64 bits, seeded by what they are for: with 32 two mirrors' names could meet. A daemon's has a class of our own.
 *
 *   hash of the mirror, 70201140   exclusive: runs it
 *   hash of the mirror, 70201141   shared: stands by for it
 *   70201142, a daemon's id        shared: whose session this is
 *
 * An application_name could not tell it: with a long mirror name it has no room for an id.
 */

export const TRY_LOCK_MIRROR = /* sql */ `
select pg_try_advisory_lock(hashtextextended($1, 70201140)) as locked`;

/**
 * The lock goes, and who stands by is told at once: in one statement, which unlocks when it runs and
 * notifies when it is committed.
 */
export const GIVE_UP_MIRROR = /* sql */ `
select pg_advisory_unlock(hashtextextended($1, 70201140)), pg_notify('bunnydb', $1)`;

/** Two keys are a lock's class and object; the halves of a single one, its high bits first, are told by objsubid 1. */
const LOCKS = /* sql */ `
locks as (
  select pid, case objsubid when 2 then classid::bigint end as class,
    case objsubid when 1 then classid::bigint << 32 | objid::bigint else objid::bigint end as key
  from pg_locks
  where locktype = 'advisory' and granted and objsubid in (1, 2)
    and database = (select oid from pg_database where datname = current_database())
)`;

/** Whether somebody runs it or is about to, without taking anything. */
export const SELECT_MIRROR_LOCKED = /* sql */ `
with ${LOCKS}
select exists (
  select from locks
  where class is null and key in (hashtextextended($1, 70201140), hashtextextended($1, 70201141))
) as locked`;

export const SIGN_SESSION = /* sql */ `select pg_advisory_lock_shared(70201142, $1)`;

export const ANNOUNCE_STANDBY = /* sql */ `
select pg_advisory_lock_shared(hashtextextended($1, 70201141))`;

export const WITHDRAW_STANDBY = /* sql */ `
select pg_advisory_unlock_shared(hashtextextended($1, 70201141))`;

export const NAME_SESSION = /* sql */ `select set_config('application_name', $1, false)`;

/** One that has said nothing for $2 seconds is paused: it would take nothing. */
const STANDBYS = /* sql */ `
standbys as (
  select daemon.key as id
  from locks standby join locks daemon using (pid)
  left join pg_stat_activity activity using (pid)
  where standby.class is null and standby.key = hashtextextended($1, 70201141)
    and daemon.class = 70201142 and pid <> pg_backend_pid()
    and not coalesce(activity.state like 'idle%'
      and activity.state_change < clock_timestamp() - make_interval(secs => $2), false)
)`;

/** Ids of the daemons that stand by, but for the asking session's own. */
export const SELECT_STANDBYS = /* sql */ `
with ${LOCKS}, ${STANDBYS}
select coalesce(string_agg(id::text, ' ' order by id), '') as standbys from standbys`;

/**
 * The owner's session, and for how long it has said nothing: null while a statement of it runs. One
 * whose statement waits for its client, which takes no more of a result or sends no more, counts from when
 * that began; one that waits for a session of the same mirror ($3: their names) that is silent itself as that: a
 * paused process ends neither. Null also where its activity is hidden from us.
 */
const OWNER = /* sql */ `
owner as (
  select lock.pid, daemon.key as daemon, case
    when activity.state like 'idle%' then activity.state_change
    when activity.state = 'active' and activity.wait_event in ('ClientRead', 'ClientWrite')
      then activity.state_change
    when activity.state = 'active' and activity.wait_event_type = 'Lock' then (
      select max(other.state_change) from pg_stat_activity other
      where other.pid = any (pg_blocking_pids(lock.pid))
        and other.state like 'idle in transaction%' and other.application_name = any ($3::text[])
    ) end as silent_since
  from locks lock
  left join locks daemon on daemon.pid = lock.pid and daemon.class = 70201142
  left join pg_stat_activity activity on activity.pid = lock.pid
  where lock.class is null and lock.key = hashtextextended($1, 70201140)
)`;

/** One row, also while nobody owns it. */
export const SELECT_STANDING = /* sql */ `
with ${LOCKS}, ${STANDBYS}, ${OWNER}
select owner.pid, owner.daemon, extract(epoch from clock_timestamp() - owner.silent_since) as silent_seconds,
  (select coalesce(string_agg(id::text, ' ' order by id), '') from standbys) as standbys
from (select) one left join owner on true`;

/** What is left of a daemon's own session that it has closed: its statement may still run. By its name it is this mirror's ($4). */
export const END_OWN_OWNER = /* sql */ `
with ${LOCKS}, ${OWNER}
select pg_terminate_backend(pid, 5000) as ended
from owner join pg_stat_activity activity using (pid)
where daemon = $2 and activity.application_name = any ($4::text[])`;

/** Looks again, and ends it only if it is still as silent. Waits until it is gone. */
export const END_SILENT_OWNER = /* sql */ `
with ${LOCKS}, ${OWNER}
select pg_terminate_backend(pid, 5000) as ended
from owner
where silent_since < clock_timestamp() - make_interval(secs => $2)`;

/** Of our own role alone, in this database; waits until each is gone. */
export const END_SESSIONS = /* sql */ `
select pg_terminate_backend(pid, 5000) as ended
from pg_stat_activity
where application_name = any ($1::text[]) and datname = current_database()
  and usename = session_user and pid <> pg_backend_pid()`;

export const SELECT_OWNED = /* sql */ `
select from bunnydb.mirrors where name = $1 and epoch = $2`;
