/** How a swap takes its locks: all of them within a moment, or none. Pure text. */
import type { TableName } from '../core/table-name.ts';
import { quoteIdent, quoteLiteral, quoteTable } from './quote.ts';

/** What a swap will change, and so has to lock, in the order in which readers lock it. */
export interface LockList {
  /** Views, those that read others of them first. */
  readonly views: readonly TableName[];
  /** The table, its shadow, and those that foreign keys, policies and rules tie to it; by name, as every swap takes them. */
  readonly tables: readonly TableName[];
}

/** The direct dependents only: nothing changes about a view of a view. */
export const SELECT_LOCK_LIST = /* sql */ `
with recursive live as (
  select c.oid, c.reltype, c.relname, n.nspname
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = $2
), named (classid, objid) as (
  select 'pg_class'::regclass::oid, oid from live
  union all
  select 'pg_type'::regclass::oid, t.oid
  from live
  join pg_type row_type on row_type.oid = live.reltype
  join pg_type t on t.oid in (row_type.oid, row_type.typarray)
), direct (relid) as (
  select distinct r.ev_class
  from named
  join pg_depend d on d.refclassid = named.classid and d.refobjid = named.objid
  join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
  where r.ev_class not in (select oid from live)
  union
  select p.polrelid
  from named
  join pg_depend d on d.refclassid = named.classid and d.refobjid = named.objid
  join pg_policy p on p.oid = d.objid and d.classid = 'pg_policy'::regclass
  union
  select oid from live
  union
  select unnest(array[con.conrelid, con.confrelid])
  from live
  join pg_constraint con on con.contype = 'f' and (con.conrelid = live.oid or con.confrelid = live.oid)
), reads (relid, depth) as (
  select relid, 0 from direct
  union
  select r.ev_class, reads.depth + 1
  from reads
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = reads.relid
  join pg_rewrite r on r.oid = d.objid and d.classid = 'pg_rewrite'::regclass
  where r.ev_class <> reads.relid and r.rulename = '_RETURN'
)
select n.nspname::text as schema, c.relname::text as name, c.relkind = 'v' as view
from direct
join pg_class c on c.oid = direct.relid
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v') and c.relpersistence <> 't'
order by (select max(depth) from reads where reads.relid = direct.relid) desc, n.nspname, c.relname`;

/** A vacuum by the server itself gives way to this after deadlock_timeout, which a swap does not wait. */
export function lockAgainstVacuumSql(tables: readonly TableName[]): string {
  return `lock table ${tables.map(quoteTable).join(', ')} in share update exclusive mode`;
}

/** The settings that a swap changes for a while, as they are. */
export const SELECT_SETTINGS = /* sql */ `
select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement,
  current_setting('plan_cache_mode') as plans, current_user as role`;

/** A plan that was made before the lock is not made again under it. */
export function setPlansSql(mode: string): string {
  return `set local plan_cache_mode = ${quoteLiteral(mode)}`;
}

export function setTimeoutsSql(timeouts: {
  readonly lock: string | number;
  readonly statement: string | number;
}): string[] {
  return [
    `set local lock_timeout = ${quoteLiteral(String(timeouts.lock))}`,
    `set local statement_timeout = ${quoteLiteral(String(timeouts.statement))}`,
  ];
}

/**
 * One statement, so that statement_timeout bounds all its waits together. LOCK TABLE on a view would lock
 * every other table that it reads: moving it to where it is locks the view alone.
 */
export function lockAllSql({ views, tables }: LockList): string {
  const statements = [
    ...views.map((view) => `alter view ${quoteTable(view)} set schema ${quoteIdent(view.schema)}`),
    `lock table ${tables.map(quoteTable).join(', ')} in access exclusive mode`,
  ];
  return `do language plpgsql ${quoteLiteral(`begin ${statements.join('; ')}; end`)}`;
}

/** Who has what we wait for, by name `[{schema, name}]`. A prepared transaction has no process. */
export const SELECT_BLOCKERS = /* sql */ `
select distinct on (l.pid, l.virtualtransaction)
  format('%I.%I', n.nspname, c.relname) as relation,
  l.pid::text as pid,
  coalesce(a.usename::text, a.backend_type, 'unknown') as user,
  coalesce(a.application_name, '') as application,
  extract(epoch from clock_timestamp() - a.xact_start)::int::text as seconds
from json_to_recordset($1::json) as wanted (schema text, name text)
join pg_namespace n on n.nspname = wanted.schema
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
join pg_locks l on l.locktype = 'relation' and l.relation = c.oid and l.granted
  and l.database = (select oid from pg_database where datname = current_database())
left join pg_stat_activity a on a.pid = l.pid
where l.pid is distinct from pg_backend_pid()
  and (not $2::boolean or l.mode not in ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
order by l.pid, l.virtualtransaction, a.xact_start`;
