import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  describeDifference,
  differingBuckets,
  differingKeys,
  type Checksum,
  type DifferingKey,
  type RowDigest,
} from '../../src/copy/differences.ts';

function rows(...texts: readonly string[]): RowDigest[] {
  return texts.map((text) => {
    const [key = '', hash = ''] = text.split('=');
    return { key, id: `id of ${key}`, hash };
  });
}

function sums(...counts: readonly number[]): Map<number, Checksum> {
  return new Map(counts.map((count, bucket) => [bucket, { rows: count, checksum: `${count}` }]));
}

test('buckets differ by count, by sum, and by not being there', () => {
  assert.deepEqual(differingBuckets(sums(1, 2), sums(1, 2)), []);
  assert.deepEqual(differingBuckets(sums(1, 2, 3), sums(1, 5)), [
    { bucket: 1, rows: 7 },
    { bucket: 2, rows: 3 },
  ]);
  const other = new Map([[0, { rows: 1, checksum: 'x' }]]);
  assert.deepEqual(differingBuckets(sums(1), other), [{ bucket: 0, rows: 2 }]);
  assert.deepEqual(differingBuckets(new Map(), sums(4)), [{ bucket: 0, rows: 4 }]);
});

test('keys differ in three ways, and come in their order: numbers by size, the rest as text', () => {
  const source = rows('10=a', '9=b', '-1=c', 'x=d', '7=e');
  const destination = rows('7=e', '9=B', '100=a', 'x=d', '-1=c');
  assert.deepEqual(differingKeys(source, destination), [
    { key: '9', how: 'different' },
    { key: '10', how: 'missing at the destination' },
    { key: '100', how: 'only at the destination' },
  ]);
});

test('a key that comes twice at the destination differs, whatever order its rows come in', () => {
  assert.deepEqual(differingKeys(rows('1=a'), rows('1=a', '1=a')), [
    { key: '1', how: 'different' },
  ]);
  assert.deepEqual(differingKeys(rows('1=a', '1=b'), rows('1=b', '1=a')), []);
});

test('keys that are cut to the same text are told apart', () => {
  const cut = (id: string, hash: string): RowDigest => ({ key: 'long', id, hash });
  assert.deepEqual(differingKeys([cut('1', 'a'), cut('2', 'b')], [cut('1', 'a')]), [
    { key: 'long', how: 'missing at the destination' },
  ]);
});

const sum = (count: number): Checksum => ({ rows: count, checksum: '' });
const differing = (count: number): DifferingKey[] =>
  Array.from({ length: count }, (_, key) => ({ key: `${key}`, how: 'different' }));

for (const [what, expected] of [
  [describeDifference(sum(1), sum(0), undefined), '1 row at the source, 0 at the destination'],
  [describeDifference(sum(2), sum(2), undefined), '2 rows on either side, and not the same'],
  [
    describeDifference(sum(3), sum(3), { columns: ['a', 'b'], keys: differing(1), complete: true }),
    '3 rows on either side, and not the same; 1 key differs (a, b): 0 different',
  ],
  [
    describeDifference(sum(30), sum(30), { columns: ['id'], keys: differing(11), complete: true }),
    `30 rows on either side, and not the same; the first 10 of 11 keys that differ (id): ${differing(
      10,
    )
      .map(({ key }) => `${key} different`)
      .join(', ')}`,
  ],
  [
    describeDifference(sum(3), sum(2), { columns: ['id'], keys: differing(1), complete: false }),
    '3 rows at the source, 2 at the destination; some of the keys that differ (id): 0 different',
  ],
  [
    describeDifference(sum(1), sum(1), {
      columns: ['id'],
      keys: [{ key: 'two\n lines', how: 'different' }],
      complete: true,
    }),
    '1 row on either side, and not the same; 1 key differs (id): two lines different',
  ],
] as const)
  test(`said in one line: ${expected.slice(0, 100)}`, () => assert.equal(what, expected));
