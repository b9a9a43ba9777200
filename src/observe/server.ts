import { MirrorError } from '../core/errors.ts';
import { parseLsn, type Lsn } from '../core/lsn.ts';
import type { ObservedServer } from '../core/observed.ts';
import type { Row, Session } from '../postgres/session.ts';
import { flag, number, optionalText, text } from './read.ts';

/** On Amazon RDS the attribute REPLICATION cannot be had; membership in rds_replication stands for it. */
const SELECT_SERVER = /* sql */ `
select current_setting('server_version_num') as version,
  current_setting('wal_level') as wal_level,
  d.datname::text as database,
  d.oid::text as database_oid,
  pg_encoding_to_char(d.encoding)::text as encoding,
  r.rolname::text as role,
  r.rolsuper as superuser,
  r.rolsuper or r.rolreplication or exists (
    select 1 from pg_roles g
    where g.rolname = 'rds_replication' and pg_has_role(g.oid, 'usage')
  ) as replication,
  has_database_privilege(d.oid, 'create') as can_create
from pg_database d, pg_roles r
where d.datname = current_database() and r.rolname = current_user`;

const SELECT_IDENTITY = /* sql */ `
select system_identifier::text from pg_control_system()`;

/** Until its next checkpoint, minutes after a promotion, the control file has the former one: WAL file names begin with what is written. */
const SELECT_TIMELINE = /* sql */ `
select case
  when pg_is_in_recovery() then (
    select greatest(c.timeline_id, r.min_recovery_end_timeline)::bigint
    from pg_control_checkpoint() c, pg_control_recovery() r
  )
  else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint
end::text as timeline`;

/** What kind of server it is, who it takes us for and what it lets us do. */
export async function observeServer(session: Session): Promise<ObservedServer> {
  const [row] = await session.query(SELECT_SERVER);
  if (!row) throw new Error('the server does not know the current database or role');
  return {
    ...(await observeIdentity(session)),
    version: number(row, 'version'),
    database: text(row, 'database'),
    databaseOid: number(row, 'database_oid'),
    encoding: text(row, 'encoding'),
    walLevel: text(row, 'wal_level'),
    role: {
      name: text(row, 'role'),
      superuser: flag(row, 'superuser'),
      replication: flag(row, 'replication'),
    },
    canCreate: flag(row, 'can_create'),
  };
}

/** These functions are PUBLIC by default; where they were revoked the identity is unknown: '' and 0. */
async function observeIdentity(
  session: Session,
): Promise<Pick<ObservedServer, 'systemIdentifier' | 'timeline'>> {
  const [identity] = await readIfAllowed(session, SELECT_IDENTITY);
  const [wal] = await readIfAllowed(session, SELECT_TIMELINE);
  return {
    systemIdentifier: identity === undefined ? '' : text(identity, 'system_identifier'),
    timeline: wal === undefined ? 0 : number(wal, 'timeline'),
  };
}

async function readIfAllowed(session: Session, sql: string): Promise<Row[]> {
  try {
    return await session.query(sql);
  } catch (error) {
    if (error instanceof MirrorError && error.code === 'PermissionDenied') return [];
    throw error;
  }
}

const SELECT_WAL_LSN = /* sql */ `
select case
  when pg_is_in_recovery() then pg_last_wal_replay_lsn()
  else pg_current_wal_lsn()
end::text as lsn`;

/** Where the server's WAL is, or as far as it is replayed; undefined where that may not be read. */
export async function observeWalLsn(session: Session): Promise<Lsn | undefined> {
  const [row] = await readIfAllowed(session, SELECT_WAL_LSN);
  const lsn = row && optionalText(row, 'lsn');
  return lsn === undefined ? undefined : parseLsn(lsn);
}

const SELECT_SCHEMAS = /* sql */ `select nspname::text as name from pg_namespace order by nspname`;

/** The names of all schemas. */
export async function observeSchemas(session: Session): Promise<string[]> {
  return (await session.query(SELECT_SCHEMAS)).map((row) => text(row, 'name'));
}

const SELECT_CLOCK = /* sql */ `
select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as now`;

/** The server's time, ISO 8601. */
export async function readClock(session: Session): Promise<string> {
  const [row] = await session.query(SELECT_CLOCK);
  return text(row ?? {}, 'now');
}
