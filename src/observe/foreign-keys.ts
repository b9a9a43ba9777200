import type {
  ForeignKeyShape,
  ReferencingKey,
  SavedForeignKey,
  SwapObstacle,
} from '../core/observed.ts';
import { append } from '../core/multi-map.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { Row, Session } from '../postgres/session.ts';
import { withoutPrefix } from './constraints.ts';
import { flag, groupByOid, list, oidArray, tableName, text } from './read.ts';

/**
 * A foreign key that references a partitioned table has more rows, one for each partition, on the
 * same table: their parent is the one to see. PERIOD is printed before the last column (from 18).
 */
const SELECT_FOREIGN_KEYS = /* sql */ `
select con.conrelid::text as oid,
  con.conname::text as name,
  pg_get_constraintdef(con.oid) as definition,
  format('FOREIGN KEY (%s) REFERENCES %I.%I', key.plain, rn.nspname, r.relname) as prefix,
  format('FOREIGN KEY (%s) REFERENCES %I.%I', key.period, rn.nspname, r.relname) as period_prefix,
  key.columns,
  rn.nspname::text as references_schema,
  r.relname::text as references_name,
  con.convalidated as validated
from pg_constraint con
join pg_class r on r.oid = con.confrelid
join pg_namespace rn on rn.oid = r.relnamespace
cross join lateral (
  select json_agg(a.attname order by k.position) as columns,
    string_agg(quote_ident(a.attname), ', ' order by k.position) as plain,
    string_agg(
      case when k.position = cardinality(con.conkey) then 'PERIOD ' else '' end || quote_ident(a.attname),
      ', ' order by k.position
    ) as period
  from unnest(con.conkey) with ordinality as k (attnum, position)
  join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.attnum
) key
where con.conrelid = any ($1::oid[]) and con.contype = 'f' and not exists (
  select 1 from pg_constraint p where p.oid = con.conparentid and p.conrelid = con.conrelid
)
order by con.conrelid, con.conname`;

/** The foreign keys that those tables have, by name. */
export async function observeForeignKeys(
  session: Session,
  oids: readonly number[],
): Promise<ReadonlyMap<number, ForeignKeyShape[]>> {
  return groupByOid(await session.query(SELECT_FOREIGN_KEYS, [oidArray(oids)]), toForeignKey);
}

function toForeignKey(row: Row): ForeignKeyShape {
  const definition = text(row, 'definition');
  const prefixes = [text(row, 'prefix'), text(row, 'period_prefix')];
  return {
    name: text(row, 'name'),
    columns: list(row, 'columns'),
    references: { schema: text(row, 'references_schema'), name: text(row, 'references_name') },
    definition: withoutPrefix(definition, ...prefixes)
      .trimStart()
      .replace(/ NOT VALID$/, ''),
    validated: flag(row, 'validated'),
    period: !definition.startsWith(text(row, 'prefix')),
  };
}

const SELECT_INBOUND_FOREIGN_KEYS = /* sql */ `
select n.nspname::text as schema,
  c.relname::text as name,
  con.conname::text as constraint_name,
  pg_get_constraintdef(con.oid) as definition
from pg_constraint con
join pg_class c on c.oid = con.conrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_class r on r.oid = con.confrelid
join pg_namespace rn on rn.oid = r.relnamespace
where rn.nspname = $1 and r.relname = $2
  and con.contype = 'f' and con.conparentid = 0 and (con.conrelid <> con.confrelid or $3::boolean)
order by n.nspname, c.relname, con.conname`;

/**
 * The foreign keys of other tables, mirrored or not, that reference this one: those that are in the
 * way of a TRUNCATE. A key from the table to itself is not, unless `own` asks for it: it is in the way
 * of dropping what it references. The definition is as printed, with its NOT VALID: that is how
 * restoreForeignKey knows to leave it so.
 */
export async function readInboundForeignKeys(
  session: Session,
  table: TableName,
  { own } = { own: false },
): Promise<Omit<SavedForeignKey, 'id'>[]> {
  const values = [table.schema, table.name, own];
  const rows = await session.query(SELECT_INBOUND_FOREIGN_KEYS, values);
  return rows.map((row) => ({
    table,
    owner: { schema: text(row, 'schema'), name: text(row, 'name') },
    name: text(row, 'constraint_name'),
    definition: text(row, 'definition'),
  }));
}

/** `w`: the tables that are asked for; `con`: foreign keys to them; `o` in `own`: the other table that has one. */
const FROM_KEYS_OF_OTHERS = /* sql */ `
from json_to_recordset($1::json) as w (schema text, name text)
join pg_namespace n on n.nspname = w.schema
join pg_class c on c.relnamespace = n.oid and c.relname = w.name
join pg_constraint con on con.confrelid = c.oid and con.contype = 'f' and con.conparentid = 0
  and con.conrelid <> c.oid
join pg_class o on o.oid = con.conrelid
join pg_namespace own on own.oid = o.relnamespace`;

const SELECT_FOREIGN_KEYS_TO = /* sql */ `
select w.schema, w.name, con.conname::text as constraint_name, con.convalidated as validated,
  own.nspname::text as owner_schema, o.relname::text as owner_name
${FROM_KEYS_OF_OTHERS}
order by w.schema, w.name, own.nspname, o.relname, con.conname`;

/** The foreign keys of others that a TRUNCATE of those tables puts aside; by formatTableName. From the catalogs alone. */
export async function readForeignKeysTo(
  session: Session,
  tables: readonly TableName[],
): Promise<ReadonlyMap<string, ReferencingKey[]>> {
  const keys = new Map<string, ReferencingKey[]>();
  for (const row of await session.query(SELECT_FOREIGN_KEYS_TO, [JSON.stringify(tables)]))
    append(keys, formatTableName(tableName(row)), {
      owner: { schema: text(row, 'owner_schema'), name: text(row, 'owner_name') },
      name: text(row, 'constraint_name'),
      validated: flag(row, 'validated'),
    });
  return keys;
}

const SELECT_EMPTY_OBSTACLES = /* sql */ `
select w.schema, w.name, current_user::text as role,
  format('foreign key %I of %I.%I', con.conname, own.nspname, o.relname) as object,
  pg_has_role(o.relowner, 'usage') as owned
${FROM_KEYS_OF_OTHERS}
where not pg_has_role(o.relowner, 'usage')
  or not has_table_privilege(c.oid, 'references') and exists (
    select from unnest(con.confkey) as k (attnum)
    where not has_column_privilege(c.oid, k.attnum, 'references')
  )
order by w.schema, w.name, own.nspname, o.relname, con.conname`;

/**
 * The foreign keys of others that our role may not drop, or not put back, when one of those tables is
 * emptied; by formatTableName. From the catalogs alone.
 */
export async function readEmptyObstacles(
  session: Session,
  tables: readonly TableName[],
): Promise<ReadonlyMap<string, SwapObstacle[]>> {
  const obstacles = new Map<string, SwapObstacle[]>();
  for (const row of await session.query(SELECT_EMPTY_OBSTACLES, [JSON.stringify(tables)])) {
    const key = formatTableName(tableName(row));
    const lack = flag(row, 'owned') ? 'lacks REFERENCES on the table' : 'does not own that table';
    const reason = `has to be dropped and put back, and role ${text(row, 'role')} ${lack}`;
    obstacles.set(key, [...(obstacles.get(key) ?? []), { object: text(row, 'object'), reason }]);
  }
  return obstacles;
}
