import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Assembler, MAX_PART_BYTES, type TransactionPart } from '../../src/stream/assemble.ts';
import { decodeMessage } from '../../src/stream/decode.ts';
import { cells } from './cells.ts';
import { begin, commit, insert, relation, remove, truncate, update } from './pgoutput.ts';

function partsOf(assembler: Assembler, messages: readonly Buffer[]): TransactionPart[] {
  return messages.flatMap((message) => assembler.accept(decodeMessage(message)) ?? []);
}

const T = relation({ id: 1, name: 't', columns: ['id*', 'v'] });
const U = relation({ id: 2, name: 'u', columns: ['id*'] });

test('a small transaction comes whole, when it is committed', () => {
  const assembler = new Assembler();
  const messages = [
    T,
    begin(7, 100n, 1_000_000_000_000),
    insert(1, ['1', 'a']),
    remove(1, ['1', null]),
  ];
  assert.deepEqual(partsOf(assembler, messages), []);
  assert.equal(assembler.inTransaction, true);
  const [part, ...more] = partsOf(assembler, [commit(100n, 140n)]);
  assert.equal(assembler.inTransaction, false);
  assert.equal(more.length, 0);
  assert.ok(part);
  const { xid, commitLsn, endLsn, commitTimeMs, first, final } = part;
  assert.deepEqual(
    { xid, commitLsn, endLsn, commitTimeMs, first, final },
    {
      xid: 7,
      commitLsn: 100n,
      endLsn: 140n,
      commitTimeMs: 1_000_000_000_000,
      first: true,
      final: true,
    },
  );
  assert.deepEqual(
    part.changes.map(({ tag }) => tag),
    ['insert', 'delete'],
  );
  const sent = insert(1, ['1', 'a']).length + remove(1, ['1', null]).length;
  assert.ok(part.bytes > sent, 'what a change costs in memory is counted too');
});

test('an empty transaction is a part: its position counts', () => {
  const [part] = partsOf(new Assembler(), [begin(7, 100n), commit(100n, 140n)]);
  assert.deepEqual(part?.changes, []);
  assert.equal(part?.endLsn, 140n);
  assert.equal(part?.bytes, 0);
});

test('a large transaction comes in parts with one commit position; only the last has its end', () => {
  const assembler = new Assembler();
  const value = 'x'.repeat(64 * 1024);
  const rows = Math.ceil((3.5 * MAX_PART_BYTES) / value.length);
  const inserts = Array.from({ length: rows }, (_, row) => insert(1, [String(row), value]));
  const parts = partsOf(assembler, [T, begin(7, 100n), ...inserts, commit(100n, 140n)]);
  assert.equal(parts.length, 4);
  assert.deepEqual(
    parts.map(({ first }) => first),
    [true, false, false, false],
  );
  assert.deepEqual(
    parts.map(({ final, endLsn }) => [final, endLsn]),
    [...Array.from({ length: 3 }, () => [false, undefined]), [true, 140n]],
  );
  for (const { xid, commitLsn, bytes } of parts) {
    assert.deepEqual([xid, commitLsn], [7, 100n]);
    assert.ok(bytes < MAX_PART_BYTES + 2 * value.length);
  }
  const ids = parts.flatMap(({ changes }) =>
    changes.map((change) => (change.tag === 'insert' ? cells(change.new)[0] : undefined)),
  );
  assert.deepEqual(
    ids,
    Array.from({ length: rows }, (_, row) => String(row)),
  );
});

test('many narrow rows make parts too: each costs memory besides its bytes', () => {
  const narrow = insert(1, ['1', null]);
  const rows = Math.ceil((2 * MAX_PART_BYTES) / 512);
  const messages = [
    T,
    begin(7, 100n),
    ...Array.from({ length: rows }, () => narrow),
    commit(100n, 140n),
  ];
  const parts = partsOf(new Assembler(), messages);
  assert.ok(parts.length > 2, `${parts.length} parts`);
  assert.equal(
    parts.reduce((sum, { changes }) => sum + changes.length, 0),
    rows,
  );
});

test('a part that is full with the last change leaves an empty last part', () => {
  const huge = insert(1, ['1', 'x'.repeat(MAX_PART_BYTES)]);
  const parts = partsOf(new Assembler(), [T, begin(7, 100n), huge, commit(100n, 140n)]);
  assert.deepEqual(
    parts.map(({ changes, first, final }) => [changes.length, first, final]),
    [
      [1, true, false],
      [0, false, true],
    ],
  );
});

test('a table described anew in the middle of a transaction: each change keeps its own description', () => {
  const altered = relation({ id: 1, name: 't', columns: ['v', 'id*', 'w'] });
  const messages = [
    begin(7, 1n),
    T,
    insert(1, ['1', 'a']),
    altered,
    insert(1, ['b', '2', 'c']),
    commit(1n, 2n),
  ];
  const [part] = partsOf(new Assembler(), messages);
  const columns = part?.changes.map((change) =>
    change.tag === 'truncate' ? [] : change.relation.columns.map(({ name }) => name),
  );
  assert.deepEqual(columns, [
    ['id', 'v'],
    ['v', 'id', 'w'],
  ]);
});

test('a description holds for later transactions, and is the same object', () => {
  const assembler = new Assembler();
  const one = (xid: number): Buffer[] => [
    begin(xid, BigInt(xid)),
    update(1, ['1', 'a']),
    commit(BigInt(xid), BigInt(xid)),
  ];
  const parts = partsOf(assembler, [T, ...one(1), ...one(2)]);
  const [first, second] = parts.flatMap(({ changes }) => changes);
  assert.ok(first?.tag === 'update' && second?.tag === 'update');
  assert.equal(first.relation, second.relation);
});

test('a truncate names all its tables', () => {
  const [part] = partsOf(new Assembler(), [T, U, begin(7, 1n), truncate([2, 1]), commit(1n, 2n)]);
  const [change] = part?.changes ?? [];
  assert.ok(change?.tag === 'truncate');
  assert.deepEqual(
    change.relations.map(({ name }) => name),
    ['u', 't'],
  );
});

test('messages that change nothing are passed over', () => {
  const messages = [begin(7, 1n), Buffer.from('M\0\0\0'), Buffer.from('Y\0\0'), commit(1n, 2n)];
  assert.deepEqual(partsOf(new Assembler(), messages)[0]?.changes, []);
});

const WRONG = [
  {
    name: 'a change of a table that was not described',
    messages: [begin(7, 1n), insert(3, ['1'])],
  },
  { name: 'a truncate of one', messages: [T, begin(7, 1n), truncate([1, 3])] },
  { name: 'a change outside a transaction', messages: [T, insert(1, ['1', 'a'])] },
  { name: 'a commit without a begin', messages: [commit(1n, 2n)] },
  {
    name: 'a change after the commit',
    messages: [T, begin(7, 1n), commit(1n, 2n), insert(1, ['1', 'a'])],
  },
];

for (const { name, messages } of WRONG)
  test(`${name} is refused`, () => {
    assert.throws(() => partsOf(new Assembler(), messages), /pgoutput/);
  });
