/**
 * The ledger's statements. The schema `bunnydb` in the destination is the only durable truth about
 * what was done; every write to it carries the owner's epoch, so a daemon that lost its mirror
 * cannot commit anything any more.
 */

/** Forward only: migration n brings version n - 1 to n. Never edit one that was released. */
export const LEDGER_MIGRATIONS: readonly string[] = [
  /* sql */ `
create schema if not exists bunnydb;
comment on schema bunnydb is 'bunnydb: what was mirrored, and how far. Do not edit by hand.';

create table bunnydb.version (
  version int primary key,
  applied_at timestamptz not null default clock_timestamp()
);

create table bunnydb.mirrors (
  name text primary key,
  epoch bigint not null default 0,
  spec_hash text,
  slot text not null,
  publication text not null,
  slot_state text not null check (slot_state in ('creating', 'created')),
  source_system_identifier text not null,
  source_database text not null,
  applied_lsn pg_lsn not null default '0/0',
  created_at timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

create table bunnydb.tables (
  id bigint generated always as identity primary key,
  mirror text not null references bunnydb.mirrors (name),
  epoch bigint not null,
  source_schema text not null,
  source_name text not null,
  destination_schema text not null,
  destination_name text not null,
  source_oid oid,
  observed_table_generation bigint,
  observed_mirror_generation bigint,
  state jsonb not null,
  -- The spool bunnydb.spool_<id> is replayed up to here.
  replayed_seq bigint not null default 0,
  unique (mirror, source_schema, source_name),
  unique (destination_schema, destination_name)
);

create table bunnydb.saved_foreign_keys (
  id bigint generated always as identity primary key,
  mirror text not null references bunnydb.mirrors (name),
  table_schema text not null,
  table_name text not null,
  owner_schema text not null,
  owner_name text not null,
  name text not null,
  definition text not null,
  unique (owner_schema, owner_name, name)
);

create table bunnydb.events (
  id bigint generated always as identity primary key,
  mirror text not null,
  at timestamptz not null default clock_timestamp(),
  type text not null check (type in ('Normal', 'Warning')),
  reason text not null,
  source_table text,
  message text not null
);
`,
  /* sql */ `
alter table bunnydb.tables
  add column verification jsonb,
  add column verify_requested_at timestamptz;
`,
  /* sql */ `
alter table bunnydb.mirrors
  add column spec jsonb,
  add column source_timeline bigint;
alter table bunnydb.tables
  add column excluded_columns jsonb,
  add column stale_columns jsonb;
`,
  /* sql */ `
alter table bunnydb.mirrors
  add column publication_identity jsonb,
  -- What the source's WAL says right after a slot of ours was made.
  add column slot_mark uuid not null default gen_random_uuid();
alter table bunnydb.tables
  add column memberships jsonb,
  add column filled jsonb;
`,
];

/**
 * Read from the catalog: what to_regclass knows may be older than what another session has just committed.
 * A schema that somebody made for us is empty; one that was restored without comments has our tables.
 */
export const SELECT_LEDGER = /* sql */ `
select exists (select from pg_class c where c.relnamespace = n.oid and c.relname = 'version') as present,
  coalesce(obj_description(n.oid, 'pg_namespace'), '') not like 'bunnydb: %'
    and exists (select from pg_class c where c.relnamespace = n.oid)
    and not exists (
      select from pg_class c
      join pg_attribute a on a.attrelid = c.oid
      where c.relnamespace = n.oid and c.relname = 'mirrors' and a.attname = 'applied_lsn'
    ) as is_foreign
from pg_namespace n
where n.nspname = 'bunnydb'`;

export const SELECT_LATEST_VERSION = /* sql */ `select max(version) as version from bunnydb.version`;

export const INSERT_VERSION = /* sql */ `insert into bunnydb.version (version) values ($1)`;

/** Serialises two daemons that make the ledger at once; any constant of our own. */
export const LOCK_MIGRATION = /* sql */ `select pg_advisory_xact_lock(7020114000000001)`;

export const SELECT_MIRROR = /* sql */ `
select name, epoch, slot, publication, slot_state, source_system_identifier, source_database, applied_lsn,
  spec_hash, to_jsonb(one) ->> 'spec' as spec, to_jsonb(one) ->> 'source_timeline' as source_timeline,
  to_jsonb(one) ->> 'publication_identity' as publication_identity
from bunnydb.mirrors as one
where name = $1`;

