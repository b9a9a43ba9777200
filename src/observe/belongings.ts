/** Reads what is put on a table, or bound to it: what a swap has to carry over. */
import type { Belongings, Side, TableParts } from '../core/belongings.ts';
import type { TableName } from '../core/table-name.ts';
import type { Session } from '../postgres/session.ts';
import { text } from './read.ts';
import { TABLE_PARTS } from './table-parts.ts';

/** Of the table, its columns and its identity sequences; a serial's sequence stays as it is. */
const ACCESS = /* sql */ `(
  select json_agg(json_build_object(
    'kind', o.kind,
    'name', o.name,
    'untouched', o.acl is null,
    'grants', (
      select coalesce(json_agg(g), '[]')
      from (
        select pg_get_userbyid(x.grantor) as grantor,
          case when x.grantee <> 0 then pg_get_userbyid(x.grantee) end as grantee,
          x.is_grantable as grantable,
          array_agg(x.privilege_type order by x.privilege_type) as privileges
        from aclexplode(coalesce(o.acl, o.usual)) x
        group by x.grantor, x.grantee, x.is_grantable
        order by 1, 2, 3
      ) g
    )
  ) order by o.kind, o.name)
  from (
    select 'table' as kind, c.relname as name, c.relacl as acl, acldefault('r', c.relowner) as usual
    union all
    select 'column', a.attname, a.attacl, '{}'
    from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and a.attacl is not null
    union all
    select 'sequence', q.relname, q.relacl, acldefault('s', q.relowner)
    from pg_depend d
    join pg_class q on q.oid = d.objid and q.relkind = 'S'
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
      and d.refobjid = c.oid and d.deptype = 'i'
  ) o
)`;

/** Those of foreign keys, triggers, policies and statistics are with them. */
const COMMENTS = /* sql */ `(
  select coalesce(json_agg(o), '[]')
  from (
    select 'table' as kind, c.relname as name, obj_description(c.oid, 'pg_class') as text
    union all
    select 'column', a.attname, col_description(c.oid, a.attnum)
    from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    union all
    select 'constraint', con.conname, obj_description(con.oid, 'pg_constraint')
    from pg_constraint con
    where con.conrelid = c.oid and con.contype not in ('f', 't')
    union all
    select 'index', x.relname, obj_description(x.oid, 'pg_class')
    from pg_index i join pg_class x on x.oid = i.indexrelid
    where i.indrelid = c.oid
    union all
    select 'sequence', q.relname, obj_description(q.oid, 'pg_class')
    from pg_depend d
    join pg_class q on q.oid = d.objid and q.relkind = 'S'
    where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
      and d.refobjid = c.oid and d.deptype = 'i'
  ) o
  where o.text is not null
)`;

const POLICIES = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', p.polname,
    'permissive', p.polpermissive,
    'command', p.polcmd,
    'roles', (
      select json_agg(case when r.oid <> 0 then pg_get_userbyid(r.oid) end)
      from unnest(p.polroles) r (oid)
    ),
    'using', pg_get_expr(p.polqual, p.polrelid),
    'check', pg_get_expr(p.polwithcheck, p.polrelid),
    'comment', obj_description(p.oid, 'pg_policy')
  ) order by p.polname), '[]')
  from pg_policy p
  where p.polrelid = c.oid
)`;

const TRIGGERS = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', t.tgname,
    'definition', pg_get_triggerdef(t.oid),
    'enabled', t.tgenabled,
    'comment', obj_description(t.oid, 'pg_trigger'),
    'onto', format(' ON %I.%I ', n.nspname, c.relname),
    'fills', t.tgenabled in ('A', 'R') and t.tgtype & 3 = 3
  ) order by t.tgname), '[]')
  from pg_trigger t
  where t.tgrelid = c.oid and not t.tgisinternal
)`;

/** DISABLE TRIGGER ALL, as people say it who load rows in any order. */
const KEEPERS = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'constraint', con.conname,
    'owner', json_build_object('schema', own.nspname, 'name', o.relname),
    'table', json_build_object('schema', tn.nspname, 'name', tc.relname),
    'function', t.tgfoid::regprocedure,
    'enabled', t.tgenabled
  ) order by t.oid), '[]')
  from pg_constraint con
  join pg_class o on o.oid = con.conrelid
  join pg_namespace own on own.oid = o.relnamespace
  join pg_trigger t on t.tgconstraint = con.oid and t.tgisinternal and t.tgenabled <> 'O'
  join pg_class tc on tc.oid = t.tgrelid
  join pg_namespace tn on tn.oid = tc.relnamespace
  where con.contype in ('f', 'p', 'u', 'x') and (con.conrelid = c.oid or con.confrelid = c.oid)
)`;

const RULES = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', r.rulename,
    'definition', pg_get_ruledef(r.oid),
    'enabled', r.ev_enabled,
    'comment', obj_description(r.oid, 'pg_rewrite')
  ) order by r.rulename), '[]')
  from pg_rewrite r
  where r.ev_class = c.oid
)`;

