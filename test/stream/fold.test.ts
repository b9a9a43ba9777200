import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellLength, cellOffset, type Tuple } from '../../src/stream/decode.ts';
import { foldChanges, type NetEffect, type RowChange } from '../../src/stream/fold.ts';
import { cells, type Value } from './cells.ts';
import { type Cell, changesOf, insert, relation, remove, UNCHANGED, update } from './pgoutput.ts';

/** A table with a key of two columns and two values. */
const COLUMNS = ['a*', 'b*', 'v', 'w'];
const KEY = [0, 1];

function ins(a: Cell, b: Cell, v: Cell, w: Cell = 'w'): Buffer {
  return insert(1, [a, b, v, w]);
}
function upd(a: Cell, b: Cell, v: Cell, w: Cell = 'w'): Buffer {
  return update(1, [a, b, v, w]);
}
/** An update that moves the key. */
function move(from: readonly [Cell, Cell], a: Cell, b: Cell, v: Cell): Buffer {
  return update(1, [a, b, v, 'w'], { kind: 'K', cells: [...from, null, null] });
}
function del(a: Cell, b: Cell): Buffer {
  return remove(1, [a, b, null, null]);
}

function rowChanges(messages: readonly Buffer[], columns = COLUMNS): RowChange[] {
  const described = relation({ id: 1, columns });
  return changesOf([described, ...messages]).filter((change) => change.tag !== 'truncate');
}

function fold(messages: readonly Buffer[], key: readonly number[] = KEY): NetEffect | undefined {
  const changes = rowChanges(messages);
  const [first] = changes;
  assert.ok(first);
  return foldChanges(changes, first.relation, key);
}

interface Folded {
  readonly deletes: readonly (readonly Value[])[];
  readonly updates: readonly {
    readonly columns: readonly number[];
    readonly rows: readonly (readonly Value[])[];
  }[];
  readonly inserts: readonly (readonly Value[])[];
}

function readable(net: NetEffect): Folded {
  return {
    // Only the key of a row to delete means something.
    deletes: net.deletes.map((tuple) => cells(tuple).slice(0, 2)),
    updates: net.updates.map(({ columns, tuples }) => ({ columns, rows: tuples.map(cells) })),
    inserts: net.inserts.map(cells),
  };
}

const ALL = [0, 1, 2, 3];

interface FoldCase {
  readonly name: string;
  readonly messages: readonly Buffer[];
  /** Undefined: source order. */
  readonly net: Partial<Folded> | undefined;
}

