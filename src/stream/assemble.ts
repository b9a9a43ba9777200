/**
 * Puts messages together to transactions. A transaction too big for memory comes in parts; its
 * commit position is known from the first one on. Pure: it only keeps what it was given.
 */
import type { Lsn } from '../core/lsn.ts';
import type { Message, Relation, Tuple } from './decode.ts';

export type Change =
  | {
      readonly tag: 'insert';
      readonly relation: Relation;
      readonly new: Tuple;
      readonly raw: Buffer;
    }
  | {
      readonly tag: 'update';
      readonly relation: Relation;
      readonly old: Tuple | undefined;
      readonly new: Tuple;
      readonly raw: Buffer;
    }
  | {
      readonly tag: 'delete';
      readonly relation: Relation;
      readonly old: Tuple;
      readonly raw: Buffer;
    }
  | { readonly tag: 'truncate'; readonly relations: readonly Relation[]; readonly raw: Buffer };

/** A whole transaction (first and final), or a piece of a large one. */
export interface TransactionPart {
  /** The 32 bits that Begin carries. */
  readonly xid: number;
  /** Where the commit record begins: what decides whether it was applied before. */
  readonly commitLsn: Lsn;
  /** Where the commit record ends; what is durable after it. */
  readonly endLsn: Lsn | undefined;
  readonly commitTimeMs: number;
  readonly changes: readonly Change[];
  /** What it takes in memory: the messages and MESSAGE_OVERHEAD_BYTES for each. */
  readonly bytes: number;
  readonly first: boolean;
  /** endLsn is there. */
  readonly final: boolean;
}

/** Big enough that COPY pays, small enough that a few of them fit in memory many times over. */
export const MAX_PART_BYTES = 4 * 1024 * 1024;

/** Objects that one decoded message costs besides its bytes; a narrow row is mostly this. */
const MESSAGE_OVERHEAD_BYTES = 512;

interface OpenTransaction {
  readonly xid: number;
  readonly commitLsn: Lsn;
  readonly commitTimeMs: number;
  changes: Change[];
  bytes: number;
  first: boolean;
}

export class Assembler {
  readonly #relations = new Map<number, Relation>();
  #open: OpenTransaction | undefined;

  /** Between a Begin and its Commit. */
  get inTransaction(): boolean {
    return this.#open !== undefined;
  }

  /** Takes the next message; returns a part when one is full or its transaction has ended. */
  accept(message: Message): TransactionPart | undefined {
    switch (message.tag) {
      case 'begin':
        this.#open = { ...message, changes: [], bytes: 0, first: true };
        return undefined;
      case 'commit':
        return this.#end(message.endLsn);
      case 'relation':
        this.#relations.set(message.relation.id, message.relation);
        return undefined;
      case 'other':
        return undefined;
      default:
        return this.#add(this.#toChange(message));
    }
  }

  #toChange(message: Exclude<Message, { tag: 'begin' | 'commit' | 'relation' | 'other' }>): Change {
    if (message.tag === 'truncate')
      return {
        tag: 'truncate',
        relations: message.relationIds.map((id) => this.#relation(id)),
        raw: message.raw,
      };
    const relation = this.#relation(message.relationId);
    const { raw } = message;
    if (message.tag === 'insert') return { tag: 'insert', relation, new: message.new, raw };
    if (message.tag === 'delete') return { tag: 'delete', relation, old: message.old, raw };
    return { tag: 'update', relation, old: message.old, new: message.new, raw };
  }

  #relation(id: number): Relation {
    const relation = this.#relations.get(id);
    if (!relation) throw new Error(`pgoutput: change of relation ${id} before its description`);
    return relation;
  }

  #add(change: Change): TransactionPart | undefined {
    const open = this.#require();
    open.changes.push(change);
    open.bytes += change.raw.length + MESSAGE_OVERHEAD_BYTES;
    return open.bytes >= MAX_PART_BYTES ? this.#take(open, undefined) : undefined;
  }

  #end(endLsn: Lsn): TransactionPart {
    const open = this.#require();
    this.#open = undefined;
    return this.#take(open, endLsn);
  }

  #take(open: OpenTransaction, endLsn: Lsn | undefined): TransactionPart {
    const { xid, commitLsn, commitTimeMs, changes, bytes, first } = open;
    open.changes = [];
    open.bytes = 0;
    open.first = false;
    return {
      xid,
      commitLsn,
      commitTimeMs,
      changes,
      bytes,
      first,
      endLsn,
      final: endLsn !== undefined,
    };
  }

  #require(): OpenTransaction {
    if (!this.#open) throw new Error('pgoutput: change outside a transaction');
    return this.#open;
  }
}
