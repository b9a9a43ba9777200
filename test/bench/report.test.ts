import assert from 'node:assert/strict';
import { test } from 'node:test';
import { atMost, formatNumber, percentile, ratiosOf, renderSection, spreadOf } from './report.ts';

test('a percentile is one of the values, by nearest rank', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.equal(percentile(hundred, 0.5), 50);
  assert.equal(percentile(hundred, 0.99), 99);
  assert.equal(percentile(hundred, 1), 100);
  assert.equal(percentile(hundred, 0), 1);
  assert.equal(percentile([7], 0.99), 7);
  assert.throws(() => percentile([], 0.5), /nothing was measured/);
});

test('a spread takes values in any order, numbers not compared as text', () => {
  assert.deepEqual(spreadOf([10, 9, 100]), { min: 9, median: 10, max: 100 });
  assert.deepEqual(spreadOf([4, 1, 2, 10]), { min: 1, median: 3, max: 10 });
  assert.deepEqual(spreadOf([5]), { min: 5, median: 5, max: 5 });
});

test('ratios are of the same run, and there is none without an anchor', () => {
  assert.deepEqual(ratiosOf([10, 30], [20, 10]), [0.5, 3]);
  assert.deepEqual(ratiosOf([10, 30], []), []);
  assert.deepEqual(ratiosOf([10], [0]), []);
});

test('numbers have their thousands apart', () => {
  assert.equal(formatNumber(1_234_567.8, 0), '1,234,568');
  assert.equal(formatNumber(0.5, 2), '0.50');
});

test('a section is a title, a table and remarks', () => {
  const text = renderSection({
    title: 'copy: 2,000 rows',
    figures: [
      { label: 'psql | psql', unit: 'rows/s', values: [1000, 2000, 1500] },
      {
        label: 'bunnydb',
        unit: 'rows/s',
        values: [1100, 1000, 3000],
        anchor: [1000, 2000, 1500],
      },
      { label: 'lag p99', unit: 'ms', values: [1.25] },
    ],
    remarks: ['no indexes on either side'],
  });
  assert.equal(
    text,
    `copy: 2,000 rows
               UNIT      MIN  MEDIAN    MAX  TO ANCHOR    (MIN TO MAX)
  psql | psql  rows/s  1,000   1,500  2,000
  bunnydb      rows/s  1,000   1,100  3,000      1.10x  0.50x to 2.00x
  lag p99      ms        1.3     1.3    1.3
  - no indexes on either side
`,
  );
});

test('the worst run decides', () => {
  assert.deepEqual(atMost('peak memory', [120, 300], 300), {
    passed: true,
    text: 'PASS: peak memory 300 MB, at most 300 MB allowed',
  });
  assert.equal(atMost('peak memory', [120, 301], 300).passed, false);
});
