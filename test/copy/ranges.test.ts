import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ColumnShape, TableShape } from '../../src/core/observed.ts';
import { copiedColumns, copyFormat } from '../../src/copy/columns.ts';
import { BLOCK_BYTES, cutRanges, type HeapSize } from '../../src/copy/ranges.ts';
import { column, shape, table } from '../plan/fixtures.ts';

interface RangeCase {
  readonly name: string;
  readonly blocks: number;
  readonly estimatedRows: number;
  readonly rowsPerPartition: number;
  readonly count: number;
}

const CASES: readonly RangeCase[] = [
  { name: 'an empty table', blocks: 0, estimatedRows: 0, rowsPerPartition: 100, count: 1 },
  {
    name: 'an empty table, never analysed',
    blocks: 0,
    estimatedRows: -1,
    rowsPerPartition: 100,
    count: 1,
  },
  {
    name: 'empty by its size, not by its statistics',
    blocks: 0,
    estimatedRows: 1e6,
    rowsPerPartition: 100,
    count: 1,
  },
  { name: 'one block', blocks: 1, estimatedRows: 100, rowsPerPartition: 10, count: 1 },
  { name: 'exactly two ranges', blocks: 10, estimatedRows: 1_000, rowsPerPartition: 500, count: 2 },
  {
    name: 'a last range that is short',
    blocks: 11,
    estimatedRows: 1_100,
    rowsPerPartition: 500,
    count: 3,
  },
  {
    name: 'more wanted rows than there are',
    blocks: 10,
    estimatedRows: 1_000,
    rowsPerPartition: 1e9,
    count: 1,
  },
  {
    name: 'fewer wanted rows than a block has',
    blocks: 10,
    estimatedRows: 1_000,
    rowsPerPartition: 1,
    count: 10,
  },
  { name: 'never analysed', blocks: 100, estimatedRows: -1, rowsPerPartition: 800, count: 10 },
  {
    name: 'analysed as empty, and grown since',
    blocks: 100,
    estimatedRows: 0,
    rowsPerPartition: 800,
    count: 10,
  },
  {
    name: 'less than a row in a block',
    blocks: 1_000,
    estimatedRows: 10,
    rowsPerPartition: 5,
    count: 2,
  },
  {
    name: 'as many ranges as make sense',
    blocks: 1_000_000,
    estimatedRows: 1e8,
    rowsPerPartition: 1,
    count: 10_000,
  },
  {
    name: '32 TB',
    blocks: 0xffff_fffe,
    estimatedRows: 1e12,
    rowsPerPartition: 250_000,
    count: 10_000,
  },
];

for (const { name, blocks, estimatedRows, rowsPerPartition, count } of CASES)
  test(`${name}: ${count} ranges that have every block once`, () => {
    const ranges = cutRanges({ heapBytes: blocks * BLOCK_BYTES, estimatedRows }, rowsPerPartition);
    assert.equal(ranges.length, count);
    assert.equal(ranges[0]?.fromBlock, 0);
    for (const [index, { fromBlock, toBlock }] of ranges.entries()) {
      const next = ranges[index + 1];
      assert.equal(toBlock, next?.fromBlock);
      assert.ok(next === undefined || fromBlock < next.fromBlock);
      assert.ok(Number.isInteger(fromBlock) && (fromBlock < blocks || index === 0));
    }
  });

test('a heap that ends inside a block has that block', () => {
  const heap: HeapSize = { heapBytes: 2 * BLOCK_BYTES + 1, estimatedRows: 3 };
  assert.deepEqual(cutRanges(heap, 1), [
    { fromBlock: 0, toBlock: 1 },
    { fromBlock: 1, toBlock: 2 },
    { fromBlock: 2, toBlock: undefined },
  ]);
});

function columns(...names: readonly string[]): ColumnShape[] {
  return names.map((name) => column(name));
}

const FORMATS = [
  {
    name: 'built-in types, equal majors',
    columns: columns('a', 'b'),
    sameMajor: true,
    format: 'binary',
  },
  {
    name: 'built-in types, other majors',
    columns: columns('a', 'b'),
    sameMajor: false,
    format: 'text',
  },
  {
    name: 'one type that is not built in',
    columns: [...columns('a'), column('e', { builtIn: false })],
    sameMajor: true,
    format: 'text',
  },
  { name: 'no columns', columns: [], sameMajor: true, format: 'binary' },
] as const;

for (const { name, columns: copied, sameMajor, format } of FORMATS)
  test(`${name}: ${format}`, () => {
    assert.equal(copyFormat(copied, sameMajor), format);
  });

test('generated and excluded columns are not copied, and so do not ask for text', () => {
  const source: TableShape = shape('public.t', {
    columns: [
      column('id'),
      column('stored', { generated: 'stored' }),
      column('virtual', { generated: 'virtual' }),
      column('secret', { builtIn: false }),
      column('always', { identity: 'always' }),
    ],
  });
  const copied = copiedColumns(source, table('public.t', { excludeColumns: ['secret', 'gone'] }));
  assert.deepEqual(
    copied.map(({ name }) => name),
    ['id', 'always'],
  );
  assert.equal(copyFormat(copied, true), 'binary');
});
