import { sees, type Visibility } from './visibility.ts';

/**
 * Transactions that can be applied here and still look unfinished at the source are between their
 * commit record and their end: at most one for each of its connections. This is far more.
 */
const MAX_REMEMBERED = 100_000;

/** The transactions that were applied lately, to tell whether a source snapshot sees them all. */
export class RecentTransactions {
  /** When each was added, in that order. */
  readonly #addedAt = new Map<number, number>();
  #added = 0;
  /** The newest snapshot that was asked about: what it sees is forgotten. */
  #newest: Visibility | undefined;

  /** How many were added until now: what comes later is beyond this mark. */
  get mark(): number {
    return this.#added;
  }

  add(xid: number): void {
    this.#added += 1;
    this.#addedAt.delete(xid);
    this.#addedAt.set(xid, this.#added);
    if (this.#addedAt.size <= MAX_REMEMBERED) return;
    const [oldest] = this.#addedAt.keys();
    if (oldest !== undefined) this.#addedAt.delete(oldest);
  }

  /**
   * True when one of those up to the mark is not in the snapshot. Those that are need not be remembered
   * any longer; so an older snapshot than one that was asked about before cannot be told, and is refused.
   */
  hasUnseenBy(visibility: Visibility, mark = this.#added): boolean {
    if (this.#newest !== undefined && isOlder(visibility, this.#newest)) return true;
    this.#newest = visibility;
    let isUnseen = false;
    for (const [xid, addedAt] of this.#addedAt) {
      if (sees(visibility, xid)) this.#addedAt.delete(xid);
      else if (addedAt <= mark) isUnseen = true;
    }
    return isUnseen;
  }
}

/** There is something that only the other one sees. */
function isOlder(one: Visibility, other: Visibility): boolean {
  if (one.xmax < other.xmax) return true;
  return [...one.inProgress].some((xid) => xid < other.xmax && !other.inProgress.has(xid));
}
