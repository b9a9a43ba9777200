import type { SequenceShape } from '../core/observed.ts';
import type { Session } from '../postgres/session.ts';
import { groupByOid, oidArray, tableName, text } from './read.ts';

/** An identity's sequence takes its type from the column: AS is not allowed there. */
const SELECT_SEQUENCES = /* sql */ `
with fed (table_oid, attnum, sequence_oid, kind) as (
  select d.refobjid, d.refobjsubid, d.objid, case d.deptype when 'i' then 'identity' else 'serial' end
  from pg_depend d
  where d.classid = 'pg_class'::regclass and d.refclassid = 'pg_class'::regclass
    and d.refobjid = any ($1::oid[]) and d.refobjsubid > 0 and d.deptype in ('a', 'i')
  union
  select ad.adrelid, ad.adnum, u.refobjid, 'shared'
  from pg_attrdef ad
  join pg_depend u on u.classid = 'pg_attrdef'::regclass and u.objid = ad.oid and u.refclassid = 'pg_class'::regclass
  where ad.adrelid = any ($1::oid[]) and not exists (
    select 1 from pg_depend d
    where d.classid = 'pg_class'::regclass and d.objid = u.refobjid and d.refclassid = 'pg_class'::regclass
      and d.refobjid = ad.adrelid and d.refobjsubid = ad.adnum and d.deptype in ('a', 'i')
  )
)
select fed.table_oid::text as oid,
  n.nspname::text as schema,
  c.relname::text as name,
  a.attname::text as column,
  fed.kind,
  format('%sINCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s %sCYCLE',
    case fed.kind when 'identity' then '' else 'AS ' || format_type(s.seqtypid, null) || ' ' end,
    s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, case when s.seqcycle then '' else 'NO ' end
  ) as options,
  quote_literal(c.oid::regclass::text) || '::regclass' as literal
from fed
join pg_class c on c.oid = fed.sequence_oid and c.relkind = 'S'
join pg_sequence s on s.seqrelid = c.oid
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = fed.table_oid and a.attnum = fed.attnum
order by fed.table_oid, a.attnum, n.nspname, c.relname`;

/** The sequences that columns of those tables own or take their defaults from, in column order. */
export async function observeSequences(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlyMap<number, SequenceShape[]>> {
  return groupByOid(await session.query(SELECT_SEQUENCES, [oidArray(oids)]), (row) => ({
    name: tableName(row),
    column: text(row, 'column'),
    kind: text(row, 'kind') as SequenceShape['kind'],
    options: text(row, 'options'),
    literal: text(row, 'literal'),
  }));
}
