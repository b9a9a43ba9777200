import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Lsn } from '../../src/core/lsn.ts';
import type { Change, TransactionPart } from '../../src/stream/assemble.ts';
import { Inbox, MAX_INBOX_BYTES } from '../../src/stream/inbox.ts';

interface Sketch {
  readonly changes?: number;
  readonly bytes?: number;
  readonly first?: boolean;
  readonly final?: boolean;
}

let made = 0;

function part({
  changes = 1,
  bytes = 10,
  first = true,
  final = true,
}: Sketch = {}): TransactionPart {
  made += 1;
  return {
    xid: made,
    commitLsn: BigInt(made) as Lsn,
    endLsn: final ? (BigInt(made) as Lsn) : undefined,
    commitTimeMs: 0,
    changes: Array.from({ length: changes }, () => ({}) as Change),
    bytes,
    first,
    final,
  };
}

const calls: string[] = [];
let inbox: Inbox;

beforeEach(() => {
  calls.length = 0;
  inbox = new Inbox(
    () => calls.push('pause'),
    () => calls.push('resume'),
  );
});

const NO_LIMIT = { changes: Infinity, bytes: Infinity };

test('first in, first out', () => {
  const parts = [part(), part(), part()];
  assert.equal(inbox.isEmpty, true);
  assert.equal(inbox.oldest, undefined);
  assert.equal(inbox.takeOne(), undefined);
  for (const one of parts) inbox.push(one);
  assert.equal(inbox.isEmpty, false);
  assert.equal(inbox.oldest, parts[0]);
  assert.deepEqual([inbox.takeOne(), inbox.takeOne(), inbox.takeOne()], parts);
  assert.equal(inbox.isEmpty, true);
});

test('pauses once when full, resumes once when half empty', () => {
  const quarter = MAX_INBOX_BYTES / 4;
  for (let count = 0; count < 3; count += 1) inbox.push(part({ bytes: quarter }));
  assert.deepEqual(calls, []);
  inbox.push(part({ bytes: quarter }));
  assert.deepEqual(calls, ['pause']);
  // What was on the wire still comes.
  inbox.push(part({ bytes: quarter }));
  inbox.push(part({ bytes: quarter }));
  assert.deepEqual(calls, ['pause']);
  for (let left = 5; left >= 2; left -= 1) {
    inbox.takeOne();
    assert.deepEqual(calls, ['pause'], `${left} quarters are left`);
  }
  inbox.takeOne();
  assert.deepEqual(calls, ['pause', 'resume']);
  inbox.takeOne();
  assert.deepEqual(calls, ['pause', 'resume']);
});

test('one huge part fills it and, taken, makes room', () => {
  inbox.push(part({ bytes: 10 * MAX_INBOX_BYTES }));
  assert.deepEqual(calls, ['pause']);
  inbox.takeOne();
  assert.deepEqual(calls, ['pause', 'resume']);
  inbox.push(part({ bytes: MAX_INBOX_BYTES }));
  assert.deepEqual(calls, ['pause', 'resume', 'pause']);
});

test('a batch makes room as well', () => {
  inbox.push(part({ bytes: MAX_INBOX_BYTES / 2 }));
  inbox.push(part({ bytes: MAX_INBOX_BYTES / 2 }));
  assert.equal(inbox.takeWhole(NO_LIMIT).length, 2);
  assert.deepEqual(calls, ['pause', 'resume']);
});

interface BatchCase {
  readonly name: string;
  readonly parts: readonly Sketch[];
  readonly limits?: { readonly changes: number; readonly bytes: number };
  /** How many are taken at each call. */
  readonly batches: readonly number[];
}

const BATCHES: readonly BatchCase[] = [
  { name: 'nothing there', parts: [], batches: [0] },
  { name: 'no limit: all at once', parts: [{}, {}, {}], batches: [3, 0] },
  {
    name: 'up to the changes',
    parts: [{ changes: 2 }, { changes: 2 }, { changes: 2 }],
    limits: { changes: 4, bytes: Infinity },
    batches: [2, 1, 0],
  },
  {
    name: 'up to the bytes',
    parts: [{ bytes: 5 }, { bytes: 5 }, { bytes: 1 }],
    limits: { changes: Infinity, bytes: 10 },
    batches: [2, 1],
  },
  {
    name: 'at least one, whatever its size',
    parts: [{ changes: 9, bytes: 99 }, {}],
    limits: { changes: 1, bytes: 1 },
    batches: [1, 1],
  },
  {
    name: 'an empty transaction costs nothing',
    parts: [{ changes: 2 }, { changes: 0, bytes: 0 }, { changes: 0, bytes: 0 }],
    limits: { changes: 2, bytes: 10 },
    batches: [3],
  },
  { name: 'a large one in front: none', parts: [{ final: false }, { first: false }], batches: [0] },
  {
    name: 'a large one behind: what is before it',
    parts: [{}, {}, { final: false }, { first: false }, {}],
    batches: [2, 0],
  },
];

for (const { name, parts, limits = NO_LIMIT, batches } of BATCHES)
  test(`a batch of whole transactions: ${name}`, () => {
    const pushed = parts.map(part);
    for (const one of pushed) inbox.push(one);
    const taken = batches.map(() => inbox.takeWhole(limits));
    assert.deepEqual(
      taken.map(({ length }) => length),
      batches,
    );
    assert.deepEqual(taken.flat(), pushed.slice(0, taken.flat().length));
    assert.equal(inbox.oldest, pushed[taken.flat().length]);
  });
