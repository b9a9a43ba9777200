/** Cells to the bytes PostgreSQL reads: text[] parameters, COPY text rows, spool rows. Never via a string. */
import { cellLength, cellOffset, NULL_CELL, UNCHANGED_CELL, type Tuple } from './decode.ts';

const TEXT_OID = 25;
const ARRAY_HEADER_BYTES = 20;

/**
 * One column of many tuples as a text[] in binary form: dimensions, has-nulls flag, element type,
 * length, lower bound, then each element with its length (src/backend/utils/adt/arrayfuncs.c, array_recv).
 */
export function textArray(tuples: readonly Tuple[], column: number): Buffer {
  let size = ARRAY_HEADER_BYTES;
  for (const tuple of tuples) size += 4 + Math.max(0, sent(tuple, column));
  const array = Buffer.allocUnsafe(size);
  array.writeInt32BE(1, 0);
  array.writeInt32BE(1, 4);
  array.writeInt32BE(TEXT_OID, 8);
  array.writeInt32BE(tuples.length, 12);
  array.writeInt32BE(1, 16);
  let at = ARRAY_HEADER_BYTES;
  for (const tuple of tuples) {
    const length = sent(tuple, column);
    array.writeInt32BE(length, at);
    at += 4;
    if (length > 0)
      at += tuple.bytes.copy(
        array,
        at,
        cellOffset(tuple, column),
        cellOffset(tuple, column) + length,
      );
  }
  return array;
}

/** One cell as a text parameter in binary form; null for NULL. */
export function textValue(tuple: Tuple, column: number): Buffer | null {
  const length = sent(tuple, column);
  if (length === NULL_CELL) return null;
  return tuple.bytes.subarray(cellOffset(tuple, column), cellOffset(tuple, column) + length);
}

/** The cell's length, NULL_CELL for NULL. An unchanged TOAST value must never get here. */
function sent(tuple: Tuple, column: number): number {
  const length = cellLength(tuple, column);
  if (length === UNCHANGED_CELL) throw new Error('an unchanged TOAST value cannot be written');
  return length;
}

const BACKSLASH = 0x5c;
const TAB = 0x09;
const NEWLINE = 0x0a;
/** For each byte the one that follows its backslash in COPY's text format, or 0: it means itself. */
const ESCAPES = new Uint8Array(256);
ESCAPES[BACKSLASH] = BACKSLASH;
ESCAPES[TAB] = 0x74;
ESCAPES[NEWLINE] = 0x6e;
ESCAPES[0x0d] = 0x72;

/** Rows for COPY … FROM STDIN, text format; `columns` are positions in the tuples. */
export function copyRows(tuples: readonly Tuple[], columns: readonly number[]): Buffer {
  let size = 0;
  // Worst case: each byte escaped, \N for NULL, a separator.
  for (const tuple of tuples) {
    for (const column of columns) size += 2 * Math.max(1, sent(tuple, column)) + 1;
  }
  const rows = Buffer.allocUnsafe(size);
  let at = 0;
  for (const tuple of tuples) {
    for (let index = 0; index < columns.length; index += 1) {
      if (index > 0) rows[at++] = TAB;
      at = writeCell(rows, at, tuple, columns[index] ?? 0);
    }
    rows[at++] = NEWLINE;
  }
  return rows.subarray(0, at);
}

function writeCell(rows: Buffer, start: number, tuple: Tuple, column: number): number {
  let at = start;
  const length = cellLength(tuple, column);
  if (length === NULL_CELL) {
    rows[at++] = BACKSLASH;
    rows[at++] = 0x4e;
    return at;
  }
  const from = cellOffset(tuple, column);
  const { bytes } = tuple;
  for (let index = from; index < from + length; index += 1) {
    const byte = bytes[index] ?? 0;
    const escape = ESCAPES[byte] ?? 0;
    if (escape !== 0) rows[at++] = BACKSLASH;
    rows[at++] = escape === 0 ? byte : escape;
  }
  return at;
}
