import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatLsn, LSN_ZERO, type Lsn, maxLsn, parseLsn } from '../../src/core/lsn.ts';

const TEXTS = [
  { text: '0/0', value: 0n },
  { text: '0/1', value: 1n },
  { text: '0/1A2B3C4', value: 0x1a2b3c4n },
  { text: '0/FFFFFFFF', value: 0xffff_ffffn },
  { text: '1/0', value: 1n << 32n },
  { text: '16/B374D848', value: 0x16_b374_d848n },
  // Above 2^53: a number would have rounded them together.
  { text: '200000/1', value: (1n << 53n) + 1n },
  { text: '200000/2', value: (1n << 53n) + 2n },
  { text: 'FFFFFFFF/FFFFFFFF', value: (1n << 64n) - 1n },
];

for (const { text, value } of TEXTS)
  test(`${text} is ${value}, both ways`, () => {
    assert.equal(parseLsn(text), value);
    assert.equal(formatLsn(value as Lsn), text);
  });

test('lower case and leading zeros are read, and written as PostgreSQL does', () => {
  assert.equal(formatLsn(parseLsn('00000016/b374d848')), '16/B374D848');
  assert.equal(formatLsn(parseLsn('0/0000000a')), '0/A');
});

test('positions are ordered as numbers, not as texts', () => {
  const ordered = ['0/9', '0/10', '0/FFFFFFFF', '1/0', '9/0', '10/0', '200000/1', '200000/2'].map(
    parseLsn,
  );
  for (const [index, lsn] of ordered.entries()) {
    const next = ordered[index + 1];
    if (next === undefined) continue;
    assert.ok(lsn < next, `${formatLsn(lsn)} < ${formatLsn(next)}`);
    assert.equal(maxLsn(lsn, next), next);
    assert.equal(maxLsn(next, lsn), next);
  }
  assert.equal(maxLsn(LSN_ZERO, LSN_ZERO), LSN_ZERO);
});

const REFUSED = [
  '',
  '0',
  '/',
  '0/',
  '/0',
  '0/0/0',
  ' 0/0',
  '0/0 ',
  '0/G',
  '0x1/0',
  '-1/0',
  '123456789/0',
  '0/123456789',
  '0/0\n',
];

for (const text of REFUSED)
  test(`${JSON.stringify(text)} is no position`, () => {
    assert.throws(() => parseLsn(text), RangeError);
  });
