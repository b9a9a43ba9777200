import { sees, type Visibility } from './visibility.ts';

/**
 * Transactions that can be applied here and still look unfinished at the source are between their
 * commit record and their end: at most one for each of its connections. This is far more.
 */
const MAX_REMEMBERED = 100_000;

/** The transactions that were applied lately, to tell whether a source snapshot sees them all. */
export class RecentTransactions {
  readonly #xids = new Set<number>();

  add(xid: number): void {
    this.#xids.delete(xid);
    this.#xids.add(xid);
    if (this.#xids.size <= MAX_REMEMBERED) return;
    const [oldest] = this.#xids;
    if (oldest !== undefined) this.#xids.delete(oldest);
  }

  /** True when one of them is not in the snapshot. Those that are need not be remembered any longer. */
  hasUnseenBy(visibility: Visibility): boolean {
    for (const xid of this.#xids) {
      if (sees(visibility, xid)) this.#xids.delete(xid);
    }
    return this.#xids.size > 0;
  }
}
