import type { RelationKind, ReplicaIdentity, TableShape } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { Row, Session } from '../postgres/session.ts';
import { flag, list, number, tableName, text } from './read.ts';

/** A table to look at. */
export interface Wanted {
  readonly name: TableName;
  /** Columns that nobody reads, so that a missing right to them does not matter. */
  readonly excludeColumns?: readonly string[];
}

/** The part of a shape that is one row per table. */
export type Relation = Omit<
  TableShape,
  'columns' | 'constraints' | 'indexes' | 'foreignKeys' | 'sequences'
>;

/**
 * A partitioned root has no rows, no size and no replica identity that counts: all of that is its
 * leaves'. A deferrable key is no replica identity (indimmediate). A generated column does not come
 * with an old row, so it is no part of a FULL identity.
 */
const SELECT_RELATIONS = /* sql */ `
select n.nspname::text as schema,
  c.relname::text as name,
  c.oid::text as oid,
  c.relkind::text as kind,
  c.relpersistence <> 'p' or leaf.unlogged as unlogged,
  leaf.foreign_table,
  c.relreplident::text as identity,
  leaf.identified,
  leaf.full_identity,
  (
    select json_agg(a.attname order by k.position)
    from pg_index i
    cross join generate_series(0, i.indnkeyatts - 1) as k (position)
    join pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[k.position]
    where i.indrelid = c.oid and i.indisvalid and i.indimmediate
      and case c.relreplident when 'i' then i.indisreplident else i.indisprimary end
  ) as key_columns,
  (
    select json_agg(a.attname order by a.attnum)
    from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
  ) as all_columns,
  case when c.relkind = 'p' then (
    select json_agg(distinct a.attname)
    from pg_partition_tree(c.oid) t
    join pg_partitioned_table p on p.partrelid = t.relid
    join pg_attribute a on a.attrelid = p.partrelid and a.attnum = any (p.partattrs::int2[])
  ) end as partition_columns,
  c.relkind = 'p' and exists (
    select 1
    from pg_partition_tree(c.oid) t
    join pg_partitioned_table p on p.partrelid = t.relid
    where 0 = any (p.partattrs::int2[])
  ) as partition_expression,
  leaf.estimated_rows::text as estimated_rows,
  leaf.heap_bytes::text as heap_bytes,
  leaf.total_bytes::text as total_bytes,
  has_schema_privilege(n.oid, 'usage') and not exists (
    select 1 from pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      and not has_column_privilege(c.oid, a.attnum, 'select')
      and a.attname not in (select json_array_elements_text(w.excluded))
  ) as selectable,
  has_schema_privilege(n.oid, 'usage') and (
    pg_has_role(c.relowner, 'usage')
    or has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
      and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete')
      and has_table_privilege(c.oid, 'truncate')
  ) as writable,
  pg_get_userbyid(c.relowner)::text as owner,
  pg_has_role(c.relowner, 'usage') as owned,
  row_security_active(c.oid) as row_security
from json_to_recordset($1::json) as w (schema text, name text, excluded json)
join pg_namespace n on n.nspname = w.schema
join pg_class c on c.relnamespace = n.oid and c.relname = w.name and c.relkind not in ('i', 'I')
cross join lateral (
  select coalesce(bool_or(l.relpersistence <> 'p'), false) as unlogged,
    coalesce(bool_or(l.relkind = 'f'), false) as foreign_table,
    bool_and(l.relreplident = 'f' or exists (
      select 1 from pg_index i
      where i.indrelid = l.oid and i.indisvalid and i.indimmediate
        and case l.relreplident when 'i' then i.indisreplident when 'd' then i.indisprimary else false end
    )) as identified,
    bool_and(l.relreplident = 'f') as full_identity,
    case when coalesce(max(l.reltuples), 0) < 0 then -1 else coalesce(sum(greatest(l.reltuples, 0)), 0)::bigint end
      as estimated_rows,
    coalesce(sum(pg_relation_size(l.oid)), 0) as heap_bytes,
    coalesce(sum(pg_total_relation_size(l.oid)), 0) as total_bytes
  from (
    select c.oid as relid where c.relkind <> 'p'
    union all
    select t.relid::oid from pg_partition_tree(c.oid) t where c.relkind = 'p' and t.isleaf
  ) leaves
  join pg_class l on l.oid = leaves.relid
) leaf`;

const KINDS: Readonly<Record<string, RelationKind>> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
  S: 'sequence',
};

/** The relations of those names that exist, by formatTableName. `side` decides what `readable` asks for. */
export async function observeRelations(
  session: Session,
  wanted: readonly Wanted[],
  side: 'source' | 'destination',
): Promise<ReadonlyMap<string, Relation>> {
  const parameter = wanted.map(({ name, excludeColumns }) => ({
    schema: name.schema,
    name: name.name,
    excluded: excludeColumns ?? [],
  }));
  const rows = await session.query(SELECT_RELATIONS, [JSON.stringify(parameter)]);
  return new Map(rows.map((row) => [formatTableName(tableName(row)), toRelation(row, side)]));
}

function toRelation(row: Row, side: 'source' | 'destination'): Relation {
  return {
    name: tableName(row),
    oid: number(row, 'oid'),
    // A partition in another server has no changes in this one's log.
    kind: flag(row, 'foreign_table') ? 'foreign table' : (KINDS[text(row, 'kind')] ?? 'other'),
    unlogged: flag(row, 'unlogged'),
    replicaIdentity: toReplicaIdentity(row),
    ...(text(row, 'kind') === 'p'
      ? {
          partitionKey: {
            columns: list(row, 'partition_columns'),
            hasExpression: flag(row, 'partition_expression'),
          },
        }
      : {}),
    estimatedRows: number(row, 'estimated_rows'),
    heapBytes: number(row, 'heap_bytes'),
    totalBytes: number(row, 'total_bytes'),
    readable: flag(row, side === 'source' ? 'selectable' : 'writable'),
    owner: text(row, 'owner'),
    owned: flag(row, 'owned'),
    rowSecurity: flag(row, 'row_security'),
  };
}

/** `identified` is null for a partitioned table without partitions: then the root's own identity is what is known. */
function toReplicaIdentity(row: Row): ReplicaIdentity {
  const declared = text(row, 'identity');
  const keyColumns = list(row, 'key_columns');
  if (declared === 'n' || row['identified'] === 'f') return { kind: 'nothing', columns: [] };
  const partitionsAreFull = text(row, 'kind') === 'p' && flag(row, 'full_identity');
  if (declared === 'f' || (partitionsAreFull && keyColumns.length === 0))
    return { kind: 'full', columns: list(row, 'all_columns') };
  return { kind: declared === 'i' ? 'index' : 'default', columns: keyColumns };
}

const SELECT_OID = /* sql */ `
select c.oid::text as oid
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2`;

/** Of the relation that has the name now; undefined when there is none. Takes no lock on it. */
export async function observeTableOid(
  session: Session,
  { schema, name }: TableName,
): Promise<number | undefined> {
  const [row] = await session.query(SELECT_OID, [schema, name]);
  return row && number(row, 'oid');
}
