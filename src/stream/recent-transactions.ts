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
   * any longer.
   */
  hasUnseenBy(visibility: Visibility, mark = this.#added): boolean {
    let isUnseen = false;
    for (const [xid, addedAt] of this.#addedAt) {
      if (sees(visibility, xid)) this.#addedAt.delete(xid);
      else if (addedAt <= mark) isUnseen = true;
    }
    return isUnseen;
  }
}
