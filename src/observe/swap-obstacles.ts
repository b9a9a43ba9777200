/**
 * What hangs on a table and would be lost or left behind by a swap, and what our role may not do
 * there. Read from the catalogs alone: no statement here opens a table, so a locked one holds up nothing.
 *
 * Whatever the catalogs say depends on the table, and is not known to be carried over, is an obstacle.
 */
import type { SwapObstacle } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { Row, Session } from '../postgres/session.ts';
import { list, optionalText, tableName, text } from './read.ts';

/** Why it is in the way of `role`, as the end of a sentence that begins with the object. */
const reasonsFor = (role: string) =>
  ({
    'materialized view': 'reads the table, and would read the old one',
    'row type': 'uses its row type',
    sequence: 'uses an identity sequence of the table',
    trigger: 'is a trigger of another table that names it',
    temporary: 'reads the table, and is temporary: only its own session can change it',
    other: 'refers to the table',
    'not owned': `has to be changed with it, and role ${role} does not own it`,
    'no create': `has to be changed with it, and role ${role} may not CREATE in its schema`,
    partitioned: 'is partitioned',
    typed: 'is a typed table',
    child: 'inherits from the table',
    parent: 'has the table as a child or partition',
    extension: 'has the table as a member',
    'on extension': 'depends on an extension, which is not carried over',
    subscription: 'writes to the table',
    label: 'has a security label, which is not carried over',
    'partitioned end': 'has a partitioned table at its other end',
    lock: `has to be made anew, and role ${role} may not lock the other table: that takes UPDATE, DELETE or TRUNCATE`,
    references: `has to be made anew, and role ${role} lacks REFERENCES on the other table`,
    'not ours': `is not owned by role ${role}`,
    'not our role': `owns the table or its statistics, or granted rights on it, and role ${role} may not SET ROLE to it`,
    'our create': `is where the table is, and role ${role} may not CREATE in it`,
    'no execute': `is what a trigger of the table calls, and role ${role} may not EXECUTE it`,
  }) as const;

type Kind = keyof ReturnType<typeof reasonsFor>;

/** `oid` is the table's. Partitioned ones are mirrored too, foreign ones are not. */
const WANTED = /* sql */ `
wanted as (
  select w.schema, w.name, c.oid, c.relkind, c.relowner, c.relacl, c.relnamespace, c.reloftype,
    c.reltype, t.typarray
  from json_to_recordset($1::json) as w (schema text, name text)
  join pg_namespace n on n.nspname = w.schema
  join pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relkind in ('r', 'p')
  join pg_type t on t.oid = c.reltype
)`;

/**
 * One row for each object that pg_depend has on the table, its row type, the array of that, or the
 * sequence of an identity; a serial's stays the same. `kind` is null for what is carried over. `columns`:
 * those it reads, where that forbids to retype them. An internal dependency (`i`) is a part of what it
 * depends on.
 */
