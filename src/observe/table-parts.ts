/** Reads what a table has of its own: what a shadow is built like. */
import type { TableParts } from '../core/belongings.ts';
import type { TableName } from '../core/table-name.ts';
import type { Session } from '../postgres/session.ts';
import { text } from './read.ts';

/** The target columns were -1 for the default before 17, and are null since. */
const COLUMNS = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', a.attname,
    'target', nullif(a.attstattarget, -1),
    'options', coalesce(to_json(a.attoptions), '[]'),
    'leads', exists (
      select 1
      from pg_index i
      join pg_class x on x.oid = i.indexrelid
      join pg_am m on m.oid = x.relam
      where i.indrelid = c.oid and i.indkey[0] = a.attnum and i.indisvalid and i.indpred is null
        and m.amname = 'btree'
    )
  ) order by a.attnum), '[]')
  from pg_attribute a
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
)`;

const CHECKS = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', con.conname, 'definition', pg_get_constraintdef(con.oid), 'validated', con.convalidated
  ) order by con.oid), '[]')
  from pg_constraint con
  where con.conrelid = c.oid and con.contype = 'c'
)`;

const KEYS = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', con.conname, 'definition', pg_get_constraintdef(con.oid),
    'options', coalesce(case when con.contype <> 'x' then to_json(x.reloptions) end, '[]'),
    'tablespace', coalesce(ts.spcname, '')
  ) order by con.oid), '[]')
  from pg_constraint con
  join pg_class x on x.oid = con.conindid
  left join pg_tablespace ts on ts.oid = x.reltablespace
  where con.conrelid = c.oid and con.contype in ('p', 'u', 'x')
)`;

/** The statement's beginning is cut off: it names the table. */
const INDEXES = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', x.relname,
    'unique', i.indisunique,
    'definition', substr(pg_get_indexdef(x.oid), 1 + length(
      format('CREATE %sINDEX %I ON %I.%I ', case when i.indisunique then 'UNIQUE ' else '' end, x.relname, n.nspname, c.relname)
    )),
    'tablespace', coalesce(ts.spcname, ''),
    'targets', (
      select coalesce(json_agg(json_build_object('column', a.attnum, 'target', a.attstattarget)), '[]')
      from pg_attribute a
      where a.attrelid = x.oid and a.attstattarget >= 0
    )
  ) order by x.oid), '[]')
  from pg_index i
  join pg_class x on x.oid = i.indexrelid
  left join pg_tablespace ts on ts.oid = x.reltablespace
  where i.indrelid = c.oid and i.indisvalid and not exists (
    select 1 from pg_constraint con
    where con.conrelid = c.oid and con.conindid = x.oid and con.contype in ('p', 'u', 'x')
  )
)`;

const STATISTICS = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'id', s.oid::text,
    'name', json_build_object('schema', sn.nspname, 'name', s.stxname),
    'kinds', to_json(s.stxkind),
    'columns', pg_get_statisticsobjdef_columns(s.oid),
    'target', nullif(s.stxstattarget, -1),
    'owner', pg_get_userbyid(s.stxowner),
    'comment', obj_description(s.oid, 'pg_statistic_ext')
  ) order by s.oid), '[]')
  from pg_statistic_ext s
  join pg_namespace sn on sn.oid = s.stxnamespace
  where s.stxrelid = c.oid
)`;

const SEQUENCES = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', json_build_object('schema', sn.nspname, 'name', q.relname),
    'column', a.attname,
    'identity', d.deptype = 'i',
    'type', format_type(s.seqtypid, null),
    'ascending', s.seqincrement > 0,
    'min', s.seqmin::text,
    'max', s.seqmax::text,
    'counts', a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
  ) order by a.attnum, q.oid), '[]')
  from pg_depend d
  join pg_class q on q.oid = d.objid and q.relkind = 'S'
  join pg_namespace sn on sn.oid = q.relnamespace
  join pg_sequence s on s.seqrelid = q.oid
  join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
    and d.refobjid = c.oid and d.deptype in ('a', 'i')
)`;

/** For pg_class c, with its pg_namespace n. */
export const TABLE_PARTS = /* sql */ `json_build_object(
  'unlogged', c.relpersistence = 'u',
  'accessMethod', (select m.amname from pg_am m where m.oid = c.relam),
  'tablespace', coalesce((select ts.spcname from pg_tablespace ts where ts.oid = c.reltablespace), ''),
  'options', coalesce(to_json(c.reloptions), '[]'),
  'toastOptions', coalesce((select to_json(t.reloptions) from pg_class t where t.oid = c.reltoastrelid), '[]'),
  'columns', ${COLUMNS},
  'constraintNames', (
    select coalesce(json_agg(con.conname), '[]')
    from pg_constraint con
    where con.conrelid = c.oid and con.contype not in ('f', 't')
  ),
  'checks', ${CHECKS},
  'keys', ${KEYS},
  'indexes', ${INDEXES},
  'statistics', ${STATISTICS},
  'sequences', ${SEQUENCES},
  'replicaIdentity', c.relreplident,
  'identityIndex', (
    select x.relname from pg_index i join pg_class x on x.oid = i.indexrelid
    where i.indrelid = c.oid and i.indisreplident
  ),
  'clusterIndex', (
    select x.relname from pg_index i join pg_class x on x.oid = i.indexrelid
    where i.indrelid = c.oid and i.indisclustered
  )
)`;

const SELECT_TABLE_PARTS = /* sql */ `
select ${TABLE_PARTS} as parts
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and c.relkind = 'r'`;

/** Undefined when there is no ordinary table of that name. */
export async function readTableParts(
  session: Session,
  table: TableName,
): Promise<TableParts | undefined> {
  const [row] = await session.query(SELECT_TABLE_PARTS, [table.schema, table.name]);
  return row && (JSON.parse(text(row, 'parts')) as TableParts);
}
