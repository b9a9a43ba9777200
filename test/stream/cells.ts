/** Reads tuples back in plain words. */
import {
  cellLength,
  cellOffset,
  NULL_CELL,
  type Tuple,
  UNCHANGED_CELL,
} from '../../src/stream/decode.ts';
import { UNCHANGED } from './pgoutput.ts';

export type Value = string | null | typeof UNCHANGED;

/** The cells as texts, with markers. */
export function cells(tuple: Tuple): Value[] {
  return Array.from({ length: tuple.at.length / 2 }, (_, column) => {
    const length = cellLength(tuple, column);
    if (length === NULL_CELL) return null;
    if (length === UNCHANGED_CELL) return UNCHANGED;
    const offset = cellOffset(tuple, column);
    return tuple.bytes.toString('utf8', offset, offset + length);
  });
}
