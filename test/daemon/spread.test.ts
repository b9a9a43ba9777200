import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/core/clock.ts';
import { Peers } from '../../src/daemon/ownership/peers.ts';
import {
  isAtRest,
  isMisplaced,
  nextMove,
  preferredDaemon,
  type Applicant,
} from '../../src/daemon/ownership/spread.ts';

const MIRRORS = Array.from({ length: 5_000 }, (_, index) => `mirror_${index}`);

function homes(daemons: readonly number[]): (number | undefined)[] {
  return MIRRORS.map((mirror) => preferredDaemon(mirror, daemons));
}

function shareOf(daemon: number, daemons: readonly number[]): number {
  return homes(daemons).filter((home) => home === daemon).length / MIRRORS.length;
}

test('thousands of mirrors spread evenly over the daemons, and everybody says so, in whatever order they are', () => {
  for (const daemons of [
    [1, 2],
    [7, 3_000_000, 12],
    [5, 4, 3, 2, 1],
  ]) {
    for (const daemon of daemons) {
      const share = shareOf(daemon, daemons) * daemons.length;
      assert.ok(share > 0.9 && share < 1.1, `${daemon} of ${daemons.length}: ${share}`);
    }
    assert.deepEqual(homes(daemons), homes(daemons.toReversed()));
  }
  assert.equal(preferredDaemon('a', [9]), 9);
  assert.equal(preferredDaemon('a', []), undefined);
});

test('a daemon that leaves moves only its own, one that comes takes only what it keeps', () => {
  const before = homes([11, 22, 33]);
  const after = homes([11, 33]);
  for (const [index, home] of before.entries())
    if (home !== 22) assert.equal(after[index], home, MIRRORS[index]);
  const moved = before.filter((home, index) => after[index] !== home).length;
  assert.equal(moved, before.filter((home) => home === 22).length);
});

const IDS = [101, 202, 303];

function applicant(change: Partial<Applicant> = {}): Applicant {
  const mirror = change.mirror ?? 'shop';
  const daemon = preferredDaemon(mirror, IDS) ?? 0;
  const standbys = IDS.filter((id) => id !== daemon);
  const standing = { owner: undefined, standbys };
  return { mirror, daemon, isAnnounced: true, standing, freeSeconds: 0, ...change };
}

test('of those who stand by one takes a free mirror at once, and the others only when nobody does', () => {
  for (const mirror of MIRRORS.slice(0, 200)) {
    const moves = IDS.map((daemon) =>
      nextMove(
        applicant({
          mirror,
          daemon,
          standing: { owner: undefined, standbys: IDS.filter((id) => id !== daemon) },
        }),
      ),
    );
    assert.deepEqual([...moves].sort(), ['take', 'wait', 'wait'], mirror);
  }
  const last = { daemon: 404, isAnnounced: false };
  assert.equal(nextMove(applicant(last)), 'wait');
  assert.equal(nextMove(applicant({ ...last, freeSeconds: 4 })), 'take');
  const alone = { owner: undefined, standbys: [] };
  assert.equal(nextMove(applicant({ ...last, standing: alone })), 'take');
});

test('an owner is ended when it was silent for 20 s, and never while it works or cannot be seen', () => {
  const move = (silentSeconds: number | undefined, change: Partial<Applicant> = {}): string =>
    nextMove(
      applicant({
        standing: { owner: { pid: 1, daemon: 9, silentSeconds }, standbys: [] },
        ...change,
      }),
    );
  assert.equal(move(undefined), 'wait');
  assert.equal(move(5), 'wait');
  assert.equal(move(19.9), 'wait');
  assert.equal(move(20), 'end-owner');
  assert.equal(move(undefined, { freeSeconds: 1_000 }), 'wait');
  const owner = { pid: 1, daemon: 9, silentSeconds: 20 };
  const second = {
    daemon: 404,
    isAnnounced: false,
    standing: { owner, standbys: IDS },
  };
  assert.equal(nextMove(applicant(second)), 'wait');
  const silent = {
    ...second,
    standing: { owner: { pid: 1, daemon: 9, silentSeconds: 24 }, standbys: IDS },
  };
  assert.equal(nextMove(applicant(silent)), 'end-owner');
});

test('a mirror that was just taken stays, and one that is where it should be stays for good', () => {
  const daemon = preferredDaemon('shop', IDS) ?? 0;
  const other = IDS.find((id) => id !== daemon) ?? 0;
  const at = (here: number, ownedMs: number): boolean =>
    isMisplaced({
      mirror: 'shop',
      daemon: here,
      standbys: IDS.filter((id) => id !== here),
      ownedMs,
    });
  assert.equal(at(daemon, 1e9), false);
  assert.equal(at(other, 9_999), false);
  assert.equal(at(other, 10_000), true);
  assert.equal(isMisplaced({ mirror: 'shop', daemon: other, standbys: [], ownedMs: 1e9 }), false);
});

test('a mirror moves only when nothing is under way that would begin again', () => {
  const stream = { lagSeconds: 0.2 };
  const rest = { work: 0, hasFailed: false, isPresent: true, stream };
  assert.equal(isAtRest(rest), true);
  assert.equal(isAtRest({ ...rest, work: 1 }), false);
  assert.equal(isAtRest({ ...rest, hasFailed: true }), false);
  assert.equal(isAtRest({ ...rest, isPresent: false }), false);
  assert.equal(isAtRest({ ...rest, stream: undefined }), false);
  assert.equal(isAtRest({ ...rest, stream: { lagSeconds: 1 } }), false);
  assert.equal(isAtRest({ ...rest, stream: { lagSeconds: 0, silentSeconds: 31 } }), false);
});

test('a process gives away a few mirrors at a time, and a run that ends by itself none', () => {
  let nowMs = 0;
  const clock: Clock = {
    now: () => new Date(nowMs),
    monotonicMs: () => nowMs,
    sleep: async () => undefined,
  };
  const peers = new Peers(clock, { shares: true });
  assert.deepEqual(
    Array.from({ length: 6 }, () => peers.mayHandOver()),
    [true, true, true, true, false, false],
  );
  nowMs = 2_000;
  assert.equal(peers.mayHandOver(), true);
  assert.equal(new Peers(clock, { shares: false }).mayHandOver(), false);
  assert.notEqual(new Peers(clock, { shares: true }).id, peers.id);
});