const CASES: readonly FoldCase[] = [
  { name: 'one insert', messages: [ins('1', 'x', 'a')], net: { inserts: [['1', 'x', 'a', 'w']] } },
  {
    name: 'one update',
    messages: [upd('1', 'x', 'a')],
    net: { updates: [{ columns: ALL, rows: [['1', 'x', 'a', 'w']] }] },
  },
  { name: 'one delete', messages: [del('1', 'x')], net: { deletes: [['1', 'x']] } },
  {
    name: 'insert, update',
    messages: [ins('1', 'x', 'a'), upd('1', 'x', 'b')],
    net: { inserts: [['1', 'x', 'b', 'w']] },
  },
  { name: 'insert, delete', messages: [ins('1', 'x', 'a'), del('1', 'x')], net: {} },
  {
    name: 'insert, delete, insert',
    messages: [ins('1', 'x', 'a'), del('1', 'x'), ins('1', 'x', 'b')],
    net: { inserts: [['1', 'x', 'b', 'w']] },
  },
  {
    name: 'insert, update, delete',
    messages: [ins('1', 'x', 'a'), upd('1', 'x', 'b'), del('1', 'x')],
    net: {},
  },
  {
    name: 'delete, insert: the row is replaced',
    messages: [del('1', 'x'), ins('1', 'x', 'b')],
    net: { deletes: [['1', 'x']], inserts: [['1', 'x', 'b', 'w']] },
  },
  {
    name: 'delete, insert, update',
    messages: [del('1', 'x'), ins('1', 'x', 'b'), upd('1', 'x', 'c')],
    net: { deletes: [['1', 'x']], inserts: [['1', 'x', 'c', 'w']] },
  },
  {
    name: 'delete, insert, delete',
    messages: [del('1', 'x'), ins('1', 'x', 'b'), del('1', 'x')],
    net: { deletes: [['1', 'x']] },
  },
  {
    name: 'delete, insert, delete, insert',
    messages: [del('1', 'x'), ins('1', 'x', 'b'), del('1', 'x'), ins('1', 'x', 'c')],
    net: { deletes: [['1', 'x']], inserts: [['1', 'x', 'c', 'w']] },
  },
  {
    name: 'update, delete',
    messages: [upd('1', 'x', 'a'), del('1', 'x')],
    net: { deletes: [['1', 'x']] },
  },
  {
    name: 'update, delete, insert',
    messages: [upd('1', 'x', 'a'), del('1', 'x'), ins('1', 'x', 'b')],
    net: { deletes: [['1', 'x']], inserts: [['1', 'x', 'b', 'w']] },
  },
  {
    name: 'two updates: the last wins',
    messages: [upd('1', 'x', 'a'), upd('1', 'x', 'b')],
    net: { updates: [{ columns: ALL, rows: [['1', 'x', 'b', 'w']] }] },
  },
  {
    name: 'an update that did not send a value, after one that did',
    messages: [upd('1', 'x', 'long'), upd('1', 'x', UNCHANGED, 'new')],
    net: { updates: [{ columns: ALL, rows: [['1', 'x', 'long', 'new']] }] },
  },
  {
    name: 'an update that sent a value, after one that did not',
    messages: [upd('1', 'x', UNCHANGED), upd('1', 'x', 'long', 'new')],
    net: { updates: [{ columns: ALL, rows: [['1', 'x', 'long', 'new']] }] },
  },
  {
    name: 'each of three updates leaves another value out',
    messages: [
      upd('1', 'x', UNCHANGED, '1'),
      upd('1', 'x', 'v', UNCHANGED),
      upd('1', 'x', UNCHANGED, UNCHANGED),
    ],
    net: { updates: [{ columns: ALL, rows: [['1', 'x', 'v', '1']] }] },
  },
  {
    name: 'a value nobody sent is not written',
    messages: [upd('1', 'x', UNCHANGED, 'a'), upd('1', 'x', UNCHANGED, 'b')],
    net: { updates: [{ columns: [0, 1, 3], rows: [['1', 'x', UNCHANGED, 'b']] }] },
  },
  {
    name: 'NULL and the empty text are values that were sent',
    messages: [upd('1', 'x', null, ''), upd('1', 'x', UNCHANGED, UNCHANGED)],
    net: { updates: [{ columns: ALL, rows: [['1', 'x', null, '']] }] },
  },
  {
    name: 'an inserted row keeps what its update did not send',
    messages: [ins('1', 'x', 'long', 'a'), upd('1', 'x', UNCHANGED, 'b')],
    net: { inserts: [['1', 'x', 'long', 'b']] },
  },
  {
    name: 'so does a replaced one',
    messages: [del('1', 'x'), ins('1', 'x', 'long', 'a'), upd('1', 'x', UNCHANGED, 'b')],
    net: { deletes: [['1', 'x']], inserts: [['1', 'x', 'long', 'b']] },
  },
  {
    name: 'updates are grouped by what was sent',
    messages: [
      upd('1', 'x', 'a'),
      upd('2', 'x', UNCHANGED),
      upd('3', 'x', 'c'),
      upd('4', 'x', UNCHANGED),
      upd('5', 'x', 'e', UNCHANGED),
    ],
    net: {
      updates: [
        {
          columns: ALL,
          rows: [
            ['1', 'x', 'a', 'w'],
            ['3', 'x', 'c', 'w'],
          ],
        },
        {
          columns: [0, 1, 3],
          rows: [
            ['2', 'x', UNCHANGED, 'w'],
            ['4', 'x', UNCHANGED, 'w'],
          ],
        },
        { columns: [0, 1, 2], rows: [['5', 'x', 'e', UNCHANGED]] },
      ],
    },
  },
  {
    name: 'keys that look alike when glued together are kept apart',
    messages: [
      ins('a', 'bc', '1'),
      ins('ab', 'c', '2'),
      ins('', 'abc', '3'),
      ins('abc', '', '4'),
      ins('1;a', 'b', '5'),
      ins('1', ';ab', '6'),
    ],
    net: {
      inserts: [
        ['a', 'bc', '1', 'w'],
        ['ab', 'c', '2', 'w'],
        ['', 'abc', '3', 'w'],
        ['abc', '', '4', 'w'],
        ['1;a', 'b', '5', 'w'],
        ['1', ';ab', '6', 'w'],
      ],
    },
  },
  {
    name: 'NULL in a key is neither the empty text nor a text that looks like our mark',
    messages: [ins(null, 'x', '1'), ins('', 'x', '2'), ins('-;', 'x', '3'), ins('-', ';x', '4')],
    net: {
      inserts: [
        [null, 'x', '1', 'w'],
        ['', 'x', '2', 'w'],
        ['-;', 'x', '3', 'w'],
        ['-', ';x', '4', 'w'],
      ],
    },
  },
  {
    name: 'keys that differ in one byte of no UTF-8',
    messages: [ins(Buffer.from([0xff]), 'x', '1'), ins(Buffer.from([0xfe]), 'x', '2')],
    net: {
      inserts: [
        ['\uFFFD', 'x', '1', 'w'],
        ['\uFFFD', 'x', '2', 'w'],
      ],
    },
  },
  {
    name: 'an update that sends its old key though it is the same',
    messages: [ins('1', 'x', 'a'), move(['1', 'x'], '1', 'x', 'b')],
    net: { inserts: [['1', 'x', 'b', 'w']] },
  },
  { name: 'a key that changes', messages: [move(['1', 'x'], '2', 'x', 'a')], net: undefined },
  {
    name: 'a key that changes among others',
    messages: [ins('9', 'x', 'a'), move(['1', 'x'], '1', 'y', 'a')],
    net: undefined,
  },
  {
    name: 'a row inserted twice',
    messages: [ins('1', 'x', 'a'), ins('1', 'x', 'b')],
    net: undefined,
  },
  {
    name: 'a row inserted after its update',
    messages: [upd('1', 'x', 'a'), ins('1', 'x', 'b')],
    net: undefined,
  },
  { name: 'a row deleted twice', messages: [del('1', 'x'), del('1', 'x')], net: undefined },
  { name: 'a deleted row updated', messages: [del('1', 'x'), upd('1', 'x', 'a')], net: undefined },
  {
    name: 'a replaced row inserted again',
    messages: [del('1', 'x'), ins('1', 'x', 'a'), ins('1', 'x', 'b')],
    net: undefined,
  },
  { name: 'a key that was not sent', messages: [upd('1', UNCHANGED, 'a')], net: undefined },
];

