/**
 * Where the stream holds exactly what one source snapshot sees of one table: decided transaction by
 * transaction, in commit order. A snapshot may be no prefix of that order (TRAPS 23); then there is no
 * such place, and another has to be taken. Pure: cuts.ts does what is decided here.
 */
import type { Lsn } from '../core/lsn.ts';
import { isCopied, sees, type CopiedTransactions } from './visibility.ts';

/** The stream's next transaction, as far as the table is concerned. */
export interface Upcoming {
  readonly xid: number;
  readonly commitLsn: Lsn;
  readonly touches: boolean;
  readonly truncates: boolean;
}

/**
 * What to do before the next transaction is applied. `pass`: nothing. `arrive`: the table is as the
 * snapshot sees it, and will not be any more. `met`: it was indeed, nothing that the snapshot sees is still
 * to come. `miss`: this one should have been applied before. `give way`: this one waits for the readers.
 */
export type CutVerdict = 'pass' | 'arrive' | 'met' | 'miss' | 'give way';

export class Cut {
  /** Transactions that changed the table since the cut was wanted: the snapshot has to see them. */
  readonly #applied = new Set<number>();
  #seen: CopiedTransactions | undefined;
  #progress: 'under way' | 'arrived' | 'met' = 'under way';

  /** A transaction that changes the table was applied. */
  noteApplied(xid: number): void {
    if (this.#seen === undefined) this.#applied.add(xid);
  }

  /** Takes the snapshot, of a moment at which the stream held still. False when the table is past it. */
  aim(seen: CopiedTransactions): boolean {
    if ([...this.#applied].some((xid) => !sees(seen.visibility, xid))) return false;
    this.#seen = seen;
    return true;
  }

  /** `next` is undefined while nothing is there to be applied. */
  verdict(next: Upcoming | undefined, appliedLsn: Lsn): CutVerdict {
    const seen = this.#seen;
    if (seen === undefined) return 'pass';
    const isPassed = appliedLsn >= seen.lsn || (next !== undefined && next.commitLsn >= seen.lsn);
    const isSeen = next !== undefined && isCopied(seen, next);
    const touches = next?.touches === true;
    switch (this.#progress) {
      case 'under way':
        return isPassed || (touches && !isSeen) ? 'arrive' : 'pass';
      case 'arrived':
        if (isPassed) return 'met';
        return touches && isSeen ? 'miss' : 'pass';
      case 'met':
        return next?.truncates === true ? 'give way' : 'pass';
    }
  }

  /** After the verdict of that name was carried out. */
  reached(progress: 'arrived' | 'met'): void {
    this.#progress = progress;
  }
}
