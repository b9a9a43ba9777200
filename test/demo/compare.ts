/** Compares source and destination with nothing of the project's own: plain SQL, all rows. */
import type { Cluster } from '../servers/cluster.ts';
import { SHOP, SHOP_TABLES, type ShopTable } from './shop.ts';

export interface TableDigest {
  readonly rows: number;
  readonly md5: string;
}

export interface Comparison {
  readonly table: ShopTable;
  readonly source: TableDigest;
  /** Undefined while the table does not exist there. */
  readonly destination: TableDigest | undefined;
  readonly same: boolean;
}

/** Row count and checksum of each table on both sides. */
export async function compareShops(source: Cluster, destination: Cluster): Promise<Comparison[]> {
  return Promise.all(
    SHOP_TABLES.map(async (table) => {
      const [left, right] = await Promise.all([
        digest(source, table),
        digest(destination, table).catch(undefinedTable),
      ]);
      const same = right !== undefined && left.rows === right.rows && left.md5 === right.md5;
      return { table, source: left, destination: right, same };
    }),
  );
}

async function digest(cluster: Cluster, table: ShopTable): Promise<TableDigest> {
  // Rows in the order of their own checksums: a table without a key has no other.
  const sql = `
    select count(*) as rows, md5(coalesce(string_agg(hash, '' order by hash), '')) as md5
    from (select md5(t::text) as hash from ${table} as t) as hashed`;
  const [row] = await cluster.query(SHOP, sql);
  return { rows: Number(row?.['rows']), md5: row?.['md5'] ?? '' };
}

/** Rows of each table, for the screen. A table that is not there yet has none. */
export async function countRows(cluster: Cluster): Promise<ReadonlyMap<string, number>> {
  const counts = SHOP_TABLES.map(async (table): Promise<[string, number]> => {
    const [row] = await cluster
      .query(SHOP, `select count(*) as rows from ${table}`)
      .catch(() => [{ rows: '0' }]);
    return [table, Number(row?.['rows'])];
  });
  return new Map(await Promise.all(counts));
}

const UNDEFINED_TABLE = '42P01';

function undefinedTable(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === UNDEFINED_TABLE) return undefined;
  throw error;
}