/** Column lists and row filters are there from 15 on: as JSON they may be missing. */
const PUBLICATIONS = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'publication', p.pubname,
    'columns', (
      select json_agg(a.attname order by a.attnum)
      from jsonb_array_elements_text(
        case jsonb_typeof(member.row -> 'prattrs') when 'array' then member.row -> 'prattrs' end
      ) as listed (attnum)
      join pg_attribute a on a.attrelid = c.oid and a.attnum = listed.attnum::int2
    ),
    'filter', case when member.row ->> 'prqual' is not null then (
      select to_jsonb(t) ->> 'rowfilter' from pg_publication_tables t
      where t.pubname = p.pubname and t.schemaname = n.nspname and t.tablename = c.relname
    ) end
  ) order by p.pubname), '[]')
  from pg_publication_rel m
  cross join lateral (select to_jsonb(m) as row) member
  join pg_publication p on p.oid = m.prpubid
  where m.prrelid = c.oid
)`;

const FOREIGN_KEYS = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', con.conname,
    'owner', json_build_object('schema', own.nspname, 'name', o.relname),
    'references', json_build_object('schema', rn.nspname, 'name', r.relname),
    'definition', pg_get_constraintdef(con.oid),
    'index', (select relname from pg_class where oid = con.conindid),
    'validated', con.convalidated,
    'enforced', coalesce((to_jsonb(con) ->> 'conenforced')::boolean, true),
    'comment', obj_description(con.oid, 'pg_constraint')
  ) order by own.nspname, o.relname, con.conname), '[]')
  from pg_constraint con
  join pg_class o on o.oid = con.conrelid
  join pg_namespace own on own.oid = o.relnamespace
  join pg_class r on r.oid = con.confrelid
  join pg_namespace rn on rn.oid = r.relnamespace
  where con.contype = 'f' and con.conparentid = 0 and (con.conrelid = c.oid or con.confrelid = c.oid)
)`;

/** What the server notes as depending on the table or on its row type, of one catalog: for pg_class c. */
function dependentsOf(catalog: 'pg_rewrite' | 'pg_proc' | 'pg_policy'): string {
  return /* sql */ `(
    select d.objid
    from (
      select 'pg_class'::regclass::oid as classid, c.oid as objid
      union all
      select 'pg_type'::regclass::oid, t.oid
      from pg_type row_type
      join pg_type t on t.oid in (row_type.oid, row_type.typarray)
      where row_type.oid = c.reltype
    ) named
    join pg_depend d on d.refclassid = named.classid and d.refobjid = named.objid
    where d.classid = '${catalog}'::regclass
  )`;
}

/** Another session's temporary view is out of reach, and in the way. */
const VIEWS = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'name', json_build_object('schema', vn.nspname, 'name', v.relname),
    'options', coalesce(to_json(v.reloptions), '[]'),
    'definition', pg_get_viewdef(v.oid)
  ) order by vn.nspname, v.relname), '[]')
  from pg_rewrite r
  join pg_class v on v.oid = r.ev_class
  join pg_namespace vn on vn.oid = v.relnamespace
  where r.oid in ${dependentsOf('pg_rewrite')} and r.rulename = '_RETURN'
    and v.relkind = 'v' and v.relpersistence <> 't'
)`;

/** Without a parsed body a function does not depend on the tables it reads. */
const FUNCTIONS = /* sql */ `(
  select coalesce(json_agg(pg_get_functiondef(p.oid) order by p.oid), '[]')
  from pg_proc p
  where p.oid in ${dependentsOf('pg_proc')} and p.prokind in ('f', 'p') and p.prosqlbody is not null
)`;

const READING_POLICIES = /* sql */ `(
  select coalesce(json_agg(json_build_object(
    'table', json_build_object('schema', tn.nspname, 'name', t.relname),
    'name', p.polname,
    'using', pg_get_expr(p.polqual, p.polrelid),
    'check', pg_get_expr(p.polwithcheck, p.polrelid)
  ) order by p.oid), '[]')
  from pg_policy p
  join pg_class t on t.oid = p.polrelid
  join pg_namespace tn on tn.oid = t.relnamespace
  where p.oid in ${dependentsOf('pg_policy')} and p.polrelid <> c.oid
)`;

const READING_RULES = /* sql */ `(
  select coalesce(json_agg(pg_get_ruledef(r.oid) order by r.oid), '[]')
  from pg_rewrite r
  join pg_class t on t.oid = r.ev_class
  where r.oid in ${dependentsOf('pg_rewrite')} and r.ev_class <> c.oid and r.rulename <> '_RETURN'
    and t.relpersistence <> 't'
)`;

const SELECT_BELONGINGS = /* sql */ `
select n.nspname as schema, ${TABLE_PARTS} as parts, json_build_object(
  'owner', pg_get_userbyid(c.relowner),
  'rowSecurity', c.relrowsecurity,
  'forceRowSecurity', c.relforcerowsecurity,
  'access', ${ACCESS},
  'comments', ${COMMENTS},
  'policies', ${POLICIES},
  'triggers', ${TRIGGERS},
  'rules', ${RULES},
  'keepers', ${KEEPERS},
  'publications', ${PUBLICATIONS},
  'foreignKeys', ${FOREIGN_KEYS},
  'views', ${VIEWS},
  'functions', ${FUNCTIONS},
  'readingPolicies', ${READING_POLICIES},
  'readingRules', ${READING_RULES}
) as belongings
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ($1, $2) and c.relname = $3 and c.relkind = 'r'`;

/**
 * Of a table and of its shadow, which bears the same name. Undefined for what is not there. Prepared:
 * planning it takes longer than running it.
 */
export async function readBothSides(
  session: Session,
  live: TableName,
  shadow: TableName,
): Promise<{ readonly live: Side | undefined; readonly shadow: Side | undefined }> {
  const rows = await session.query(
    SELECT_BELONGINGS,
    [live.schema, shadow.schema, live.name],
    'read_both_sides',
  );
  const sideOf = (table: TableName): Side | undefined => {
    const row = rows.find((candidate) => candidate['schema'] === table.schema);
    return (
      row && {
        table,
        parts: JSON.parse(text(row, 'parts')) as TableParts,
        belongings: JSON.parse(text(row, 'belongings')) as Belongings,
      }
    );
  };
  return { live: sideOf(live), shadow: sideOf(shadow) };
}
