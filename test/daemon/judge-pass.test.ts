/** What a pass says of the failures before it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { MIRROR_KEY } from '../../src/daemon/mirror/failures.ts';
import { judgePass, type Before } from '../../src/daemon/mirror/judge-pass.ts';
import type { PassResult } from '../../src/daemon/mirror/pass.ts';
import type { Outcome } from '../../src/execute/outcome.ts';
import type { Refusal, Step } from '../../src/plan/plan.ts';
import { EMPTY_PLAN } from '../status/views.ts';
import { observed, table } from '../plan/fixtures.ts';

const USERS = table('public.users');
const KEY = 'public.users';
const ERROR = new MirrorError('LockTimeout', 'a lock');
const REFUSED: Refusal = { table: USERS, error: new MirrorError('SwapObstructed', 'a view') };
const VERIFY: Step = { kind: 'verify-table', table: USERS, reason: 'copied' };

function result(more: Partial<PassResult> & { steps?: Step[]; refusals?: Refusal[] }): PassResult {
  const { steps = [], refusals = [], ...rest } = more;
  return {
    plan: { ...EMPTY_PLAN, steps, refusals },
    observed: observed(),
    outcomes: [],
    tableErrors: new Map(),
    waiting: new Set(),
    error: undefined,
    ...rest,
  };
}

const NOTHING: Before = { plan: undefined, failed: [], running: new Set() };
const REFUSED_BEFORE: Before = {
  ...NOTHING,
  plan: { ...EMPTY_PLAN, refusals: [REFUSED] },
  failed: [KEY],
};
const CHANGED: Outcome = { step: 'create-slot', changed: true, message: 'made' };

test('errors of the pass, of its tables and what was refused are one book', () => {
  const { errors, open } = judgePass(
    result({ error: ERROR, tableErrors: new Map([['public.b', ERROR]]), refusals: [REFUSED] }),
    NOTHING,
  );
  assert.deepEqual([...errors.keys()].sort(), [MIRROR_KEY, 'public.b', KEY]);
  assert.deepEqual(new Set(errors.keys()), open);
});

test('what failed and has nothing left to do is over; what waits, runs or is wanted is not', () => {
  const failed = [KEY];
  assert.deepEqual(judgePass(result({}), { ...NOTHING, failed }).over, [KEY]);
  for (const [why, pass, running] of [
    ['waits', result({ waiting: new Set([KEY]) }), []],
    ['runs', result({}), [KEY]],
    ['is wanted', result({ steps: [VERIFY] }), []],
    ['failed again', result({ tableErrors: new Map([[KEY, ERROR]]) }), []],
  ] as const)
    assert.deepEqual(
      judgePass(pass, { ...NOTHING, failed, running: new Set(running) }).over,
      [],
      why,
    );
});

test('what is not refused any more waits for no next try, and the pass goes on at once', () => {
  const mended = judgePass(result({ steps: [VERIFY] }), REFUSED_BEFORE);
  assert.deepEqual(mended.over, [KEY]);
  assert.equal(mended.goesOn, true);
  const still = judgePass(result({ steps: [VERIFY], refusals: [REFUSED] }), REFUSED_BEFORE);
  assert.deepEqual(still.over, []);
  assert.equal(still.goesOn, false);
});

test('a pass goes on when it changed something, unless it failed', () => {
  assert.equal(judgePass(result({}), NOTHING).goesOn, false);
  assert.equal(judgePass(result({ outcomes: [CHANGED] }), NOTHING).goesOn, true);
  assert.equal(judgePass(result({ outcomes: [CHANGED], error: ERROR }), NOTHING).goesOn, false);
});
