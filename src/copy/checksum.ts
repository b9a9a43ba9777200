/**
 * Compares one table on two servers by what two sessions see of it: counts and checksums, and where they
 * differ the keys, found in a few buckets of rows. Never more rows in memory than a named limit.
 */
import { MirrorError } from '../core/errors.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { Row, Session } from '../postgres/session.ts';
import {
  bucketRowsSql,
  bucketsSql,
  checksumSql,
  SELECT_COMPARABLE,
  type ComparedTable,
} from '../sql/checksum.ts';
import { quoteTable } from '../sql/quote.ts';
import {
  describeDifference,
  differingBuckets,
  differingKeys,
  type Checksum,
  type Differences,
  type RowDigest,
} from './differences.ts';
import { readHeap } from './snapshot.ts';

/** One table in the view of one session, which is in a repeatable read transaction. */
export interface Side {
  readonly session: Session;
  readonly table: TableName;
}

export interface CompareJob {
  readonly source: Side;
  readonly destination: Side;
  readonly columns: readonly string[];
  /** Empty for a table without one. */
  readonly key: readonly string[];
}

export interface Comparison {
  readonly rows: number;
  readonly destinationRows: number;
  /** What differs; undefined when nothing does. */
  readonly difference: string | undefined;
}

const ROWS_PER_BUCKET = 512;
const MAX_BUCKETS = 65_536;
/** Keys and hashes of both sides in memory, while the keys that differ are looked for. */
const MAX_FETCHED_ROWS = 100_000;
const MAX_KEY_LENGTH = 100;

/**
 * Ends both transactions. Undefined when one of the tables was truncated or rewritten meanwhile: a view of
 * it may have found it empty (TRAPS 25). Throws MirrorError.
 */
export async function compareTables(job: CompareJob): Promise<Comparison | undefined> {
  const sides = [job.source, job.destination];
  const before = await Promise.all(sides.map(fingerprint));
  const comparison = await compare(job);
  await Promise.all(sides.map(async ({ session }) => session.query('commit')));
  const after = await Promise.all(sides.map(fingerprint));
  return before.join() === after.join() ? comparison : undefined;
}

async function fingerprint({ session, table }: Side): Promise<string> {
  return (await readHeap(session, table)).fingerprint;
}

async function compare(job: CompareJob): Promise<Comparison> {
  const pair = await describePair(job);
  const [source, destination] = await pair.onBoth(async (session, compared) =>
    toChecksum((await session.query(checksumSql(compared)))[0]),
  );
  const counts = { rows: source.rows, destinationRows: destination.rows };
  if (source.rows === destination.rows && source.checksum === destination.checksum)
    return { ...counts, difference: undefined };
  const rows = Math.max(source.rows, destination.rows);
  const found = job.key.length === 0 ? undefined : await findKeys(pair, job.key, rows);
  return { ...counts, difference: describeDifference(source, destination, found) };
}

/** Both tables as they are compared. */
interface ComparedPair {
  readonly onBoth: <T>(
    work: (session: Session, compared: ComparedTable) => Promise<T>,
  ) => Promise<[T, T]>;
}

async function describePair({
  source,
  destination,
  columns,
  key,
}: CompareJob): Promise<ComparedPair> {
  const [left, right] = await Promise.all([look(source), look(destination)]);
  const hash = left.native === right.native ? 'native' : 'md5';
  const compared = ({ table }: Side, { partitioned }: { partitioned: boolean }): ComparedTable => ({
    table,
    partitioned,
    columns,
    key,
    hash,
  });
  return {
    onBoth: async (work) =>
      Promise.all([
        work(source.session, compared(source, left)),
        work(destination.session, compared(destination, right)),
      ]),
  };
}

async function look({
  session,
  table,
}: Side): Promise<{ native: string | null | undefined; partitioned: boolean }> {
  const [row] = await session.query(SELECT_COMPARABLE, [quoteTable(table)]);
  const kind = row?.['kind'] ?? undefined;
  if (kind === undefined)
    throw new MirrorError('TableMissing', `table ${formatTableName(table)} does not exist`);
  return { native: row?.['native'], partitioned: kind === 'p' };
}

/** Undefined when even one bucket is too big to look into. */
async function findKeys(
  { onBoth }: ComparedPair,
  columns: readonly string[],
  rows: number,
): Promise<Differences | undefined> {
  const count = bucketCount(rows);
  const [source, destination] = await onBoth(async (session, compared) => {
    const found = await session.query(bucketsSql(compared, count));
    return new Map(found.map((row) => [Number(row['bucket']), toChecksum(row)]));
  });
  const differing = differingBuckets(source, destination);
  const chosen = withinLimit(differing);
  if (chosen.length === 0) return undefined;
  const [left, right] = await onBoth(async (session, compared) => {
    const text = bucketRowsSql(compared, count, MAX_KEY_LENGTH);
    return (await session.query(text, [`{${chosen.join(',')}}`])).map(toDigest);
  });
  return {
    columns,
    keys: differingKeys(left, right),
    complete: chosen.length === differing.length,
  };
}

function bucketCount(rows: number): number {
  const wanted = 2 ** Math.ceil(Math.log2(Math.max(1, rows / ROWS_PER_BUCKET)));
  return Math.min(MAX_BUCKETS, wanted);
}

function withinLimit(buckets: readonly { bucket: number; rows: number }[]): number[] {
  let sum = 0;
  return buckets.flatMap(({ bucket, rows }) => {
    sum += rows;
    return sum > MAX_FETCHED_ROWS ? [] : [bucket];
  });
}

function toChecksum(row: Row | undefined): Checksum {
  return { rows: Number(row?.['rows'] ?? 0), checksum: row?.['checksum'] ?? '' };
}

function toDigest(row: Row): RowDigest {
  return { key: row['key'] ?? '', id: row['id'] ?? '', hash: row['hash'] ?? '' };
}
