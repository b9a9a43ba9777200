import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mirror } from '../../src/core/mirror.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { assertPlanIsShown } from './agreement.ts';
import { assertCheckAgrees } from './check-looks.ts';
import { mirror, observed, type Sketch, sketchPlan, type World } from './fixtures.ts';

/** One world, and the plan in it. */
export interface Case {
  readonly name: string;
  readonly mirror?: Mirror;
  readonly world?: World;
  readonly plan: Sketch;
}

/** One test for each case; twice, for the same input gives the same plan. */
export function runCases(cases: readonly Case[]): void {
  for (const { name, world, plan, mirror: file = mirror() } of cases)
    test(name, () => {
      const seen = observed(world);
      const first = planMirror(file, seen);
      assert.deepEqual(sketchPlan(first), { steps: [], refusals: [], notices: [], ...plan });
      assert.deepEqual(planMirror(file, seen), first);
      assertPlanIsShown(file, seen, first);
      assertCheckAgrees(file, seen);
    });
}
