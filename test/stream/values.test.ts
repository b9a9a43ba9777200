/** Cells to the bytes PostgreSQL reads, and back out of a real table. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyInto } from '../../src/postgres/copy-streams.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import { copyIntoSql, insertSql } from '../../src/sql/apply.ts';
import type { Tuple } from '../../src/stream/decode.ts';
import { copyRows, textArray, textValue } from '../../src/stream/values.ts';
import { sharedClusters } from '../servers/shared.ts';
import { type Cell, changesOf, insert, relation, UNCHANGED } from './pgoutput.ts';

const TABLE = { schema: 'public', name: 'v' };
const COLUMNS = ['id', 'a', 'b'].map((name) => ({
  name,
  baseType: name === 'id' ? 'integer' : 'text',
}));

function tuples(rows: readonly (readonly Cell[])[]): Tuple[] {
  const described = relation({ id: 1, columns: ['id*', 'a', 'b'] });
  const changes = changesOf([described, ...rows.map((row) => insert(1, row))]);
  return changes.map((change) => {
    assert.ok(change.tag === 'insert');
    return change.new;
  });
}

/** Each code point that is one byte, some of two to four, and what COPY's text format gives a meaning. */
const TEXTS: readonly (string | null)[] = [
  ...Array.from({ length: 127 }, (_, index) => String.fromCharCode(index + 1)),
  Array.from({ length: 127 }, (_, index) => String.fromCharCode(index + 1)).join(''),
  // Every lead and continuation byte of UTF-8 that there is.
  Array.from({ length: 0x780 }, (_, index) => String.fromCodePoint(0x80 + index)).join(''),
  // U+0800, U+1000, U+1800 … without the surrogates.
  ...Array.from({ length: 31 }, (_, index) => 0x800 * (index + 1)).flatMap((point) =>
    point >= 0xd800 && point < 0xe000 ? [] : [String.fromCodePoint(point)],
  ),
  '\uD7FF\uE000\uFFFD\uFFFF',
  '\u{10000}\u{3FFFF}\u{40000}\u{80000}\u{FFFFF}\u{100000}\u{10FFFF}',
  '\uFEFF',
  '\uFEFFleading, and inside \uFEFF',
  null,
  '',
  ' ',
  'NULL',
  'null',
  '\\N',
  '\\',
  '\\\\',
  '\\.',
  '\\.\n',
  '\n\\.\n',
  'a\tb',
  '\t',
  '\r\n',
  '\\t',
  '\\x41',
  '\\101',
  '{}',
  '{NULL,"a"}',
  '"quoted"',
  "it's",
  'x'.repeat(100_000),
  '🐇'.repeat(10_000),
];

async function open(): Promise<Session> {
  const { destination } = await sharedClusters();
  const session = await openSession(destination.connection(await destination.createDatabase()), {
    mirror: 'values',
    role: 'writer',
  });
  await session.query('create table public.v (id int primary key, a text, b text)');
  return session;
}

/** What the server holds, as it sends it in hex: no text decoding on the way. */
async function stored(session: Session): Promise<(readonly [string | null, string | null])[]> {
  const rows = await session.query(
    `select encode(convert_to(a, 'UTF8'), 'hex') as a, encode(convert_to(b, 'UTF8'), 'hex') as b from public.v order by id`,
  );
  return rows.map((row) => [row['a'] ?? null, row['b'] ?? null] as const);
}

function hex(text: string | null): string | null {
  return text === null ? null : Buffer.from(text).toString('hex');
}

/** Each text beside its neighbour, so that what one does to the next is seen. */
const ROWS = TEXTS.map(
  (text, index) => [String(index), text, TEXTS.at(index - 1) ?? null] as const,
);
const EXPECTED = ROWS.map(([, a, b]) => [hex(a), hex(b)] as const);

test('the bytes 1 to 255 are all among the texts, as far as UTF-8 has them', () => {
  const bytes = new Set(TEXTS.flatMap((text) => [...Buffer.from(text ?? '')]));
  const never = [0x00, 0xc0, 0xc1, ...Array.from({ length: 11 }, (_, index) => 0xf5 + index)];
  const missing = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !bytes.has(byte));
  assert.deepEqual(missing, never);
});

test('COPY rows hold every text', async () => {
  await using session = await open();
  const rows = copyRows(tuples(ROWS), [0, 1, 2]);
  assert.equal(await copyInto(session, copyIntoSql(TABLE, COLUMNS), rows), ROWS.length);
  assert.deepEqual(await stored(session), EXPECTED);
});

test('text arrays hold every text', async () => {
  await using session = await open();
  const all = tuples(ROWS);
  const arrays = COLUMNS.map((_, column) => textArray(all, column));
  assert.equal(await session.runPrepared(insertSql(TABLE, COLUMNS), arrays), ROWS.length);
  assert.deepEqual(await stored(session), EXPECTED);
});

test('text parameters hold every text', async () => {
  await using session = await open();
  const statement = 'insert into public.v values ($1::text::int, $2::text, $3::text)';
  for (const tuple of tuples(ROWS))
    await session.runPrepared(
      statement,
      [0, 1, 2].map((column) => textValue(tuple, column)),
    );
  assert.deepEqual(await stored(session), EXPECTED);
});

test('columns in any order, and only some of them', async () => {
  await using session = await open();
  const columns = [COLUMNS[2], COLUMNS[0]].filter((column) => column !== undefined);
  const rows = copyRows(
    tuples([
      ['1', 'not this', 'this'],
      ['2', UNCHANGED, null],
    ]),
    [2, 0],
  );
  await copyInto(session, copyIntoSql(TABLE, columns), rows);
  assert.deepEqual(await stored(session), [
    [null, hex('this')],
    [null, null],
  ]);
});

test('an unchanged TOAST value is never written, in no way', () => {
  const [tuple] = tuples([['1', UNCHANGED, 'x']]);
  assert.ok(tuple);
  for (const write of [
    () => copyRows([tuple], [0, 1]),
    () => textArray([tuple], 1),
    () => textValue(tuple, 1),
  ])
    assert.throws(write, /TOAST/);
});

test('no rows are no bytes, and an empty array has no elements', async () => {
  assert.equal(copyRows([], [0, 1]).length, 0);
  await using session = await open();
  const [row] = await session.query('select cardinality($1::text[]) as count', [textArray([], 0)]);
  assert.equal(row?.['count'], '0');
});
