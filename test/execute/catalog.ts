/**
 * What the catalogs say about a database, as lines of text: by names and never by oids, so that a table
 * that took another's place with all that belongs to it gives the same lines.
 */
import type { Session } from '../../src/postgres/session.ts';

const OURS = `(nspname like 'bunnydb%' or nspname like 'pg\\_%' or nspname = 'information_schema')`;

/** Objects in the schemas of users; numbers in names that the server made up are left out. */
const described = (classid: string, objid: string, subid: string): string =>
  `regexp_replace(pg_describe_object(${classid}, ${objid}, ${subid}), '(pg_toast_|ConstraintTrigger_(?:[ac]_)?)\\d+', '\\1#', 'g')`;

const QUERIES: readonly string[] = [
  /* sql */ `
select format('relation %I.%I %s', nspname, relname, json_build_array(relkind, relpersistence, pg_get_userbyid(relowner),
  (select amname from pg_am where oid = relam), (select spcname from pg_tablespace where oid = reltablespace),
  reloptions, (select t.reloptions from pg_class t where t.oid = c.reltoastrelid), relrowsecurity, relforcerowsecurity,
  relreplident, relispartition, relhasrules, relhastriggers, relhasindex, relhassubclass,
  (select pg_get_userbyid(typowner) || coalesce(typacl::text, '') from pg_type where oid = reltype)))
from pg_class c join pg_namespace n on n.oid = relnamespace where not ${OURS}`,
  /* sql */ `
select format('column %I.%I.%I %s', nspname, relname, attname, json_build_array(
  row_number() over (partition by c.oid order by attnum), format_type(atttypid, atttypmod), attnotnull, attidentity,
  attgenerated, attstorage, attcompression, attcollation::regcollation, nullif(attstattarget, -1), attoptions, attislocal,
  pg_get_expr(adbin, adrelid)))
from pg_class c join pg_namespace n on n.oid = relnamespace join pg_attribute a on attrelid = c.oid and attnum > 0 and not attisdropped
left join pg_attrdef on adrelid = c.oid and adnum = attnum where not ${OURS}`,
  /* sql */ `
select format('grant on %s %s', o.name, json_build_array(
  pg_get_userbyid(x.grantor), case when x.grantee <> 0 then pg_get_userbyid(x.grantee) end, x.privilege_type, x.is_grantable))
from (
  select format('%I.%I', nspname, relname) as name, coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner)) as acl
  from pg_class c join pg_namespace n on n.oid = relnamespace where not ${OURS} and relkind in ('r', 'v', 'm', 'S', 'p')
  union all
  select format('%I.%I.%I', nspname, relname, attname), attacl
  from pg_class c join pg_namespace n on n.oid = relnamespace join pg_attribute on attrelid = c.oid where not ${OURS}
  union all
  select p.oid::regprocedure::text, coalesce(proacl, acldefault('f', proowner))
  from pg_proc p join pg_namespace n on n.oid = pronamespace where not ${OURS}
) o cross join lateral aclexplode(o.acl) x`,
  /* sql */ `
select format('constraint %I on %I.%I %s', conname, nspname, relname, json_build_array(contype, pg_get_constraintdef(con.oid),
  convalidated, condeferrable, condeferred, conislocal, connoinherit, conindid::regclass))
from pg_constraint con join pg_class c on c.oid = conrelid join pg_namespace n on n.oid = relnamespace where not ${OURS}`,
  /* sql */ `
select format('index %s %s', indexrelid::regclass, json_build_array(pg_get_indexdef(indexrelid), indisvalid, indisclustered, indisreplident,
  indisprimary, indimmediate, x.reloptions, (select spcname from pg_tablespace where oid = x.reltablespace),
  (select json_agg(nullif(attstattarget, -1) order by attnum) from pg_attribute where attrelid = indexrelid)))
from pg_index join pg_class c on c.oid = indrelid join pg_namespace n on n.oid = c.relnamespace join pg_class x on x.oid = indexrelid where not ${OURS}`,
  /* sql */ `
select format('statistics %s %s', pg_get_statisticsobjdef(s.oid), json_build_array(nullif(stxstattarget, -1), pg_get_userbyid(stxowner)))
from pg_statistic_ext s join pg_namespace n on n.oid = stxnamespace where not ${OURS}`,
  /* sql */ `
select format('trigger %s %s', case when tgisinternal then con.conname || ' ' || tgfoid::regproc else pg_get_triggerdef(t.oid) end,
  json_build_array(tgenabled, tgdeferrable, tginitdeferred, c.oid::regclass, tgconstrrelid::regclass))
from pg_trigger t join pg_class c on c.oid = tgrelid join pg_namespace n on n.oid = relnamespace
left join pg_constraint con on con.oid = tgconstraint where not ${OURS}`,
  /* sql */ `
select format('policy %I on %s %s', polname, polrelid::regclass, json_build_array(polpermissive, polcmd,
  (select json_agg(case when r.oid <> 0 then pg_get_userbyid(r.oid) end) from unnest(polroles) r (oid)),
  pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)))
from pg_policy join pg_class c on c.oid = polrelid join pg_namespace n on n.oid = relnamespace where not ${OURS}`,
  /* sql */ `
select format('rule %s %s', pg_get_ruledef(r.oid), json_build_array(ev_enabled, c.oid::regclass))
from pg_rewrite r join pg_class c on c.oid = ev_class join pg_namespace n on n.oid = relnamespace where not ${OURS}`,
  /* sql */ `
select format('function %s %s', pg_get_functiondef(p.oid), pg_get_userbyid(proowner))
from pg_proc p join pg_namespace n on n.oid = pronamespace where not ${OURS}`,
  /* sql */ `
select format('sequence %s %s', c.oid::regclass, json_build_array(format_type(seqtypid, null), seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle))
from pg_sequence join pg_class c on c.oid = seqrelid join pg_namespace n on n.oid = relnamespace where not ${OURS}`,
  /* sql */ `
select format('publication %I of %s %s', pubname, prrelid::regclass, json_build_array(pg_get_expr(prqual, prrelid),
  (select json_agg(attname order by attnum) from pg_attribute where attrelid = prrelid and attnum = any (prattrs))))
from pg_publication_rel m join pg_publication p on p.oid = prpubid`,
  /* sql */ `
select format('comment on %s: %s', ${described('d.classoid', 'd.objoid', 'd.objsubid')}, description)
from pg_description d where objoid >= 16384`,
  /* sql */ `
select format('%s depends on %s (%s)', ${described('d.classid', 'd.objid', 'd.objsubid')},
  ${described('d.refclassid', 'd.refobjid', 'd.refobjsubid')}, deptype)
from pg_depend d where objid >= 16384 and refobjid >= 16384`,
  /* sql */ `select format('schema %I', nspname) from pg_namespace where nspname not like 'pg\\_%'`,
];

/** Sorted. Values of sequences are none of it. */
export async function dumpCatalog(session: Session): Promise<string[]> {
  const lines: string[] = [];
  for (const query of QUERIES)
    for (const row of await session.query(query)) lines.push(Object.values(row)[0] ?? 'null');
  return lines
    .filter((line) => !/\bbunnydb\b|[. ]bunnydb\./.test(line))
    .toSorted((a, b) => Number(a > b) - Number(a < b));
}
