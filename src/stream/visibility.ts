/** Which transactions a source snapshot sees: the exact filter between a copy and its spool (TRAPS 23). */
import type { Lsn } from '../core/lsn.ts';

/** pg_current_snapshot(), taken apart. 64-bit transaction ids. */
export interface Visibility {
  readonly xmin: bigint;
  readonly xmax: bigint;
  /** In progress when the snapshot was taken; top-level transactions only, as in Begin. */
  readonly inProgress: ReadonlySet<bigint>;
}

const SNAPSHOT_PATTERN = /^(\d+):(\d+):((?:\d+(?:,\d+)*)?)$/;

/** Reads `xmin:xmax:xip,xip,…`. Throws RangeError on anything else. */
export function parseVisibility(snapshot: string): Visibility {
  const match = SNAPSHOT_PATTERN.exec(snapshot);
  if (!match) throw new RangeError(`not a snapshot: ${JSON.stringify(snapshot)}`);
  const list = match[3] === undefined || match[3] === '' ? [] : match[3].split(',');
  return {
    xmin: BigInt(match[1] ?? 0),
    xmax: BigInt(match[2] ?? 0),
    inProgress: new Set(list.map(BigInt)),
  };
}

/** True when the transaction with these 32 low bits had committed for the snapshot. */
export function sees(visibility: Visibility, xid: number): boolean {
  const full = widen(xid, visibility.xmax);
  if (full < visibility.xmin) return true;
  return full < visibility.xmax && !visibility.inProgress.has(full);
}

/** The transactions that a copy holds already. */
export interface CopiedTransactions {
  readonly visibility: Visibility;
  /** Behind the commit record of each of them. */
  readonly lsn: Lsn;
}

/**
 * True when the copy holds the transaction. The LSN bounds the 32 bits: a spool that waits for long
 * may hold transactions whose id comes round again.
 */
export function isCopied(
  copied: CopiedTransactions,
  transaction: { readonly xid: number; readonly commitLsn: Lsn },
): boolean {
  return transaction.commitLsn <= copied.lsn && sees(copied.visibility, transaction.xid);
}

const WRAP = 1n << 32n;
const HALF = 1n << 31n;

/** The 64-bit id nearest to `near` that ends in these 32 bits: live ids are within 2^31 of each other. */
function widen(xid: number, near: bigint): bigint {
  const candidate = (near / WRAP) * WRAP + BigInt(xid);
  if (candidate > near + HALF) return candidate - WRAP;
  if (candidate < near - HALF) return candidate + WRAP;
  return candidate;
}
