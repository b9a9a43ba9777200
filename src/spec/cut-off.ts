/**
 * Whether a newer spec looks like an older one whose text ends too early: half saved, or read while it
 * was written. Pure. Such a text is often valid, and says less: a table, a column or a letter of a name.
 */
import type { WrittenSpec } from './written.ts';

type Likeness = 'equal' | 'cut' | 'different';

/** The part of a spec that was cut: its own text, or that of a peer. */
export type CutPart = { readonly kind: 'spec' } | { readonly kind: 'peer'; readonly name: string };

/**
 * The newer spec, or a peer that both name, when it is in the order of its text a beginning of the older
 * one and no more; the last scalar may have been cut in its middle. Undefined when nothing looks cut off.
 */
export function findCutOff(newer: WrittenSpec, older: WrittenSpec): CutPart | undefined {
  if (compare(newer.spec, older.spec) === 'cut') return { kind: 'spec' };
  const peer = Object.entries(newer.peers).find(([name, spec]) => {
    const before = older.peers[name];
    return before !== undefined && compare(spec, before) === 'cut';
  });
  return peer && { kind: 'peer', name: peer[0] };
}

function compare(newer: unknown, older: unknown): Likeness {
  if (Array.isArray(newer) && Array.isArray(older)) return compareItems(newer, older);
  if (isMapping(newer) && isMapping(older)) {
    const [fields, before] = [Object.entries(newer), Object.entries(older)];
    const isSameOrder = fields.every(([field], index) => field === before[index]?.[0]);
    if (!isSameOrder) return 'different';
    return compareItems(
      fields.map(([, value]) => value),
      before.map(([, value]) => value),
    );
  }
  return compareScalars(newer, older);
}

/** Only the last of the newer ones can have been cut. */
function compareItems(newer: readonly unknown[], older: readonly unknown[]): Likeness {
  if (newer.length > older.length) return 'different';
  const likenesses = newer.map((item, index) => compare(item, older[index]));
  const last = likenesses.pop() ?? 'equal';
  if (last === 'different' || likenesses.some((likeness) => likeness !== 'equal'))
    return 'different';
  return last === 'cut' || newer.length < older.length ? 'cut' : 'equal';
}

function compareScalars(newer: unknown, older: unknown): Likeness {
  if (newer === older) return 'equal';
  if (typeof newer !== typeof older || (typeof newer !== 'string' && typeof newer !== 'number'))
    return 'different';
  // A text over several lines gets a line break at its end also where it was cut.
  return String(older).startsWith(String(newer).trimEnd()) ? 'cut' : 'different';
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
