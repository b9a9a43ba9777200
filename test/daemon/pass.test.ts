/** How far the failure of one step reaches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { silentLog } from '../../src/core/log.ts';
import { attemptInOrder, soundSteps, type Attempts } from '../../src/daemon/mirror/pass.ts';
import type { Scope } from '../../src/daemon/mirror/scope.ts';
import type { Step } from '../../src/plan/plan.ts';
import { table } from '../plan/fixtures.ts';
import { EMPTY_PLAN } from '../status/views.ts';

const [A, B] = [table('public.a'), table('public.b')];
const RESTORE: Step = {
  kind: 'restore-foreign-key',
  table: A,
  saved: {
    id: '1',
    table: A.destination,
    owner: { schema: 'public', name: 'own' },
    name: 'own_fkey',
    definition: 'FOREIGN KEY (a) REFERENCES public.a(id)',
  },
};
const INDEX: Step = {
  kind: 'create-index',
  table: A,
  index: { name: 'a_v', unique: false, valid: true, definition: 'USING btree (v)', touches: ['v'] },
};
const OTHER_INDEX: Step = { ...INDEX, table: B };
const VERIFY_A: Step = { kind: 'verify-table', table: A, reason: 'copied' };
const VERIFY_B: Step = { ...VERIFY_A, table: B };

/** Steps that were tried, and those that are sound afterwards, by kind and table. */
async function attempted(
  steps: readonly Step[],
  failing: Step,
): Promise<{ tried: string[]; sound: string[]; failed: string[] }> {
  const pass: Attempts = {
    scope: { isWhole: true } as Scope,
    log: silentLog(),
    isDue: () => true,
    plan: { ...EMPTY_PLAN, steps },
    outcomes: [],
    tableErrors: new Map(),
    left: new Set(),
    error: undefined,
  };
  const tried: string[] = [];
  const early = steps.filter(({ kind }) => kind !== 'verify-table');
  await attemptInOrder(pass, early, async (step) => {
    tried.push(nameOf(step));
    if (step === failing) throw new MirrorError('ConstraintViolated', 'rows break it');
    return { step: step.kind, changed: true, message: '' };
  });
  return { tried, sound: soundSteps(pass).map(nameOf), failed: [...pass.tableErrors.keys()] };
}

function nameOf(step: Step): string {
  return 'table' in step && step.table ? `${step.kind} ${step.table.source.name}` : step.kind;
}

test('a step that fails holds the later ones of its table, and no other table’s', async () => {
  const { tried, sound, failed } = await attempted(
    [INDEX, RESTORE, OTHER_INDEX, VERIFY_A, VERIFY_B],
    INDEX,
  );
  assert.deepEqual(tried, ['create-index a', 'create-index b']);
  assert.deepEqual(sound, ['create-index b', 'verify-table b']);
  assert.deepEqual(failed, ['public.a']);
});

test('a foreign key that rows break holds nothing up, and is its table’s error', async () => {
  const { tried, sound, failed } = await attempted([RESTORE, INDEX, VERIFY_A], RESTORE);
  assert.deepEqual(tried, ['restore-foreign-key a', 'create-index a']);
  assert.deepEqual(sound, ['restore-foreign-key a', 'create-index a', 'verify-table a']);
  assert.deepEqual(failed, ['public.a']);
});