export const INSERT_MIRROR = /* sql */ `
insert into bunnydb.mirrors (name, epoch, slot, publication, slot_state, source_system_identifier, source_database)
values ($1, $2, $3, $4, 'creating', $5, $6)
on conflict (name) do nothing`;

export const BUMP_MIRROR_EPOCH = /* sql */ `
update bunnydb.mirrors set epoch = epoch + 1 where name = $1 returning epoch`;

export const BUMP_TABLE_EPOCHS = /* sql */ `
update bunnydb.tables set epoch = $2 where mirror = $1`;

export const RECORD_SLOT = /* sql */ `
update bunnydb.mirrors
set slot_state = 'created', applied_lsn = $3, source_timeline = nullif($4::bigint, 0), publication_identity = $5
where name = $1 and epoch = $2`;

export const FORGET_SLOT = /* sql */ `
update bunnydb.mirrors
set slot_state = 'creating', applied_lsn = '0/0', source_timeline = null, publication_identity = null
where name = $1 and epoch = $2`;

/** The slot is about to be dropped. How far it was read stays, and tells it from any that is made later. */
export const RELEASE_SLOT = /* sql */ `
update bunnydb.mirrors set slot_state = 'creating' where name = $1 and epoch = $2`;

export const SELECT_SLOT_MARK = /* sql */ `
select slot_mark::text as mark from bunnydb.mirrors where name = $1 and epoch = $2`;

/** With a slot that is forgotten goes whose it was: the next one may be another source's. */
export const RECORD_ORIGIN = /* sql */ `
update bunnydb.mirrors
set source_system_identifier = $3, source_database = $4, publication = $5
where name = $1 and epoch = $2`;

/** What cannot be read of it now stays as it was known. */
export const RECORD_SOURCE = /* sql */ `
update bunnydb.mirrors
set source_system_identifier = coalesce(nullif($3, ''), source_system_identifier),
  source_timeline = coalesce(nullif($4::bigint, 0), source_timeline),
  publication_identity = coalesce($5::jsonb, publication_identity)
where name = $1 and epoch = $2`;

export const ADVANCE_PROGRESS = /* sql */ `
update bunnydb.mirrors set applied_lsn = $3 where name = $1 and epoch = $2`;

/**
 * By way of JSON where a column is younger than the first version: an older ledger is read too. Microseconds,
 * always all of them: such times are compared as text.
 */
export const SELECT_TABLES = /* sql */ `
select id, source_schema, source_name, destination_schema, destination_name, source_oid,
  observed_table_generation, observed_mirror_generation, state,
  to_jsonb(one) ->> 'excluded_columns' as excluded_columns,
  to_jsonb(one) ->> 'stale_columns' as stale_columns,
  to_jsonb(one) ->> 'memberships' as memberships,
  to_jsonb(one) ->> 'filled' as filled,
  to_jsonb(one) ->> 'verification' as verification,
  to_char((to_jsonb(one) ->> 'verify_requested_at')::timestamptz at time zone 'UTC',
    'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as verify_requested_at
from bunnydb.tables as one
where mirror = $1
order by id`;

export const INSERT_TABLE = /* sql */ `
insert into bunnydb.tables
  (mirror, epoch, source_schema, source_name, destination_schema, destination_name, state)
select name, epoch, $3, $4, $5, $6, '{"phase": "Pending"}'
from bunnydb.mirrors where name = $1 and epoch = $2
on conflict do nothing
returning id`;

/** Whose the destination is, when it is not this source table's of this mirror. */
export const SELECT_WRITER = /* sql */ `
select mirror from bunnydb.tables
where (destination_schema, destination_name) = ($4, $5)
  and (mirror, source_schema, source_name) <> ($1, $2, $3)`;

/** With a new copy what was found of the former one means nothing any more. */
export const UPDATE_TABLE_STATE = /* sql */ `
update bunnydb.tables
set state = $3,
  verification = case when $4::bigint is null then verification end,
  observed_table_generation = coalesce($4, observed_table_generation),
  observed_mirror_generation = coalesce($5, observed_mirror_generation),
  excluded_columns = case when $4::bigint is null then excluded_columns else $6::jsonb end,
  stale_columns = case when $4::bigint is null then stale_columns end,
  memberships = case when $4::bigint is null then memberships else $7::jsonb end,
  filled = case when $4::bigint is null then filled else $8::jsonb end
where id = $1 and epoch = $2`;

