/** A position in the write-ahead log, in bytes. Always a bigint: LSNs pass 2^53 and do not compare as strings. */
export type Lsn = bigint & { readonly brand: 'Lsn' };

/** The position before every real one. */
export const LSN_ZERO = 0n as Lsn;

const LSN_PATTERN = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/;

/** Reads PostgreSQL's text form, e.g. `0/1A2B3C4`. Throws RangeError on anything else. */
export function parseLsn(text: string): Lsn {
  const match = LSN_PATTERN.exec(text);
  if (!match) throw new RangeError(`not an LSN: ${JSON.stringify(text)}`);
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** Writes PostgreSQL's text form, e.g. `0/1A2B3C4`. */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** The later of two positions. */
export function maxLsn(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}
