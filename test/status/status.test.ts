/** What the status says in each state, and that its schema allows it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { MirrorError } from '../../src/core/errors.ts';
import { renderStatus } from '../../src/status/status-file.ts';
import { computeStatus, isReady, type Status } from '../../src/status/status.ts';
import { CASES } from './cases.ts';
import {
  assertValid,
  copying,
  DOWN,
  LATER,
  NOW,
  RESYNC,
  sketch,
  SPEC,
  typesInSchema,
  validate,
  view,
} from './views.ts';

for (const { name, view: known, state, conditions, tables } of CASES)
  test(`${name}: ${state}`, () => {
    const status = computeStatus(known, undefined, NOW);
    assert.equal(status.status.state, state);
    assert.deepEqual(sketch(status), conditions);
    assert.equal(
      isReady(status),
      conditions.some((condition) => condition.startsWith('Ready=True')),
    );
    if (tables !== undefined)
      assert.deepEqual(
        status.status.tables.map(({ phase, resyncStatus }) => `${phase} ${resyncStatus}`),
        tables,
      );
    assertValid(status);
    for (const condition of status.status.conditions)
      assert.equal(condition.lastTransitionTime, NOW.toISOString());
  });

test('every state that is computed is among the cases', () => {
  const states = new Set(CASES.map(({ state }) => state));
  assert.deepEqual([...states].sort(), [
    'FAILED',
    'PENDING',
    'RESYNCING',
    'RUNNING',
    'SNAPSHOTTING',
    'SUSPENDED',
    'TERMINATING',
  ]);
});

const typeOf = (sketched: string): string => sketched.split('=')[0] ?? '';

test('every type of condition is among the cases', () => {
  const types = new Set(CASES.flatMap(({ conditions }) => conditions.map(typeOf)));
  assert.deepEqual(types, new Set(typesInSchema));
});

test('the validation can fail: the schema is closed', () => {
  const status = computeStatus(view(), undefined, NOW);
  assert.equal(validate({ ...status, more: 1 }), false);
  assert.equal(validate({ ...status, status: { ...status.status, state: 'HAPPY' } }), false);
});

test('the time of a condition is that of its status, not of its reason or message', () => {
  const first = computeStatus(
    view({ plan: undefined, stream: undefined, failure: DOWN }),
    undefined,
    NOW,
  );
  const otherWords = new MirrorError('AuthenticationFailed', 'wrong password');
  const second = computeStatus(
    view({ plan: undefined, stream: undefined, failure: otherWords }),
    first,
    LATER,
  );
  const third = computeStatus(view(), second, LATER);
  const times = (status: Status): Record<string, string> =>
    Object.fromEntries(
      status.status.conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
    );
  assert.deepEqual(sketch(second)[0], 'Ready=False AuthenticationFailed');
  assert.deepEqual(times(second), times(first));
  assert.deepEqual(times(third), {
    Ready: LATER.toISOString(),
    Replicating: LATER.toISOString(),
    SpecAccepted: NOW.toISOString(),
    Verified: NOW.toISOString(),
    Drifted: LATER.toISOString(),
  });
});

test('the same view gives the same status, and so the same text', () => {
  const first = computeStatus(view(), undefined, NOW);
  assert.equal(renderStatus(computeStatus(view(), first, LATER)), renderStatus(first));
});

test('a spec is observed when a pass has taken it up, not when it was read', () => {
  const older = `sha256:${'1'.repeat(64)}`;
  const hashOf = (passedSpecHash: string | undefined): string | undefined =>
    computeStatus(view({ passedSpecHash }), undefined, NOW).status.observedSpecHash;
  assert.equal(hashOf(older), older);
  assert.equal(hashOf(SPEC.specHash), SPEC.specHash);
  assert.equal(hashOf(undefined), undefined);
});

test('what is shown of a table, of lag and slot', () => {
  const { status } = computeStatus(view({ records: RESYNC, runs: copying() }), undefined, NOW);
  assert.deepEqual(status.lag, { bytes: 128, seconds: 0.123, appliedLsn: '1/20' });
  assert.deepEqual(status.source, { slot: 'bunny_shop', walStatus: 'reserved', retainedBytes: 0 });
  assert.deepEqual(status.tables[1], {
    source: 'public."a.b"',
    destination: 'public."a.b"',
    phase: 'Live',
    resyncStatus: 'completed',
    resyncGeneration: { desired: 3, observed: 3 },
  });
  assert.equal(status.tables[0]?.resync?.percent, 24);
});

const PERCENTS = [
  { step: 'Waiting', rowsCopied: 0, rowsTotal: 0, percent: 0 },
  { step: 'Preparing', rowsCopied: 0, rowsTotal: 100, percent: 0 },
  { step: 'Copying', rowsCopied: 0, rowsTotal: 0, percent: 0 },
  { step: 'Copying', rowsCopied: 1, rowsTotal: 3, percent: 33 },
  // An estimate that was reached is not the end yet.
  { step: 'Copying', rowsCopied: 100, rowsTotal: 100, percent: 99 },
  { step: 'Copying', rowsCopied: 300, rowsTotal: 100, percent: 99 },
  { step: 'Indexing', rowsCopied: 100, rowsTotal: 100, percent: 100 },
  { step: 'CatchingUp', rowsCopied: 0, rowsTotal: 0, percent: 100 },
  { step: 'HandingOver', rowsCopied: 5, rowsTotal: 5, percent: 100 },
] as const;

for (const { step, rowsCopied, rowsTotal, percent } of PERCENTS)
  test(`${step}, ${rowsCopied} of ${rowsTotal} rows: ${percent} %`, () => {
    const status = computeStatus(
      view({ records: RESYNC, runs: copying({ step, rowsCopied, rowsTotal }) }),
      undefined,
      NOW,
    );
    assert.equal(status.status.tables[0]?.resync?.percent, percent);
    assert.ok(validate(parse(renderStatus(status))), JSON.stringify(validate.errors));
  });
