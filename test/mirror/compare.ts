/** Compares two databases with nothing of the project's own: plain SQL, all rows, all catalogs that count. */
import assert from 'node:assert/strict';
import type { Cluster } from '../servers/cluster.ts';

/** One database on one server. */
export interface Place {
  readonly cluster: Cluster;
  readonly database: string;
}

/** Rows as text, in the order of their text: a table without a key has no other. */
export async function digest({ cluster, database }: Place, table: string): Promise<string> {
  const [row] = await cluster.query(
    database,
    `select count(*) || ' rows ' || md5(coalesce(string_agg(hash, '' order by hash), '')) as digest
     from (select md5(t::text) as hash from ${table} as t) as hashed`,
  );
  return row?.['digest'] ?? '';
}

/** Fails, naming the tables, when a row differs. */
export async function assertSameRows(
  source: Place,
  destination: Place,
  tables: readonly string[],
): Promise<void> {
  const differing: string[] = [];
  for (const table of tables) {
    const [left, right] = [await digest(source, table), await digest(destination, table)];
    if (left !== right)
      differing.push(`${table}: ${left} at the source, ${right} at the destination`);
  }
  assert.deepEqual(differing, []);
}

/** Names and definitions of a schema's indexes and constraints, in order. */
export async function definitions(
  { cluster, database }: Place,
  schema = 'public',
): Promise<string[]> {
  const rows = await cluster.query(
    database,
    `select 'index ' || indexdef as line from pg_indexes where schemaname = '${schema}'
     union all
     select contype::text || ' ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
     from pg_constraint
     where connamespace = '${schema}'::regnamespace and contype in ('p', 'u', 'f', 'c', 'x')
     order by 1`,
  );
  return rows.map((row) => row['line'] ?? '');
}
