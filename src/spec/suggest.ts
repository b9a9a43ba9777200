/** How many letters may be wrong in a word of this length for it to be a typing error. */
function maxDistance(length: number): number {
  if (length <= 3) return 1;
  return length <= 8 ? 2 : 3;
}

/**
 * The candidate that `word` was most likely meant to be, or undefined. Another spelling of the same
 * word (`resync_generation`, `mirror`) counts as the nearest, then the one with the fewest wrong letters.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  const limit = maxDistance(word.length);
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - word.length) > limit + 2) continue;
    const distance = plain(candidate) === plain(word) ? 0 : editDistance(word, candidate);
    if (distance <= limit && distance < (best?.distance ?? Infinity))
      best = { candidate, distance };
  }
  return best?.candidate;
}

/** A part of a name must have so many letters to tell which name it is. */
const MIN_PART_LENGTH = 4;

/** The only candidate that `word` is a part of, or that is a part of it: `batchSize`, `hostname`. */
export function onlyRelated(word: string, candidates: readonly string[]): string | undefined {
  const [related, another] = candidates.filter((candidate) =>
    isPart(plain(candidate), plain(word)),
  );
  return another === undefined ? related : undefined;
}

function isPart(a: string, b: string): boolean {
  const [part, whole] = a.length < b.length ? [a, b] : [b, a];
  return part.length >= MIN_PART_LENGTH && whole.includes(part);
}

function plain(word: string): string {
  return word.replaceAll(/[_-]/g, '').toLowerCase();
}

/** Levenshtein's: letters to insert, delete or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
