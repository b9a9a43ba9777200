/** Messages of pgoutput, protocol version 1, byte by byte as the documentation has them. */
import { type Change, Assembler } from '../../src/stream/assemble.ts';
import { decodeMessage, type Relation } from '../../src/stream/decode.ts';

/** A TOASTed value that did not change and is not sent. */
export const UNCHANGED = Symbol('unchanged');

export type Cell = string | Buffer | null | typeof UNCHANGED;

export interface RelationSketch {
  readonly id?: number;
  readonly schema?: string;
  readonly name?: string;
  readonly identity?: 'd' | 'n' | 'f' | 'i';
  /** A name ending in `*` is part of the replica identity. */
  readonly columns: readonly string[];
}

export function begin(xid: number, commitLsn: bigint, commitTimeMs = 946_684_800_000): Buffer {
  const microseconds = (BigInt(commitTimeMs) - 946_684_800_000n) * 1000n;
  return Buffer.concat([tag('B'), int64(commitLsn), int64(microseconds), int32(xid)]);
}

export function commit(commitLsn: bigint, endLsn: bigint): Buffer {
  return Buffer.concat([tag('C'), int8(0), int64(commitLsn), int64(endLsn), int64(0n)]);
}

export function relation({
  id = 1,
  schema = 'public',
  name = 't',
  identity = 'd',
  columns,
}: RelationSketch): Buffer {
  return Buffer.concat([
    tag('R'),
    int32(id),
    text(schema),
    text(name),
    tag(identity),
    int16(columns.length),
    ...columns.flatMap((column) => [
      int8(column.endsWith('*') ? 1 : 0),
      text(column.replace(/\*$/, '')),
      int32(25),
      int32(0xffff_ffff),
    ]),
  ]);
}

export function insert(id: number, cells: readonly Cell[]): Buffer {
  return Buffer.concat([tag('I'), int32(id), tag('N'), tuple(cells)]);
}

/** `old`: the key (`K`) or the whole row (`O`) as it was; none when the key did not change. */
export function update(
  id: number,
  cells: readonly Cell[],
  old?: { readonly kind: 'K' | 'O'; readonly cells: readonly Cell[] },
): Buffer {
  const before = old === undefined ? [] : [tag(old.kind), tuple(old.cells)];
  return Buffer.concat([tag('U'), int32(id), ...before, tag('N'), tuple(cells)]);
}

export function remove(id: number, cells: readonly Cell[], kind: 'K' | 'O' = 'K'): Buffer {
  return Buffer.concat([tag('D'), int32(id), tag(kind), tuple(cells)]);
}

export function truncate(ids: readonly number[], options = 0): Buffer {
  return Buffer.concat([tag('T'), int32(ids.length), int8(options), ...ids.map(int32)]);
}

/** A description, decoded. */
export function describe(sketch: RelationSketch): Relation {
  const message = decodeMessage(relation(sketch));
  if (message.tag !== 'relation') throw new Error('not a description');
  return message.relation;
}

/** The changes of one transaction that says these messages, descriptions among them. */
export function changesOf(messages: readonly Buffer[]): readonly Change[] {
  const assembler = new Assembler();
  const parts = [begin(1, 1n), ...messages, commit(1n, 2n)].map((message) =>
    assembler.accept(decodeMessage(message)),
  );
  return parts.flatMap((part) => part?.changes ?? []);
}

function tuple(cells: readonly Cell[]): Buffer {
  return Buffer.concat([int16(cells.length), ...cells.map(cellBytes)]);
}

function cellBytes(cell: Cell): Buffer {
  if (cell === null) return tag('n');
  if (cell === UNCHANGED) return tag('u');
  const bytes = Buffer.from(cell as string);
  return Buffer.concat([tag('t'), int32(bytes.length), bytes]);
}

function tag(letter: string): Buffer {
  return Buffer.from(letter, 'latin1');
}

function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

function int8(value: number): Buffer {
  return Buffer.from([value]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(BigInt.asIntN(64, value));
  return bytes;
}
