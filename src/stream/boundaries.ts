/** Work that waits for the next commit boundary of the stream. */
import type { TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { Session } from '../postgres/session.ts';

export interface BoundaryResult<T> {
  readonly result: T;
  /** Tables whose state this transaction has written. */
  readonly changed?: readonly TableRecord[];
  /** A table that this mirror has no more. */
  readonly removed?: TableName;
}

export type BoundaryWork<T> = (session: Session) => Promise<BoundaryResult<T>>;

interface Request {
  readonly work: BoundaryWork<unknown>;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class Boundaries {
  readonly #onRequest: () => void;
  readonly #requests: Request[] = [];
  #closedBy: Error | undefined;

  constructor(onRequest: () => void) {
    this.#onRequest = onRequest;
  }

  get hasWork(): boolean {
    return this.#requests.length > 0;
  }

  throwIfClosed(): void {
    if (this.#closedBy) throw this.#closedBy;
  }

  async request<T>(work: BoundaryWork<T>): Promise<T> {
    this.throwIfClosed();
    return new Promise<T>((resolve, reject) => {
      this.#requests.push({ work, resolve: resolve as (result: unknown) => void, reject });
      this.#onRequest();
    });
  }

  /**
   * Runs the oldest request in a transaction. `prepare` runs inside it with the changed tables and gives
   * what to do once it is committed. A failing request fails alone, unless the session broke with it.
   */
  async runNext(
    session: Session,
    prepare: (changed: readonly TableRecord[]) => Promise<() => void>,
    onRemoved: (removed: TableName) => void,
  ): Promise<void> {
    const request = this.#requests.shift();
    if (!request) return;
    try {
      const { outcome, committed } = await session.transaction(async () => {
        const outcome = await request.work(session);
        return { outcome, committed: await prepare(outcome.changed ?? []) };
      });
      committed();
      if (outcome.removed) onRemoved(outcome.removed);
      request.resolve(outcome.result);
    } catch (error) {
      request.reject(error);
      if (!session.usable) throw error;
    }
  }

  /** Rejects what waits and everything that comes. */
  close(error: Error): void {
    this.#closedBy = error;
    for (const request of this.#requests.splice(0)) request.reject(error);
  }
}