const SELECT_DEPENDENTS = /* sql */ `
with ${WANTED},
part (kind, oid, classid, objid) as materialized (
  select 'table', oid, 'pg_class'::regclass, oid from wanted
  union all
  select 'type', oid, 'pg_type'::regclass, unnest(array[reltype, typarray]) from wanted
  union all
  select 'sequence', w.oid, 'pg_class'::regclass, s.oid
  from wanted w
  join pg_depend d on d.refclassid = 'pg_class'::regclass and d.refobjid = w.oid
    and d.classid = 'pg_class'::regclass and d.deptype = 'i'
  join pg_class s on s.oid = d.objid and s.relkind = 'S'
),
dependent as materialized (
  select p.oid, d.classid, d.objid, d.objsubid,
    bool_or(p.kind = 'table') as on_table,
    bool_or(p.kind = 'type') as on_type,
    array_agg(distinct d.refobjsubid) filter (where p.kind = 'table' and d.refobjsubid > 0) as attnums
  from part p
  join pg_depend d on d.refclassid = p.classid and d.refobjid = p.objid and d.deptype <> 'i'
  group by p.oid, d.classid, d.objid, d.objsubid
)
select w.schema, w.name, current_user::text as role, verdict.kind, subject.type || ' ' || subject.identity as object,
  (
    select json_agg(a.attname order by a.attnum) from pg_attribute a
    where a.attrelid = w.oid and a.attnum = any (d.attnums)
      and coalesce(r.oid, f.oid, policy.oid, g.oid, m.oid) is not null
  ) as columns
from wanted w
join dependent d on d.oid = w.oid
left join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
left join pg_proc f on d.classid = 'pg_proc'::regclass and f.oid = d.objid
left join pg_policy policy on d.classid = 'pg_policy'::regclass and policy.oid = d.objid
left join pg_trigger g on d.classid = 'pg_trigger'::regclass and g.oid = d.objid
left join pg_publication_rel m on d.classid = 'pg_publication_rel'::regclass and m.oid = d.objid
left join pg_publication publication on publication.oid = m.prpubid
left join pg_constraint con on d.classid = 'pg_constraint'::regclass and con.oid = d.objid
left join pg_attrdef def on d.classid = 'pg_attrdef'::regclass and def.oid = d.objid
left join pg_index i on d.classid = 'pg_class'::regclass and i.indexrelid = d.objid
left join pg_statistic_ext x on d.classid = 'pg_statistic_ext'::regclass and x.oid = d.objid
left join pg_class rel on rel.oid = coalesce(
  r.ev_class, policy.polrelid, g.tgrelid, m.prrelid, con.conrelid, def.adrelid, i.indrelid, x.stxrelid,
  case d.classid when 'pg_class'::regclass then d.objid end
)
left join pg_namespace n on n.oid = coalesce(rel.relnamespace, f.pronamespace)
cross join lateral (
  select
    case
      when rel.oid = w.oid then case
        -- The rest of the shadow is built while the name still means the table that goes.
        when d.on_type and coalesce(r.oid, policy.oid, g.oid) is null then 'row type'
        when m.oid is not null and not pg_has_role(publication.pubowner, 'usage') then 'not owned'
      end
      -- Replaced, a view or a body means the new type; a column or an argument keeps the old one.
      when d.on_type and coalesce(r.oid, policy.oid) is null and (
        f.prosqlbody is null or array[w.reltype, w.typarray]
          && (coalesce(f.proallargtypes, f.proargtypes::oid[]) || f.prorettype)
      ) then 'row type'
      when rel.oid = d.objid and rel.relkind in ('r', 'p', 'f') then 'child'
      when rel.oid = d.objid and rel.relkind = 'S' then null
      when rel.relkind = 'm' then 'materialized view'
      when not d.on_table and not d.on_type then 'sequence'
      when g.oid is not null then 'trigger'
      when starts_with(n.nspname, 'pg_temp_') then 'temporary'
      when f.prosqlbody is not null or r.oid is not null then case
        when not pg_has_role(coalesce(f.proowner, rel.relowner), 'usage') then 'not owned'
        when (f.oid is not null or r.rulename = '_RETURN') and not has_schema_privilege(n.oid, 'create')
          then 'no create'
      end
      when policy.oid is not null or con.confrelid = w.oid then case
        when con.conparentid <> 0 then null
        when not pg_has_role(rel.relowner, 'usage') then 'not owned'
      end
      else 'other'
    end as kind
) verdict
cross join lateral pg_identify_object(
  case when r.rulename = '_RETURN' then 'pg_class'::regclass when m.oid is not null then 'pg_publication'::regclass else d.classid end,
  case when r.rulename = '_RETURN' then r.ev_class when m.oid is not null then m.prpubid else d.objid end,
  d.objsubid
) subject
where subject.identity is not null
order by w.schema, w.name, subject.type, subject.identity collate "C"`;

