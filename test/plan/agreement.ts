/** What plan shows as a diff, does as steps and prints as JSON says the same, in every world. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { applyPatch, parsePatch } from 'diff';
import { parse } from 'yaml';
import { planJson } from '../../src/cli/plan-json.ts';
import type { PlanReport } from '../../src/cli/plan-look.ts';
import type { Mirror } from '../../src/core/mirror.ts';
import type { Observed } from '../../src/core/observed.ts';
import { formatTableName } from '../../src/core/table-name.ts';
import { comparePages } from '../../src/plan/diff/canonical.ts';
import { isDifference, type Plan } from '../../src/plan/plan.ts';
import { unifiedDiff } from '../../src/plan/diff/unified-diff.ts';

/** A diff exactly where there are steps, or differences that are left and told; nothing of what is refused; a diff that makes the one of the other. */
export function assertPlanIsShown(mirror: Mirror, observed: Observed, plan: Plan): void {
  const pages = comparePages(mirror, observed, plan);
  const diff = unifiedDiff(pages);
  const steps = plan.steps.map(({ kind }) => kind);
  const refused = new Set(plan.refusals.map(({ table }) => table));
  const isLeft = plan.notices.some(
    (notice) => isDifference(notice) && !refused.has(notice.table) && !refused.has(undefined),
  );
  if (steps.length > 0) assert.notEqual(diff, '', `nothing shows ${steps.join(', ')}`);
  else assert.equal(diff !== '', isLeft, diff);
  for (const { table } of plan.refusals) {
    const page = table && `${mirror.name}/${formatTableName(table.destination)}`;
    assert.ok(page === undefined ? pages.length === 0 : !pages.some(({ name }) => name === page));
  }
  const patches = diff === '' ? [] : parsePatch(diff);
  assert.equal(patches.length, pages.length);
  for (const [index, { actual = '', desired = '' }] of pages.entries()) {
    const patch = patches[index];
    assert.ok(patch);
    assert.equal(applyPatch(actual, patch), desired);
    for (const text of [actual, desired]) parse(text, { strict: true, uniqueKeys: true });
  }
  assertJson({ looks: [{ plan, diff, isRun: false }], failures: [], invalid: [] });
}

const SCHEMA = new URL('../../schemas/plan.schema.json', import.meta.url);
const ajv = new Ajv2020({ strict: true, allErrors: true });
const isPlan = ajv.compile(JSON.parse(readFileSync(SCHEMA, 'utf8')));

/** As the schema has it. */
export function assertJson(report: PlanReport): void {
  assertJsonText(planJson(report));
}

export function assertJsonText(text: string): void {
  assert.ok(isPlan(JSON.parse(text)), `${ajv.errorsText(isPlan.errors)}\n${text}`);
}
