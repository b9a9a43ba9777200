/**
 * pgoutput, protocol version 1, PostgreSQL 14 to 18
 * (https://www.postgresql.org/docs/18/protocol-logicalrep-message-formats.html).
 * Values stay where they are in the message: a tuple is offsets into the bytes that were received,
 * so nothing here can change one.
 */
import type { Lsn } from '../core/lsn.ts';

/** Cell length of SQL NULL. */
export const NULL_CELL = -1;
/** Cell length of a TOASTed value that did not change and was not sent. Never written anywhere. */
export const UNCHANGED_CELL = -2;

/** One row version: for column i the cell is bytes[at[2i], at[2i] + at[2i + 1]), or a marker as length. */
export interface Tuple {
  readonly bytes: Buffer;
  readonly at: readonly number[];
}

export interface RelationColumn {
  readonly name: string;
  /** Part of the replica identity. */
  readonly key: boolean;
  readonly typeOid: number;
}

/** A table as the stream describes it before its next change. */
export interface Relation {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly identity: 'default' | 'nothing' | 'full' | 'index';
  readonly columns: readonly RelationColumn[];
  /** The message itself, for the spool. */
  readonly raw: Buffer;
}

export type Message =
  | {
      readonly tag: 'begin';
      readonly commitLsn: Lsn;
      readonly commitTimeMs: number;
      readonly xid: number;
    }
  | { readonly tag: 'commit'; readonly commitLsn: Lsn; readonly endLsn: Lsn }
  | { readonly tag: 'relation'; readonly relation: Relation }
  | {
      readonly tag: 'insert';
      readonly relationId: number;
      readonly new: Tuple;
      readonly raw: Buffer;
    }
  | {
      readonly tag: 'update';
      readonly relationId: number;
      /** The old key, or the whole old row under REPLICA IDENTITY FULL; absent when the key did not change. */
      readonly old: Tuple | undefined;
      readonly new: Tuple;
      readonly raw: Buffer;
    }
  | {
      readonly tag: 'delete';
      readonly relationId: number;
      readonly old: Tuple;
      readonly raw: Buffer;
    }
  | { readonly tag: 'truncate'; readonly relationIds: readonly number[]; readonly raw: Buffer }
  /** Origin, type and logical messages: nothing to apply. */
  | { readonly tag: 'other' };

const POSTGRES_EPOCH_MS = 946_684_800_000;
const IDENTITY = new Map([
  ['d', 'default'],
  ['n', 'nothing'],
  ['f', 'full'],
  ['i', 'index'],
] as const);

/** Decodes one message. Throws on bytes that are not protocol version 1: that is a bug or a broken wire. */
export function decodeMessage(raw: Buffer): Message {
  const tag = String.fromCharCode(raw[0] ?? 0);
  switch (tag) {
    case 'B':
      return {
        tag: 'begin',
        commitLsn: raw.readBigUInt64BE(1) as Lsn,
        commitTimeMs: Number(raw.readBigInt64BE(9) / 1000n) + POSTGRES_EPOCH_MS,
        xid: raw.readUInt32BE(17),
      };
    case 'C':
      return {
        tag: 'commit',
        commitLsn: raw.readBigUInt64BE(2) as Lsn,
        endLsn: raw.readBigUInt64BE(10) as Lsn,
      };
    case 'R':
      return { tag: 'relation', relation: decodeRelation(raw) };
    case 'I':
      return {
        tag: 'insert',
        relationId: raw.readUInt32BE(1),
        new: decodeTuple(raw, 6).tuple,
        raw,
      };
    case 'U':
      return decodeUpdate(raw);
    case 'D':
      return {
        tag: 'delete',
        relationId: raw.readUInt32BE(1),
        old: decodeTuple(raw, 6).tuple,
        raw,
      };
    case 'T':
      return decodeTruncate(raw);
    case 'O':
    case 'Y':
    case 'M':
      return { tag: 'other' };
    default:
      throw new Error(`pgoutput: unknown message ${JSON.stringify(tag)}`);
  }
}

function decodeUpdate(raw: Buffer): Message {
  const relationId = raw.readUInt32BE(1);
  const marker = raw[5];
  if (marker === 0x4e /* N */)
    return { tag: 'update', relationId, old: undefined, new: decodeTuple(raw, 6).tuple, raw };
  const old = decodeTuple(raw, 6);
  // One byte for the N between the two.
  return {
    tag: 'update',
    relationId,
    old: old.tuple,
    new: decodeTuple(raw, old.end + 1).tuple,
    raw,
  };
}

function decodeTruncate(raw: Buffer): Message {
  const count = raw.readUInt32BE(1);
  const relationIds = Array.from({ length: count }, (_, index) => raw.readUInt32BE(6 + 4 * index));
  return { tag: 'truncate', relationIds, raw };
}

function decodeRelation(raw: Buffer): Relation {
  let offset = 5;
  const readString = (): string => {
    const end = raw.indexOf(0, offset);
    const text = raw.toString('utf8', offset, end);
    offset = end + 1;
    return text;
  };
  const schema = readString() || 'pg_catalog';
  const name = readString();
  const identity = IDENTITY.get(String.fromCharCode(raw[offset] ?? 0) as 'd');
  if (identity === undefined) throw new Error('pgoutput: unknown replica identity');
  const count = raw.readUInt16BE(offset + 1);
  offset += 3;
  const columns = Array.from({ length: count }, (): RelationColumn => {
    const key = raw[offset] === 1;
    offset += 1;
    const column = { key, name: readString(), typeOid: raw.readUInt32BE(offset) };
    offset += 8;
    return column;
  });
  return { id: raw.readUInt32BE(1), schema, name, identity, columns, raw };
}

function decodeTuple(bytes: Buffer, start: number): { tuple: Tuple; end: number } {
  const count = bytes.readUInt16BE(start);
  const at: number[] = [];
  let offset = start + 2;
  for (let column = 0; column < count; column += 1) {
    const kind = bytes[offset];
    offset += 1;
    if (kind === 0x74 /* t */) {
      const length = bytes.readUInt32BE(offset);
      at.push(offset + 4, length);
      offset += 4 + length;
    } else if (kind === 0x6e /* n */) {
      at.push(offset, NULL_CELL);
    } else if (kind === 0x75 /* u */) {
      at.push(offset, UNCHANGED_CELL);
    } else {
      throw new Error(`pgoutput: unknown cell kind ${kind}`);
    }
  }
  if (offset > bytes.length) throw new Error('pgoutput: a value ends after its message');
  return { tuple: { bytes, at }, end: offset };
}

/** Length of a cell in bytes, or NULL_CELL, or UNCHANGED_CELL. */
export function cellLength(tuple: Tuple, column: number): number {
  const length = tuple.at[2 * column + 1];
  if (length === undefined) throw new Error(`pgoutput: the tuple has no column ${column}`);
  return length;
}

/** Where a cell begins in tuple.bytes. */
export function cellOffset(tuple: Tuple, column: number): number {
  const offset = tuple.at[2 * column];
  if (offset === undefined) throw new Error(`pgoutput: the tuple has no column ${column}`);
  return offset;
}
