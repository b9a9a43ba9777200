import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn } from '../../src/core/lsn.ts';
import { Cut, type Upcoming } from '../../src/stream/cut.ts';
import { parseVisibility, type CopiedTransactions } from '../../src/stream/visibility.ts';

/** One transaction of a history: the n-th has xid 100 + n and its commit record at 10 n. */
interface Sketch {
  readonly touches: boolean;
  readonly seen: boolean;
}

function lsn(position: number): Lsn {
  return BigInt(position) as Lsn;
}

function upcoming({ touches }: Sketch, position: number, truncates = false): Upcoming {
  return { xid: 100 + position, commitLsn: lsn(10 * position), touches, truncates };
}

/** What sees exactly the marked ones; taken right behind the last of them. */
function snapshotOf(history: readonly Sketch[]): CopiedTransactions {
  const unseen = history.flatMap(({ seen }, position) => (seen ? [] : [100 + position]));
  const last = history.findLastIndex(({ seen }) => seen);
  const visibility = parseVisibility(`100:${100 + history.length}:${unseen.join(',')}`);
  return { visibility, lsn: lsn(10 * last + 5) };
}

/** Where the cut was (so many transactions applied), as follow.ts goes about it; undefined for a miss. */
function follow(history: readonly Sketch[], appliedBefore: number): number | undefined {
  const cut = new Cut();
  for (const [position, { touches }] of history.slice(0, appliedBefore).entries())
    if (touches) cut.noteApplied(100 + position);
  if (!cut.aim(snapshotOf(history))) return undefined;
  let arrivedAt: number | undefined;
  for (let position = appliedBefore; ;) {
    const next = history[position];
    // Behind the last one the source's mark brings the stream past everything.
    const appliedLsn = next === undefined ? lsn(10 * history.length) : lsn(10 * position);
    switch (cut.verdict(next && upcoming(next, position), appliedLsn)) {
      case 'pass':
        position += 1;
        break;
      case 'arrive':
        assert.equal(arrivedAt, undefined, 'it arrives once');
        arrivedAt = position;
        cut.reached('arrived');
        break;
      case 'met':
        return arrivedAt;
      case 'miss':
        return undefined;
      default:
        assert.fail('nothing was truncated');
    }
  }
}

/** All of the table's changes that the snapshot sees, and no other. */
function isExact(history: readonly Sketch[], applied: number): boolean {
  return history.every(({ touches, seen }, position) => !touches || seen === position < applied);
}

test('in every history of five transactions the cut is exact, and missed only where there is none', () => {
  const kinds: Sketch[] = [
    { touches: true, seen: true },
    { touches: true, seen: false },
    { touches: false, seen: true },
    { touches: false, seen: false },
  ];
  let histories: Sketch[][] = [[]];
  for (let length = 0; length < 5; length += 1)
    histories = histories.flatMap((start) => kinds.map((kind) => [...start, kind]));
  let met = 0;
  let missed = 0;
  for (const history of histories) {
    for (let before = 0; before <= history.length; before += 1) {
      const cutAt = follow(history, before);
      const places = Array.from({ length: history.length + 1 - before }, (_, n) => before + n);
      const isPossible = places.some((place) => isExact(history, place));
      assert.equal(cutAt !== undefined, isPossible, JSON.stringify({ history, before }));
      if (cutAt === undefined) missed += 1;
      else assert.ok(isExact(history, cutAt), JSON.stringify({ history, before, cutAt }));
      if (cutAt !== undefined) met += 1;
    }
  }
  assert.ok(met > 1000 && missed > 1000, `${met} met, ${missed} missed`);
});

test('before it has a snapshot, and while its table is let alone, it lets everything pass', () => {
  const cut = new Cut();
  const touching = upcoming({ touches: true, seen: false }, 3);
  assert.equal(cut.verdict(touching, lsn(0)), 'pass');
  assert.equal(cut.verdict(undefined, lsn(1000)), 'pass');
  assert.equal(cut.aim({ visibility: parseVisibility('100:100:'), lsn: lsn(50) }), true);
  const other = upcoming({ touches: false, seen: false }, 3);
  assert.equal(cut.verdict(other, lsn(0)), 'pass');
  assert.equal(cut.verdict(undefined, lsn(49)), 'pass');
  assert.equal(cut.verdict(undefined, lsn(50)), 'arrive');
});

test('an id that comes round again behind the snapshot is not one that it sees', () => {
  const cut = new Cut();
  assert.equal(cut.aim({ visibility: parseVisibility('100:100:'), lsn: lsn(50) }), true);
  const late = { xid: 7, commitLsn: lsn(60), touches: true, truncates: false };
  assert.equal(cut.verdict(late, lsn(0)), 'arrive');
});

test('a truncation of the table ends the comparison; before that it is a change as any other', () => {
  const cut = new Cut();
  assert.equal(cut.aim({ visibility: parseVisibility('100:100:'), lsn: lsn(5) }), true);
  const truncation = upcoming({ touches: true, seen: false }, 3, true);
  assert.equal(cut.verdict(truncation, lsn(0)), 'arrive');
  cut.reached('arrived');
  assert.equal(cut.verdict(truncation, lsn(0)), 'met');
  cut.reached('met');
  assert.equal(cut.verdict(truncation, lsn(0)), 'give way');
  assert.equal(cut.verdict({ ...truncation, truncates: false }, lsn(0)), 'pass');
});