export const UPDATE_STALE_COLUMNS = /* sql */ `
update bunnydb.tables set stale_columns = $3 where id = $1 and epoch = $2`;

/** For tables whose last copy an older version made: it did not write down what it left out. */
export const FILL_EXCLUDED_COLUMNS = /* sql */ `
update bunnydb.tables set excluded_columns = $3
where id = $1 and epoch = $2 and excluded_columns is null and observed_table_generation is not null`;

export const ACCEPT_SPEC = /* sql */ `
update bunnydb.mirrors set spec_hash = $3, spec = $4 where name = $1 and epoch = $2`;

export const UPDATE_VERIFICATION = /* sql */ `
update bunnydb.tables set verification = $3 where id = $1 and epoch = $2`;

/** From whoever asks, who owns nothing: no epoch. The owner is told when it is committed. */
export const REQUEST_VERIFICATION = /* sql */ `
update bunnydb.tables set verify_requested_at = clock_timestamp() where id = $1`;

/** What the owner of a mirror listens to; the payload is the mirror's name. */
export const LISTEN_FOR_REQUESTS = /* sql */ `listen bunnydb`;

export const NOTIFY_OWNER = /* sql */ `select pg_notify('bunnydb', $1)`;

/** The table that is copied now; another one may have had its name. */
export const UPDATE_SOURCE_OID = /* sql */ `
update bunnydb.tables set source_oid = $3 where id = $1 and epoch = $2`;

/** The table that the ledger has rows of is another from here on. */
export const UPDATE_FILLED = /* sql */ `
update bunnydb.tables set filled = $3 where id = $1 and epoch = $2`;

/** A new spool begins at its start. */
export const RESET_REPLAY = /* sql */ `
update bunnydb.tables set replayed_seq = 0 where id = $1 and epoch = $2`;

export const SELECT_REPLAY = /* sql */ `select replayed_seq from bunnydb.tables where id = $1 and epoch = $2`;

export const ADVANCE_REPLAY = /* sql */ `
update bunnydb.tables set replayed_seq = $3 where id = $1 and epoch = $2`;

/** Held until commit: a takeover waits for it, and after a takeover it finds no row. */
export const FENCE_TABLE = /* sql */ `
select id from bunnydb.tables where id = $1 and epoch = $2 for share`;

export const DELETE_TABLE = /* sql */ `delete from bunnydb.tables where id = $1 and epoch = $2`;

export const SELECT_SAVED_FOREIGN_KEYS = /* sql */ `
select id, table_schema, table_name, owner_schema, owner_name, name, definition
from bunnydb.saved_foreign_keys
where mirror = $1
order by id`;

/** One that is put back but not yet validated again is still the valid one that was saved. */
export const INSERT_SAVED_FOREIGN_KEY = /* sql */ `
insert into bunnydb.saved_foreign_keys as saved
  (mirror, table_schema, table_name, owner_schema, owner_name, name, definition)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (owner_schema, owner_name, name) do update set definition = excluded.definition
where excluded.definition <> saved.definition || ' NOT VALID'`;

export const DELETE_SAVED_FOREIGN_KEY = /* sql */ `delete from bunnydb.saved_foreign_keys where id = $1`;

/** Held until commit: a takeover waits for it, and after a takeover it finds no row. */
export const FENCE_MIRROR = /* sql */ `
select name from bunnydb.mirrors where name = $1 and epoch = $2 for update`;

export const FORGET_MIRROR: readonly string[] = [
  /* sql */ `delete from bunnydb.saved_foreign_keys where mirror = $1`,
  /* sql */ `delete from bunnydb.tables where mirror = $1`,
  /* sql */ `delete from bunnydb.events where mirror = $1`,
  /* sql */ `delete from bunnydb.mirrors where name = $1`,
];

/** Never less than at a former time in this cluster. */
export const SELECT_FIRST_EPOCH = /* sql */ `select pg_current_xact_id()::text as epoch`;
