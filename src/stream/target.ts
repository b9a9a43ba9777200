/** What has to be known of a destination table to write to it; read when its state changes. */
import { MirrorError } from '../core/errors.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { Session } from '../postgres/session.ts';
import type { KeyColumn } from '../sql/apply.ts';
import { quoteIdent, quoteTable } from '../sql/quote.ts';

export interface ApplyTarget {
  readonly table: TableName;
  readonly partitioned: boolean;
  /** Columns that can be written, by name; generated ones are not. */
  readonly columns: ReadonlyMap<string, KeyColumn>;
  readonly generated: ReadonlySet<string>;
  /** Identity columns that are GENERATED ALWAYS: INSERT can write them, UPDATE cannot. */
  readonly identityAlways: ReadonlySet<string>;
  /** Source columns the mirror file leaves out. */
  readonly excluded: ReadonlySet<string>;
  readonly primaryKey: readonly string[];
  /** There is a unique or exclusion index besides the primary key: folded writes can collide on the way. */
  readonly hasOtherUnique: boolean;
}

/**
 * The columns of one table. The operator is the one of the column's default btree class, because with
 * an empty search_path `=` of an extension's type would not be found, or be another type's.
 */
const SELECT_COLUMNS = /* sql */ `
select a.attname, pg_catalog.format_type(a.atttypid, -1) as base_type, a.attgenerated, a.attidentity,
  coalesce(n.nspname, 'pg_catalog') as operator_schema, coalesce(o.oprname, '=') as operator_name,
  coalesce(array_position(pk.columns, a.attnum), 0) as key_position
from pg_catalog.pg_attribute as a
join pg_catalog.pg_type as t on t.oid = a.atttypid
left join lateral (
  select op.oprnamespace, op.oprname
  from pg_catalog.pg_opclass as c
  join pg_catalog.pg_am as am on am.oid = c.opcmethod and am.amname = 'btree'
  join pg_catalog.pg_amop as ao on ao.amopfamily = c.opcfamily and ao.amopstrategy = 3
    and ao.amoplefttype = c.opcintype and ao.amoprighttype = c.opcintype
  join pg_catalog.pg_operator as op on op.oid = ao.amopopr
  where c.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid) and c.opcdefault
  limit 1
) as o on true
left join pg_catalog.pg_namespace as n on n.oid = o.oprnamespace
left join lateral (
  select array(select unnest(i.indkey)) as columns
  from pg_catalog.pg_index as i
  where i.indrelid = a.attrelid and i.indisprimary
) as pk on true
where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped
order by a.attnum`;

const SELECT_KIND = /* sql */ `
select c.relkind, exists (
  select from pg_catalog.pg_index as i
  where i.indrelid = c.oid and (i.indisunique or i.indisexclusion) and not i.indisprimary
) as other_unique
from pg_catalog.pg_class as c
where c.oid = to_regclass($1)`;

/** Throws TableMissing when the destination table is gone. */
export async function loadTarget(
  session: Session,
  table: TableName,
  excludeColumns: readonly string[],
): Promise<ApplyTarget> {
  const rows = await session.query(SELECT_COLUMNS, [quoteTable(table)], 'load_target_columns');
  const [kind] = await session.query(SELECT_KIND, [quoteTable(table)], 'load_target_kind');
  if (kind === undefined)
    throw new MirrorError(
      'TableMissing',
      `destination table ${formatTableName(table)} does not exist`,
    );
  const columns = new Map<string, KeyColumn>();
  const generated = new Set<string>();
  const identityAlways = new Set<string>();
  const key: { name: string; position: number }[] = [];
  for (const row of rows) {
    const name = row['attname'] ?? '';
    if (row['attgenerated'] !== '') {
      generated.add(name);
      continue;
    }
    const operator = `OPERATOR(${quoteIdent(row['operator_schema'] ?? '')}.${row['operator_name']})`;
    columns.set(name, { name, baseType: row['base_type'] ?? '', equals: operator });
    if (row['attidentity'] === 'a') identityAlways.add(name);
    if (row['key_position'] !== '0') key.push({ name, position: Number(row['key_position']) });
  }
  return {
    table,
    partitioned: kind['relkind'] === 'p',
    columns,
    generated,
    identityAlways,
    excluded: new Set(excludeColumns),
    primaryKey: key.sort((a, b) => a.position - b.position).map(({ name }) => name),
    hasOtherUnique: kind['other_unique'] === 't',
  };
}
