import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { SpecProblem } from '../../src/core/intent.ts';
import { rejectedStatus } from '../../src/status/rejected.ts';

const SCHEMA = new URL('../../schemas/status.schema.json', import.meta.url);
const validate = new Ajv2020({ strict: true }).compile(
  JSON.parse(readFileSync(SCHEMA, 'utf8')) as object,
);
const NOW = new Date('2026-01-01T00:00:00Z');
const LATER = new Date('2026-01-02T00:00:00Z');

function problem(reason: SpecProblem['reason']): SpecProblem {
  return { reason, text: 'mirrors.d/shop.yaml:3:1: it is wrong (mend it)' };
}

for (const reason of ['SchemaInvalid', 'SemanticInvalid', 'DuplicateName', 'Unsettled'] as const)
  test(`${reason}: failed, as the schema has it, and stalled when it does not pass by itself`, () => {
    const status = rejectedStatus('shop', [problem(reason)], { previous: undefined, now: NOW });
    assert.ok(validate(status), JSON.stringify(validate.errors));
    assert.equal(status.status.observedSpecHash, undefined);
    assert.deepEqual(
      status.status.conditions.map(
        ({ type, status: value, reason: why }) => `${type} ${value} ${why}`,
      ),
      [
        `Ready False ${reason}`,
        ...(reason === 'Unsettled' ? [] : [`Stalled True ${reason}`]),
        `SpecAccepted False ${reason}`,
      ],
    );
  });

test('another reason is no transition', () => {
  const first = rejectedStatus('shop', [problem('SchemaInvalid')], {
    previous: undefined,
    now: NOW,
  });
  const next = rejectedStatus('shop', [problem('DuplicateName')], { previous: first, now: LATER });
  assert.ok(next.status.conditions.every((one) => one.lastTransitionTime === NOW.toISOString()));
});
