import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/core/clock.ts';
import { MirrorError } from '../../src/core/errors.ts';
import { backoffMs } from '../../src/daemon/mirror/backoff.ts';
import { Failures } from '../../src/daemon/mirror/failures.ts';

const MIDDLE = 0.5;
const ALMOST_ONE = 1 - Number.EPSILON;

const WAITS = [
  [1, 1_000],
  [2, 2_000],
  [3, 4_000],
  [8, 128_000],
  [9, 256_000],
  [10, 300_000],
  [11, 300_000],
  [1_000, 300_000],
  [1e9, 300_000],
] as const;

for (const [attempts, ms] of WAITS)
  test(`after ${attempts} failures in a row: ${ms / 1000} s, a fifth more or less`, () => {
    assert.equal(backoffMs(attempts, MIDDLE), ms);
    assert.equal(backoffMs(attempts, 0), ms * 0.8);
    assert.ok(backoffMs(attempts, ALMOST_ONE) <= ms * 1.2);
    assert.ok(backoffMs(attempts, ALMOST_ONE) > ms * 1.19);
  });

test('waits never get shorter, and always end', () => {
  let before = 0;
  for (let attempts = 1; attempts < 200; attempts += 1) {
    const ms = backoffMs(attempts, MIDDLE);
    assert.ok(Number.isFinite(ms) && ms >= before, `${attempts}: ${ms}`);
    before = ms;
  }
});

/** Stands still until it is told to go on. */
class FakeClock implements Clock {
  #ms = Date.UTC(2026, 0, 1);
  pass(ms: number): void {
    this.#ms += ms;
  }
  now(): Date {
    return new Date(this.#ms);
  }
  monotonicMs(): number {
    return this.#ms;
  }
  async sleep(ms: number): Promise<void> {
    this.pass(ms);
  }
}

const ERROR = new MirrorError('ConnectionFailed', 'no answer');
const OTHER = new MirrorError('DiskFull', 'no space', { hint: 'delete something' });

test('a failure is reported with its code, message and hint', () => {
  const failures = new Failures(new FakeClock());
  assert.deepEqual(failures.add('public.t', OTHER), {
    code: 'DiskFull',
    message: 'no space',
    hint: 'delete something',
    since: '2026-01-01T00:00:00.000Z',
    attempts: 1,
  });
  assert.deepEqual(failures.keys(), ['public.t']);
});

test('failures in a row: when the first came, what the last said, longer and longer waits', () => {
  const clock = new FakeClock();
  const failures = new Failures(clock);
  failures.add('t', ERROR);
  let wait = failures.waitMs('t');
  assert.ok(wait >= 800 && wait <= 1_200, String(wait));
  for (let attempts = 2; attempts <= 6; attempts += 1) {
    clock.pass(wait);
    assert.equal(failures.waitMs('t'), 0);
    const failure = failures.add('t', OTHER);
    assert.equal(failure.attempts, attempts);
    assert.equal(failure.since, '2026-01-01T00:00:00.000Z');
    assert.equal(failure.code, 'DiskFull');
    wait = failures.waitMs('t');
    const base = 1_000 * 2 ** (attempts - 1);
    assert.ok(wait >= base * 0.8 && wait <= base * 1.2, `${attempts}: ${wait}`);
  }
  assert.equal(failures.get('t')?.attempts, 6);
});

test('a wait runs down with time, to 0 and no further', () => {
  const clock = new FakeClock();
  const failures = new Failures(clock);
  failures.add('t', ERROR);
  const wait = failures.waitMs('t');
  clock.pass(300);
  assert.equal(failures.waitMs('t'), wait - 300);
  clock.pass(60_000);
  assert.equal(failures.waitMs('t'), 0);
});

test('a success starts the count anew; others are not touched', () => {
  const clock = new FakeClock();
  const failures = new Failures(clock);
  failures.add('a', ERROR);
  failures.add('a', ERROR);
  failures.add('b', ERROR);
  failures.clear('a');
  assert.equal(failures.get('a'), undefined);
  assert.equal(failures.waitMs('a'), 0);
  assert.equal(failures.get('b')?.attempts, 1);
  assert.deepEqual(failures.keys(), ['b']);
  clock.pass(5_000);
  const again = failures.add('a', ERROR);
  assert.equal(again.attempts, 1);
  assert.equal(again.since, '2026-01-01T00:00:05.000Z');
});

test('what is made due is tried at once, and has failed as often as before', () => {
  const clock = new FakeClock();
  const failures = new Failures(clock);
  for (const key of ['a', 'b', 'b']) failures.add(key, ERROR);
  failures.makeDue();
  assert.deepEqual([failures.waitMs('a'), failures.waitMs('b')], [0, 0]);
  assert.equal(failures.get('b')?.attempts, 2);
  failures.add('b', ERROR);
  assert.ok(failures.waitMs('b') >= 3_200);
});

test('what never failed has nothing to wait for', () => {
  const failures = new Failures(new FakeClock());
  assert.equal(failures.waitMs('t'), 0);
  assert.equal(failures.get('t'), undefined);
  failures.clear('t');
  assert.deepEqual(failures.keys(), []);
});