for (const { name, messages, net } of CASES)
  test(`${name}: ${net === undefined ? 'source order' : 'folded'}`, () => {
    const folded = fold(messages);
    if (net === undefined) assert.equal(folded, undefined);
    else {
      assert.ok(folded);
      assert.deepEqual(readable(folded), { deletes: [], updates: [], inserts: [], ...net });
    }
  });

test('without a key only inserts are folded, equal ones too', () => {
  const twice = fold([ins('1', 'x', 'a'), ins('1', 'x', 'a')], []);
  assert.ok(twice);
  assert.equal(twice.inserts.length, 2);
  assert.equal(fold([ins('1', 'x', 'a'), upd('1', 'x', 'b')], []), undefined);
  assert.equal(fold([del('1', 'x')], []), undefined);
});

test('a hot row costs what its values cost, however often it changed', () => {
  const wide = 'v'.repeat(10_000);
  const updates = Array.from({ length: 2_000 }, (_, count) =>
    upd('1', 'x', UNCHANGED, String(count)),
  );
  const folded = fold([upd('1', 'x', wide), ...updates]);
  const tuple = folded?.updates[0]?.tuples[0];
  assert.ok(tuple);
  assert.deepEqual(cells(tuple), ['1', 'x', wide, '1999']);
  assert.ok(tuple.bytes.length < 2 * wide.length, `${tuple.bytes.length} bytes`);
});

