/** What was received and is not applied yet: bounded, and pushing back on the sender when it is full. */
import type { TransactionPart } from './assemble.ts';

/** Received bytes (with what each message costs in memory) that may wait. A few parts: enough to never wait for the wire. */
export const MAX_INBOX_BYTES = 8 * 1024 * 1024;

export interface BatchLimits {
  readonly changes: number;
  readonly bytes: number;
}

export class Inbox {
  readonly #onFull: () => void;
  readonly #onRoom: () => void;
  readonly #parts: TransactionPart[] = [];
  #bytes = 0;
  #full = false;

  constructor(onFull: () => void, onRoom: () => void) {
    this.#onFull = onFull;
    this.#onRoom = onRoom;
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** The oldest part that waits. */
  get oldest(): TransactionPart | undefined {
    return this.#parts[0];
  }

  push(part: TransactionPart): void {
    this.#parts.push(part);
    this.#bytes += part.bytes;
    if (this.#full || this.#bytes < MAX_INBOX_BYTES) return;
    this.#full = true;
    this.#onFull();
  }

  /** The next part, whatever it is. */
  takeOne(): TransactionPart | undefined {
    const part = this.#parts.shift();
    if (part === undefined) return undefined;
    this.#bytes -= part.bytes;
    if (this.#full && this.#bytes < MAX_INBOX_BYTES / 2) {
      this.#full = false;
      this.#onRoom();
    }
    return part;
  }

  /**
   * Whole transactions from the front, up to the limits or before one that must not be in the batch, and at
   * least one; none when a large one is in front.
   */
  takeWhole(
    limits: BatchLimits,
    endsBefore: (part: TransactionPart) => boolean = () => false,
  ): TransactionPart[] {
    const batch: TransactionPart[] = [];
    let changes = 0;
    let bytes = 0;
    for (let next = this.oldest; next?.first && next.final; next = this.oldest) {
      changes += next.changes.length;
      bytes += next.bytes;
      const isFull = changes > limits.changes || bytes > limits.bytes;
      if (batch.length > 0 && (isFull || endsBefore(next))) break;
      this.takeOne();
      batch.push(next);
    }
    return batch;
  }
}