/** What the table itself is, what it belongs to, and the rights that a swap takes. */
const SELECT_CIRCUMSTANCES = /* sql */ `
with ${WANTED},
circumstance (kind, oid, classid, objid, objsubid) as materialized (
  select case when relkind = 'p' then 'partitioned' else 'typed' end, oid, 'pg_class'::regclass, oid, 0
  from wanted where relkind = 'p' or reloftype <> 0
  union all
  select 'not ours', oid, 'pg_class'::regclass, oid, 0
  from wanted where not pg_has_role(relowner, 'usage')
  union all
  select distinct 'not our role', party.oid, 'pg_authid'::regclass, party.role, 0
  from (
    select oid, relowner from wanted
    union all
    select w.oid, x.stxowner from wanted w join pg_statistic_ext x on x.stxrelid = w.oid
    union all
    select w.oid, (aclexplode(w.relacl)).grantor from wanted w
    union all
    select w.oid, (aclexplode(a.attacl)).grantor from wanted w join pg_attribute a on a.attrelid = w.oid
  ) party (oid, role)
  -- From 16 on a membership may be without SET.
  where not pg_has_role(
    party.role, case when current_setting('server_version_num')::int < 160000 then 'member' else 'set' end
  )
  union all
  select 'no execute', w.oid, 'pg_proc'::regclass, g.tgfoid, 0
  from wanted w join pg_trigger g on g.tgrelid = w.oid
  where not g.tgisinternal and not has_function_privilege(g.tgfoid, 'execute')
  union all
  select 'our create', oid, 'pg_namespace'::regclass, relnamespace, 0
  from wanted where not has_schema_privilege(relnamespace, 'create')
  union all
  select 'parent', w.oid, 'pg_class'::regclass, h.inhparent, 0
  from wanted w join pg_inherits h on h.inhrelid = w.oid
  union all
  select 'extension', w.oid, d.refclassid, d.refobjid, 0
  from wanted w
  join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = w.oid and d.objsubid = 0
    and d.deptype = 'e'
  union all
  select 'on extension', own.oid, own.classid, own.objid, 0
  from (
    select w.oid, 'pg_trigger'::regclass, g.oid from wanted w join pg_trigger g on g.tgrelid = w.oid
    union all
    select w.oid, 'pg_class'::regclass, i.indexrelid from wanted w join pg_index i on i.indrelid = w.oid
  ) own (oid, classid, objid)
  join pg_depend d on d.classid = own.classid and d.objid = own.objid and d.deptype = 'x'
  union all
  select 'subscription', w.oid, 'pg_subscription'::regclass, s.srsubid, 0
  from wanted w join pg_subscription_rel s on s.srrelid = w.oid
  union all
  select 'label', w.oid, l.classoid, l.objoid, l.objsubid
  from wanted w join pg_seclabel l on l.classoid = 'pg_class'::regclass and l.objoid = w.oid
  union all
  select verdict.kind, key.oid, 'pg_constraint'::regclass, key.con, 0
  from (
    select w.oid, con.oid, con.confrelid, con.confkey
    from wanted w join pg_constraint con on con.conrelid = w.oid
    where con.contype = 'f' and con.conparentid = 0 and con.confrelid <> w.oid
    union all
    select w.oid, con.oid, con.conrelid, null
    from wanted w join pg_constraint con on con.confrelid = w.oid
    where con.contype = 'f' and con.conparentid = 0 and con.conrelid <> w.oid
  ) key (oid, con, other, attnums)
  join pg_class other on other.oid = key.other
  cross join lateral (
    select case
      when other.relkind = 'p' then 'partitioned end'
      when key.attnums is null then null
      when not has_table_privilege(other.oid, 'update, delete, truncate') then 'lock'
      when not has_table_privilege(other.oid, 'references') and exists (
        select from unnest(key.attnums) as k (attnum)
        where not has_column_privilege(other.oid, k.attnum, 'references')
      ) then 'references'
    end
  ) verdict (kind)
  where verdict.kind is not null
)
select w.schema, w.name, current_user::text as role, c.kind, subject.type || ' ' || subject.identity as object
from wanted w
join circumstance c on c.oid = w.oid
cross join lateral pg_identify_object(c.classid, c.objid, c.objsubid) subject
where subject.identity is not null
order by w.schema, w.name, subject.type, subject.identity collate "C", c.kind`;

/**
 * What is in the way of a swap of those tables, by formatTableName; tables without an obstacle are not in
 * the answer. Two queries, however many tables there are.
 */
export async function readSwapObstacles(
  session: Session,
  tables: readonly TableName[],
): Promise<ReadonlyMap<string, SwapObstacle[]>> {
  const obstacles = new Map<string, SwapObstacle[]>();
  if (tables.length === 0) return obstacles;
  const wanted = JSON.stringify(tables);
  for (const row of [
    ...(await session.query(SELECT_CIRCUMSTANCES, [wanted])),
    ...(await session.query(SELECT_DEPENDENTS, [wanted])),
  ]) {
    const key = formatTableName(tableName(row));
    const found = toObstacles(row);
    if (found.length > 0) obstacles.set(key, [...(obstacles.get(key) ?? []), ...found]);
  }
  return obstacles;
}

/** An object may be in the way of a swap, of retyping what it reads, or of both. */
function toObstacles(row: Row): SwapObstacle[] {
  const object = text(row, 'object');
  const kind = optionalText(row, 'kind') as Kind | undefined;
  const columns = list(row, 'columns');
  return [
    ...(kind === undefined ? [] : [{ object, reason: reasonsFor(text(row, 'role'))[kind] }]),
    ...(columns.length === 0 ? [] : [{ object, reason: 'depends on the type of', columns }]),
  ];
}
