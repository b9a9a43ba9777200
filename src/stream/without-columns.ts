/**
 * A change without the values of some of its columns, for the spool: what is left out of a table is kept
 * nowhere at the destination. Pure; the message stays one that decode.ts reads.
 */
import type { Change } from './assemble.ts';
import { cellLength, cellOffset, type Relation } from './decode.ts';

const NULL_MARK = Buffer.from('n');
const UNCHANGED_MARK = Buffer.from('u');
/** Before a value: its kind and length. */
const VALUE_HEADER_BYTES = 5;

/** Where those columns are in the relation's rows, from left to right. */
export function positionsOf({ columns }: Relation, names: readonly string[]): ReadonlySet<number> {
  return new Set(columns.flatMap(({ name }, position) => (names.includes(name) ? [position] : [])));
}

/**
 * The message: a row that comes or goes has NULL there, and one that changes says that they did not, so that
 * whoever replays it under another file still writes over nothing.
 */
export function withoutColumns(change: Change, positions: ReadonlySet<number>): Buffer {
  if (change.tag === 'truncate' || positions.size === 0) return change.raw;
  const marked = [
    ...(change.tag === 'insert' || change.old === undefined
      ? []
      : [{ tuple: change.old, mark: NULL_MARK }]),
    ...(change.tag === 'delete'
      ? []
      : [{ tuple: change.new, mark: change.tag === 'insert' ? NULL_MARK : UNCHANGED_MARK }]),
  ];
  const pieces: Buffer[] = [];
  let copied = 0;
  for (const { tuple, mark } of marked) {
    for (const position of positions) {
      const length = cellLength(tuple, position);
      // A marker already.
      if (length < 0) continue;
      const offset = cellOffset(tuple, position);
      pieces.push(change.raw.subarray(copied, offset - VALUE_HEADER_BYTES), mark);
      copied = offset + length;
    }
  }
  return pieces.length === 0 ? change.raw : Buffer.concat([...pieces, change.raw.subarray(copied)]);
}
