/** Which rows differ, from hashes of both sides, and how that is said. Pure. */

/** Rows and the sum of their hashes. */
export interface Checksum {
  readonly rows: number;
  readonly checksum: string;
}

/** The key and the hash of one row. */
export interface RowDigest {
  /** As text, cut when it is long. */
  readonly key: string;
  /** Tells the keys apart that are cut. */
  readonly id: string;
  readonly hash: string;
}

export interface DifferingKey {
  readonly key: string;
  readonly how: 'different' | 'missing at the destination' | 'only at the destination';
}

/** Keys that differ, as far as they were looked for. */
export interface Differences {
  readonly columns: readonly string[];
  readonly keys: readonly DifferingKey[];
  /** False when there are more than were looked for. */
  readonly complete: boolean;
}

const MAX_SHOWN_KEYS = 10;

/** The numbers of the buckets whose sums differ, in order, with the rows that both sides have in each. */
export function differingBuckets(
  source: ReadonlyMap<number, Checksum>,
  destination: ReadonlyMap<number, Checksum>,
): { bucket: number; rows: number }[] {
  const buckets = [...new Set([...source.keys(), ...destination.keys()])].sort((a, b) => a - b);
  return buckets.flatMap((bucket) => {
    const [left, right] = [source.get(bucket), destination.get(bucket)];
    const isSame = left?.rows === right?.rows && left?.checksum === right?.checksum;
    return isSame ? [] : [{ bucket, rows: (left?.rows ?? 0) + (right?.rows ?? 0) }];
  });
}

/** Keys whose rows differ, in order. A key may come more than once where nothing keeps it unique. */
export function differingKeys(
  source: readonly RowDigest[],
  destination: readonly RowDigest[],
): DifferingKey[] {
  const rows = new Map<string, { key: string; source: string[]; destination: string[] }>();
  const add = (side: 'source' | 'destination', { key, id, hash }: RowDigest): void => {
    const entry = rows.get(id) ?? { key, source: [], destination: [] };
    entry[side].push(hash);
    rows.set(id, entry);
  };
  for (const row of source) add('source', row);
  for (const row of destination) add('destination', row);
  const differing = [...rows.values()].flatMap((row): DifferingKey[] => {
    if (row.source.toSorted().join() === row.destination.toSorted().join()) return [];
    const how =
      row.destination.length === 0
        ? 'missing at the destination'
        : row.source.length === 0
          ? 'only at the destination'
          : 'different';
    return [{ key: row.key, how }];
  });
  return differing.sort((a, b) => compareKeys(a.key, b.key));
}

/** One line for people. `found` is undefined for a table without a key, or with too much to look at. */
export function describeDifference(
  source: Checksum,
  destination: Checksum,
  found: Differences | undefined,
): string {
  const counts =
    source.rows === destination.rows
      ? `${rowsOf(source.rows)} on either side, and not the same`
      : `${rowsOf(source.rows)} at the source, ${destination.rows} at the destination`;
  if (found === undefined || found.keys.length === 0) return counts;
  const shown = found.keys.slice(0, MAX_SHOWN_KEYS);
  const total = found.keys.length;
  const which = !found.complete
    ? `some of the keys that differ`
    : shown.length < total
      ? `the first ${shown.length} of ${total} keys that differ`
      : `${total} ${total === 1 ? 'key differs' : 'keys differ'}`;
  const list = shown.map(({ key, how }) => `${key.replaceAll(/\s+/g, ' ')} ${how}`).join(', ');
  return `${counts}; ${which} (${found.columns.join(', ')}): ${list}`;
}

function rowsOf(count: number): string {
  return `${count} ${count === 1 ? 'row' : 'rows'}`;
}

const INTEGER = /^-?\d+$/;

/** Whole numbers by their size, anything else as text. */
function compareKeys(a: string, b: string): number {
  if (INTEGER.test(a) && INTEGER.test(b)) {
    const [left, right] = [BigInt(a), BigInt(b)];
    return left < right ? -1 : left > right ? 1 : 0;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}