/** Numbers that look random and are the same at each run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

type Rows = Map<string, Value[]>;

function keyOf(tuple: Tuple): string {
  return JSON.stringify(cells(tuple).slice(0, 2));
}

function overwrite(rows: Rows, tuple: Tuple): void {
  const before = rows.get(keyOf(tuple));
  assert.ok(before, 'a row to update is there');
  rows.set(
    keyOf(tuple),
    cells(tuple).map((value, column) => (value === UNCHANGED ? (before[column] ?? null) : value)),
  );
}

function applyInOrder(rows: Rows, changes: readonly RowChange[]): void {
  for (const change of changes) {
    if (change.tag === 'insert') rows.set(keyOf(change.new), cells(change.new));
    else if (change.tag === 'update') overwrite(rows, change.new);
    else assert.ok(rows.delete(keyOf(change.old)));
  }
}

function applyNet(rows: Rows, net: NetEffect): void {
  for (const tuple of net.deletes) assert.ok(rows.delete(keyOf(tuple)), 'a row to delete is there');
  for (const { columns, tuples } of net.updates) {
    for (const tuple of tuples) {
      for (const column of [0, 1, 2, 3])
        assert.equal(cells(tuple)[column] !== UNCHANGED, columns.includes(column));
      overwrite(rows, tuple);
    }
  }
  for (const tuple of net.inserts) {
    assert.ok(!rows.has(keyOf(tuple)), 'a row to insert is not there');
    rows.set(keyOf(tuple), cells(tuple));
  }
}

/** What a source that starts with `rows` could do, with few enough keys that they meet often. */
function randomMessages(random: (below: number) => number, rows: ReadonlySet<string>): Buffer[] {
  const live = new Set(rows);
  const value = (): Cell =>
    [null, '', String(random(1000)), 'x'.repeat(random(20))][random(4)] ?? null;
  return Array.from({ length: 1 + random(40) }, () => {
    const [a, b] = [String(random(3)), 'x'.repeat(random(2))];
    const id = JSON.stringify([a, b]);
    if (!live.has(id)) {
      live.add(id);
      return ins(a, b, value(), value());
    }
    if (random(3) === 0) {
      live.delete(id);
      return del(a, b);
    }
    const changed = (): Cell => (random(3) === 0 ? UNCHANGED : value());
    return upd(a, b, changed(), changed());
  });
}

test('the net effect of any history is that of its changes one by one', () => {
  let merged = 0;
  for (let seed = 1; seed <= 2_000; seed += 1) {
    const random = randomNumbers(seed);
    const start: Rows = new Map();
    for (const a of ['0', '1', '2'])
      if (random(2) === 0) start.set(JSON.stringify([a, '']), [a, '', `v${a}`, null]);
    const changes = rowChanges(randomMessages(random, new Set(start.keys())));
    const expected: Rows = new Map(start);
    applyInOrder(expected, changes);
    const [first] = changes;
    assert.ok(first);
    const net = foldChanges(changes, first.relation, KEY);
    assert.ok(net, `seed ${seed} is folded`);
    const actual: Rows = new Map(start);
    applyNet(actual, net);
    assert.deepEqual(actual, expected, `seed ${seed}`);
    merged += changes.length - net.deletes.length - net.inserts.length;
  }
  assert.ok(merged > 1_000, 'changes met');
});

test('a folded tuple points into its bytes', () => {
  const folded = fold([upd('1', 'x', 'first', 'a'), upd('1', 'x', UNCHANGED, 'b')]);
  const tuple = folded?.updates[0]?.tuples[0];
  assert.ok(tuple);
  for (let column = 0; column < COLUMNS.length; column += 1)
    assert.ok(cellOffset(tuple, column) + cellLength(tuple, column) <= tuple.bytes.length);
});
