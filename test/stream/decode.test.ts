import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cellLength, cellOffset, decodeMessage, type Message } from '../../src/stream/decode.ts';
import { cells } from './cells.ts';
import {
  begin,
  type Cell,
  commit,
  insert,
  relation,
  remove,
  truncate,
  UNCHANGED,
  update,
} from './pgoutput.ts';

function decode<Tag extends Message['tag']>(
  raw: Buffer,
  tag: Tag,
): Extract<Message, { readonly tag: Tag }> {
  const message = decodeMessage(raw);
  assert.equal(message.tag, tag);
  return message as Extract<Message, { readonly tag: Tag }>;
}

test('begin: 64-bit position, unsigned xid, time in milliseconds', () => {
  const time = Date.UTC(2026, 10, 22, 20, 1, 2, 345);
  assert.deepEqual(decode(begin(0xffff_fffe, (1n << 53n) + 1n, time), 'begin'), {
    tag: 'begin',
    commitLsn: (1n << 53n) + 1n,
    commitTimeMs: time,
    xid: 4_294_967_294,
  });
});

test('commit: where its record begins and ends', () => {
  assert.deepEqual(decode(commit(0x1_0000_0000n, 0x1_0000_0030n), 'commit'), {
    tag: 'commit',
    commitLsn: 0x1_0000_0000n,
    endLsn: 0x1_0000_0030n,
  });
});

const IDENTITIES = [
  ['d', 'default'],
  ['n', 'nothing'],
  ['f', 'full'],
  ['i', 'index'],
] as const;

for (const [letter, identity] of IDENTITIES)
  test(`relation with identity ${identity}`, () => {
    const raw = relation({
      id: 0x8000_0001,
      schema: 'Schéma',
      name: 'a.b',
      identity: letter,
      columns: ['id*', 'ein Wert'],
    });
    assert.deepEqual(decode(raw, 'relation').relation, {
      id: 0x8000_0001,
      schema: 'Schéma',
      name: 'a.b',
      identity,
      columns: [
        { name: 'id', key: true, typeOid: 25 },
        { name: 'ein Wert', key: false, typeOid: 25 },
      ],
      raw,
    });
  });

test('relation: no schema means pg_catalog, no columns are fine, names keep a leading U+FEFF', () => {
  const empty = decode(relation({ schema: '', name: 'x', columns: [] }), 'relation').relation;
  assert.equal(empty.schema, 'pg_catalog');
  assert.deepEqual(empty.columns, []);
  const bom = decode(relation({ name: '\uFEFFt', columns: ['\uFEFFc'] }), 'relation').relation;
  assert.equal(bom.name, '\uFEFFt');
  assert.equal(bom.columns[0]?.name, '\uFEFFc');
});

const ROW: readonly Cell[] = ['1', '', null, UNCHANGED, '\uFEFFbom', 'tab\tnewline\nback\\slash'];

test('insert: NULL, the empty text, unchanged TOAST and a leading U+FEFF are four different things', () => {
  const raw = insert(0xffff_ffff, ROW);
  const message = decode(raw, 'insert');
  assert.equal(message.relationId, 0xffff_ffff);
  assert.deepEqual(cells(message.new), ROW);
  assert.equal(message.raw, raw);
  assert.equal(message.new.bytes, raw);
});

test('bytes that are no UTF-8 stay where they are', () => {
  const bytes = Buffer.from([0xff, 0x00, 0xc3, 0x28, 0x80]);
  const { new: tuple } = decode(insert(1, [bytes, 'next']), 'insert');
  const offset = cellOffset(tuple, 0);
  assert.deepEqual(tuple.bytes.subarray(offset, offset + cellLength(tuple, 0)), bytes);
  assert.equal(cells(tuple)[1], 'next');
});

test('update without an old row', () => {
  const message = decode(update(7, ROW), 'update');
  assert.equal(message.relationId, 7);
  assert.equal(message.old, undefined);
  assert.deepEqual(cells(message.new), ROW);
});

for (const kind of ['K', 'O'] as const)
  test(`update with the old ${kind === 'K' ? 'key' : 'row'}`, () => {
    const old: readonly Cell[] = ['0', null, '', 'x', 'NNN', null];
    const message = decode(update(7, ROW, { kind, cells: old }), 'update');
    assert.ok(message.old);
    assert.deepEqual(cells(message.old), old);
    assert.deepEqual(cells(message.new), ROW);
  });

for (const kind of ['K', 'O'] as const)
  test(`delete with the old ${kind === 'K' ? 'key' : 'row'}`, () => {
    const message = decode(remove(9, ['1', null], kind), 'delete');
    assert.equal(message.relationId, 9);
    assert.deepEqual(cells(message.old), ['1', null]);
  });

for (const options of [0, 1, 2, 3])
  test(`truncate of several tables, option bits ${options}`, () => {
    const message = decode(truncate([1, 0xffff_ffff, 3], options), 'truncate');
    assert.deepEqual(message.relationIds, [1, 0xffff_ffff, 3]);
  });

for (const letter of ['O', 'Y', 'M'])
  test(`${letter} has nothing to apply`, () => {
    assert.deepEqual(decodeMessage(Buffer.from(`${letter}\0\0\0\0`, 'latin1')), { tag: 'other' });
  });

test('a tuple has no column past its last', () => {
  const { new: tuple } = decode(insert(1, ['a']), 'insert');
  assert.throws(() => cellLength(tuple, 1), /no column 1/);
  assert.throws(() => cellOffset(tuple, 1), /no column 1/);
});

const binaryCell = insert(1, ['ab']);
binaryCell[binaryCell.length - 7] = 'b'.charCodeAt(0);
const unknownIdentity = relation({ columns: ['id*'] });
unknownIdentity[unknownIdentity.indexOf('d')] = 'x'.charCodeAt(0);

const BROKEN = [
  { name: 'an unknown message', raw: Buffer.from('Z\0\0\0\0') },
  {
    name: 'a message of protocol version 2 (stream start)',
    raw: Buffer.from('S\0\0\0\u0001\u0001'),
  },
  { name: 'an empty message', raw: Buffer.alloc(0) },
  { name: 'a binary cell, which was not asked for', raw: binaryCell },
  { name: 'an unknown replica identity', raw: unknownIdentity },
  { name: 'an insert cut off in a length', raw: insert(1, ['abc']).subarray(0, 11) },
  { name: 'an insert cut off in a value', raw: insert(1, ['abc']).subarray(0, 14) },
  {
    name: 'an update cut off before its new row',
    raw: update(1, ['a'], { kind: 'K', cells: ['b'] }).subarray(0, 15),
  },
  { name: 'a truncate cut off in its list', raw: truncate([1, 2]).subarray(0, 12) },
  { name: 'a commit cut off', raw: commit(1n, 2n).subarray(0, 12) },
];

for (const { name, raw } of BROKEN)
  test(`${name} is refused`, () => {
    assert.throws(() => decodeMessage(raw), Error);
  });
