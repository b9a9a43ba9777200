import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn } from '../../src/core/lsn.ts';
import { RecentTransactions } from '../../src/stream/recent-transactions.ts';
import { isCopied, parseVisibility, sees } from '../../src/stream/visibility.ts';

const WRAP = 2n ** 32n;

interface Sight {
  readonly name: string;
  readonly snapshot: string;
  readonly seen: readonly number[];
  readonly unseen: readonly number[];
}

const SIGHTS: readonly Sight[] = [
  { name: 'nobody in progress', snapshot: '100:100:', seen: [3, 99], unseen: [100, 101] },
  {
    name: 'some in progress',
    snapshot: '100:105:100,103',
    seen: [99, 101, 102, 104],
    unseen: [100, 103, 105, 106],
  },
  {
    name: 'second epoch',
    snapshot: `${WRAP + 100n}:${WRAP + 105n}:${WRAP + 100n}`,
    seen: [3, 99, 101, 104, 0xffff_ffff, 0xf000_0000],
    unseen: [100, 105, 106, 0x7000_0000],
  },
  {
    name: 'just before the wrap-around: small ids are of the next epoch',
    snapshot: `${WRAP - 10n}:${WRAP - 5n}:${WRAP - 10n}`,
    seen: [0xffff_fff5, 0xffff_fff7, 0xffff_fffa],
    unseen: [0xffff_fff6, 0xffff_fffb, 0xffff_ffff, 3, 4, 1000],
  },
  {
    name: 'across the wrap-around: in progress on both sides of it',
    snapshot: `${WRAP - 2n}:${WRAP + 6n}:${WRAP - 2n},${WRAP + 4n}`,
    seen: [0xffff_fffd, 0xffff_ffff, 3, 5],
    unseen: [0xffff_fffe, 4, 6, 7],
  },
  {
    name: 'late epoch, past 2^53',
    snapshot: `${(1n << 22n) * WRAP + 7n}:${(1n << 22n) * WRAP + 9n}:${(1n << 22n) * WRAP + 7n}`,
    seen: [6, 8, 0xffff_ffff],
    unseen: [7, 9, 10],
  },
  {
    name: 'up to half the ids away on either side',
    snapshot: `${5n * WRAP}:${5n * WRAP}:`,
    seen: [0x8000_0001, 0xffff_ffff],
    unseen: [0, 1, 0x7fff_ffff],
  },
];

for (const { name, snapshot, seen, unseen } of SIGHTS)
  test(`${name}: ${snapshot}`, () => {
    const visibility = parseVisibility(snapshot);
    assert.deepEqual(
      seen.filter((xid) => !sees(visibility, xid)),
      [],
      'to be seen',
    );
    assert.deepEqual(
      unseen.filter((xid) => sees(visibility, xid)),
      [],
      'not to be seen',
    );
  });

test('a snapshot is taken apart', () => {
  assert.deepEqual(parseVisibility('10:20:10,14,15'), {
    xmin: 10n,
    xmax: 20n,
    inProgress: new Set([10n, 14n, 15n]),
  });
  assert.deepEqual(parseVisibility('10:10:').inProgress, new Set());
});

for (const text of [
  '',
  '10',
  '10:20',
  '10:20:,',
  '10:20:11,',
  '10:20:a',
  '-1:2:',
  '10:20:11 ',
  ' 1:2:',
])
  test(`${JSON.stringify(text)} is no snapshot`, () => {
    assert.throws(() => parseVisibility(text), RangeError);
  });

test('applied transactions that a snapshot does not see are found until one sees them', () => {
  const recent = new RecentTransactions();
  const nothing = parseVisibility('1:1:');
  assert.equal(recent.hasUnseenBy(nothing), false);
  for (const xid of [10, 11, 12]) recent.add(xid);
  assert.equal(recent.hasUnseenBy(parseVisibility('11:13:11')), true);
  assert.equal(recent.hasUnseenBy(parseVisibility('11:14:11,13')), true);
  assert.equal(recent.hasUnseenBy(parseVisibility('13:14:13')), false);
  recent.add(13);
  assert.equal(recent.hasUnseenBy(parseVisibility('13:15:13')), true);
});

test('a snapshot that is asked about after a newer one is refused: what it misses is forgotten', () => {
  for (const [newer, older] of [
    ['13:13:', '11:12:11'],
    ['13:13:', '11:13:11'],
    ['12:13:12', '11:13:11'],
  ] as const) {
    const recent = new RecentTransactions();
    recent.add(11);
    const before = recent.mark;
    assert.equal(recent.hasUnseenBy(parseVisibility(newer), before), false);
    assert.equal(recent.hasUnseenBy(parseVisibility(older), before), true);
    assert.equal(recent.hasUnseenBy(parseVisibility(newer), before), false);
  }
});

test('remembered transactions are bounded: the oldest goes, one that comes again is young', () => {
  const remembers = (xid: number): boolean => {
    const recent = new RecentTransactions();
    for (let older = 1; older <= 100_000; older += 1) recent.add(older);
    recent.add(1);
    recent.add(100_001);
    return recent.hasUnseenBy(parseVisibility(`${xid}:200000:${xid}`));
  };
  assert.deepEqual([1, 2, 3, 100_000, 100_001].map(remembers), [true, false, true, true, true]);
});

test('an id that came round again is not in the copy: the commit is behind the snapshot’s LSN', () => {
  const copied = { visibility: parseVisibility('100:200:150'), lsn: 5000n as Lsn };
  const cases = [
    { xid: 120, commitLsn: 4000n, held: true },
    { xid: 150, commitLsn: 4000n, held: false },
    { xid: 250, commitLsn: 4000n, held: false },
    { xid: 120, commitLsn: 6000n, held: false },
  ];
  for (const { xid, commitLsn, held } of cases)
    assert.equal(
      isCopied(copied, { xid, commitLsn: commitLsn as Lsn }),
      held,
      `${xid} at ${commitLsn}`,
    );
});
