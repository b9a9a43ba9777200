/** Who waits for the stream to be where a snapshot is, and what is done for them between two transactions. */
import type { Lsn } from '../core/lsn.ts';
import type { TableName } from '../core/table-name.ts';
import type { CopySnapshot } from '../core/table-state.ts';
import type { TransactionPart } from './assemble.ts';
import { Cut, type CutVerdict, type Upcoming } from './cut.ts';
import type { Router } from './router.ts';

/** A source snapshot and the destination's table at one point of the source's history. */
export interface Meeting<T> {
  /** The table's name at the source. */
  readonly source: TableName;
  /** Takes a snapshot, or another one in its place. The stream holds still for it. */
  readonly take: () => Promise<CopySnapshot>;
  /** The snapshot can be met: gives the stream of a quiet source something to pass it by. */
  readonly hurry: () => Promise<void>;
  /** The destination's table is as the snapshot sees it: keeps that view of it. The stream holds still for it. */
  readonly arrive: () => Promise<void>;
  /** Works with both views while the stream goes on. */
  readonly compare: () => Promise<T>;
  /** The table is about to be truncated, which waits for its readers: ends them. */
  readonly giveWay: () => void;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
}

/** One meeting on its way. */
export class Approach {
  readonly cut = new Cut();
  readonly meeting: Meeting<unknown>;
  /** True when the views are of one point; false when the snapshot cannot be met. */
  readonly met: Promise<boolean>;
  /** A truncation ended the comparison. */
  gaveWay = false;
  readonly settle: (isMet: boolean) => void;
  readonly fail: (error: unknown) => void;

  constructor(meeting: Meeting<unknown>) {
    this.meeting = meeting;
    const { promise, resolve, reject } = withResolvers();
    this.met = promise;
    // Whoever waits is told; nobody has to.
    this.met.catch(() => undefined);
    this.settle = resolve;
    this.fail = reject;
    const { signal } = meeting;
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  }
}

export class Cuts {
  readonly #router: Router;
  readonly #open = new Set<Approach>();
  #closedBy: Error | undefined;

  constructor(router: Router) {
    this.#router = router;
  }

  /** From now on the table's changes are looked at. Throws when the stream has ended. */
  open(meeting: Meeting<unknown>): Approach {
    if (this.#closedBy) throw this.#closedBy;
    const approach = new Approach(meeting);
    this.#open.add(approach);
    return approach;
  }

  remove(approach: Approach): void {
    this.#open.delete(approach);
  }

  /** They are in the destination. */
  noteApplied(parts: readonly TransactionPart[]): void {
    for (const { cut, meeting } of this.#open)
      for (const part of parts)
        if (this.#router.effectOf(part, meeting.source).touches) cut.noteApplied(part.xid);
  }

  /** True when something is to be done before `next` is applied. */
  isDue(next: TransactionPart | undefined, appliedLsn: Lsn): boolean {
    for (const approach of this.#open)
      if (this.#verdict(approach, next, appliedLsn) !== 'pass') return true;
    return false;
  }

  /** Does it. Never throws: a meeting that fails fails alone. */
  async settle(next: TransactionPart | undefined, appliedLsn: Lsn): Promise<void> {
    for (const approach of this.#open) {
      const verdict = this.#verdict(approach, next, appliedLsn);
      try {
        await this.#carryOut(approach, verdict);
      } catch (error) {
        this.remove(approach);
        approach.fail(error);
      }
    }
  }

  /** Rejects all that wait and all that come. */
  close(error: Error): void {
    this.#closedBy = error;
    for (const approach of this.#open) approach.fail(error);
    this.#open.clear();
  }

  async #carryOut(approach: Approach, verdict: CutVerdict): Promise<void> {
    switch (verdict) {
      case 'pass':
        return;
      case 'arrive':
        await approach.meeting.arrive();
        approach.cut.reached('arrived');
        return;
      case 'met':
        approach.cut.reached('met');
        approach.settle(true);
        return;
      case 'miss':
        this.remove(approach);
        approach.settle(false);
        return;
      case 'give way':
        this.remove(approach);
        approach.gaveWay = true;
        approach.meeting.giveWay();
    }
  }

  #verdict(
    { cut, meeting }: Approach,
    next: TransactionPart | undefined,
    appliedLsn: Lsn,
  ): CutVerdict {
    const upcoming: Upcoming | undefined = next && {
      xid: next.xid,
      commitLsn: next.commitLsn,
      ...this.#router.effectOf(next, meeting.source),
    };
    return cut.verdict(upcoming, appliedLsn);
  }
}

function withResolvers(): {
  promise: Promise<boolean>;
  resolve: (value: boolean) => void;
  reject: (error: unknown) => void;
} {
  let resolve: (value: boolean) => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<boolean>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
