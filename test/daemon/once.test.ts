/** When `run --once` is done with a mirror. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { onceOutcome, type OnceView } from '../../src/daemon/mirror/once.ts';
import { computeStatus } from '../../src/status/status.ts';
import type { MirrorView } from '../../src/status/view.ts';
import { DOWN, NOW, SPEC, view } from '../status/views.ts';

function outcome(known: Partial<MirrorView>, more: Partial<OnceView> = {}): string {
  return onceOutcome({
    mirror: { ...SPEC, suspend: false },
    status: computeStatus(view(known), undefined, NOW),
    isPlanned: true,
    standsByMs: undefined,
    attempts: [],
    isCopying: false,
    ...more,
  });
}

const STALLED = { failure: new MirrorError('ImmutableFieldChanged', 'another publication') };

test('ready when the status of this very spec says so', () => {
  assert.equal(outcome({}), 'ready');
  assert.equal(outcome({ passedSpecHash: `sha256:${'1'.repeat(64)}` }), 'working');
  assert.equal(outcome({}, { status: undefined }), 'working');
});

test('a suspended mirror is ready when it was planned', () => {
  const mirror = { ...SPEC, suspend: true };
  assert.equal(outcome({ stream: undefined }, { mirror }), 'ready');
  assert.equal(outcome({ stream: undefined }, { mirror, isPlanned: false }), 'working');
});

test('failed when a human must act, or after three tries', () => {
  assert.equal(outcome({ failure: DOWN }, { attempts: [2] }), 'working');
  assert.equal(outcome({ failure: DOWN }, { attempts: [3] }), 'failed');
  assert.equal(outcome({ stream: undefined, ...STALLED }), 'failed');
});

test('no failure while a copy runs that may mend it', () => {
  assert.equal(outcome({ failure: DOWN }, { attempts: [3], isCopying: true }), 'working');
});

test('what another daemon has is not waited for', () => {
  assert.equal(outcome({}, { standsByMs: 2_999 }), 'ready');
  assert.equal(outcome({}, { standsByMs: 3_000 }), 'failed');
});
