/**
 * Folds the changes of one table to their net effect by key, so that they can be applied set-wise.
 * Pure. Where folding would not be exact it says so, and the changes are applied in source order.
 */
import type { Change } from './assemble.ts';
import {
  cellLength,
  cellOffset,
  NULL_CELL,
  UNCHANGED_CELL,
  type Relation,
  type Tuple,
} from './decode.ts';

/** Changes of one table under one description of it. */
export type RowChange = Exclude<Change, { tag: 'truncate' }>;

export interface NetEffect {
  /** Rows to go, by key. Applied first. */
  readonly deletes: readonly Tuple[];
  /** Rows to change, grouped by which columns were sent. */
  readonly updates: readonly UpdateGroup[];
  /** Rows to come. Applied last. */
  readonly inserts: readonly Tuple[];
}

/** Updates that write the same columns. The tuples carry the key too: it did not change. */
export interface UpdateGroup {
  /** Positions in the relation of the columns that were sent. */
  readonly columns: readonly number[];
  readonly tuples: readonly Tuple[];
}

type Net =
  | { readonly op: 'insert' | 'update' | 'replace'; readonly tuple: Tuple }
  | { readonly op: 'delete'; readonly tuple: Tuple };

/**
 * The net effect, or undefined when only source order is right: no key, a key that changed, or a
 * sequence that makes no sense for the key (then the destination's own checks must see it).
 */
export function foldChanges(
  changes: readonly RowChange[],
  relation: Relation,
  key: readonly number[],
): NetEffect | undefined {
  if (key.length === 0) return onlyInserts(changes);
  const net = new Map<string, Net>();
  for (const change of changes) {
    if (!foldOne(net, change, key)) return undefined;
  }
  return collect(net, relation);
}

function onlyInserts(changes: readonly RowChange[]): NetEffect | undefined {
  const inserts: Tuple[] = [];
  for (const change of changes) {
    if (change.tag !== 'insert') return undefined;
    inserts.push(change.new);
  }
  return { deletes: [], updates: [], inserts };
}

/** False when the change cannot be folded. */
function foldOne(net: Map<string, Net>, change: RowChange, key: readonly number[]): boolean {
  switch (change.tag) {
    case 'insert':
      return foldInsert(net, change.new, key);
    case 'update':
      return foldUpdate(net, change, key);
    case 'delete':
      return foldDelete(net, change.old, key);
  }
}

function foldInsert(net: Map<string, Net>, tuple: Tuple, key: readonly number[]): boolean {
  const id = keyText(tuple, key);
  if (id === undefined) return false;
  const before = net.get(id);
  if (before === undefined) net.set(id, { op: 'insert', tuple });
  else if (before.op === 'delete') net.set(id, { op: 'replace', tuple });
  else return false;
  return true;
}

function foldUpdate(
  net: Map<string, Net>,
  change: Extract<RowChange, { tag: 'update' }>,
  key: readonly number[],
): boolean {
  const id = keyText(change.new, key);
  if (id === undefined) return false;
  if (change.old !== undefined && keyText(change.old, key) !== id) return false;
  const before = net.get(id);
  if (before === undefined) net.set(id, { op: 'update', tuple: change.new });
  else if (before.op === 'delete') return false;
  else net.set(id, { op: before.op, tuple: mergeTuples(before.tuple, change.new) });
  return true;
}

function foldDelete(net: Map<string, Net>, old: Tuple, key: readonly number[]): boolean {
  const id = keyText(old, key);
  if (id === undefined) return false;
  const before = net.get(id);
  if (before?.op === 'delete') return false;
  if (before?.op === 'insert') net.delete(id);
  else net.set(id, { op: 'delete', tuple: old });
  return true;
}

function collect(net: ReadonlyMap<string, Net>, relation: Relation): NetEffect {
  const deletes: Tuple[] = [];
  const inserts: Tuple[] = [];
  const groups = new Map<string, { columns: number[]; tuples: Tuple[] }>();
  for (const { op, tuple } of net.values()) {
    if (op === 'delete' || op === 'replace') deletes.push(tuple);
    if (op === 'insert' || op === 'replace') inserts.push(tuple);
    if (op === 'update') addToGroup(groups, tuple, relation.columns.length);
  }
  return { deletes, updates: [...groups.values()], inserts };
}

function addToGroup(
  groups: Map<string, { columns: number[]; tuples: Tuple[] }>,
  tuple: Tuple,
  columnCount: number,
): void {
  const columns = sentColumns(tuple, columnCount);
  const id = columns.length === columnCount ? '' : columns.join();
  const group = groups.get(id);
  if (group) group.tuples.push(tuple);
  else groups.set(id, { columns, tuples: [tuple] });
}

/** Positions of the cells that were sent, that is all but unchanged TOAST. */
export function sentColumns(tuple: Tuple, columnCount: number): number[] {
  const columns: number[] = [];
  for (let column = 0; column < columnCount; column += 1) {
    if (cellLength(tuple, column) !== UNCHANGED_CELL) columns.push(column);
  }
  return columns;
}

/** The bytes of these cells as a map key; undefined when a part of it was not sent. */
export function keyText(tuple: Tuple, key: readonly number[]): string | undefined {
  let text = '';
  for (const column of key) {
    const length = cellLength(tuple, column);
    if (length === UNCHANGED_CELL) return undefined;
    if (length === NULL_CELL) {
      text += '-;';
      continue;
    }
    const offset = cellOffset(tuple, column);
    // The length keeps ('a', 'bc') and ('ab', 'c') apart.
    text += `${length};${tuple.bytes.toString('latin1', offset, offset + length)}`;
  }
  return text;
}

/**
 * The newer tuple, with what it did not send taken from the older one. Only those values are carried
 * on: a row that changes again and again must not drag all its versions along.
 */
export function mergeTuples(older: Tuple, newer: Tuple): Tuple {
  if (!newer.at.includes(UNCHANGED_CELL)) return newer;
  const at = [...newer.at];
  const pieces = [newer.bytes];
  let end = newer.bytes.length;
  for (let column = 0; 2 * column < at.length; column += 1) {
    if (cellLength(newer, column) !== UNCHANGED_CELL) continue;
    const length = cellLength(older, column);
    at[2 * column] = end;
    at[2 * column + 1] = length;
    if (length <= 0) continue;
    const offset = cellOffset(older, column);
    pieces.push(older.bytes.subarray(offset, offset + length));
    end += length;
  }
  return { bytes: Buffer.concat(pieces), at };
}
