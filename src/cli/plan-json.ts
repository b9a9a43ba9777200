/** A plan as scripts read it: the form that schemas/plan.schema.json promises. Pure. */
import type { MirrorTable } from '../core/mirror.ts';
import { formatTableName } from '../core/table-name.ts';
import { describeStepOf, totalsOf } from '../plan/describe.ts';
import { locksOf } from '../plan/locks.ts';
import type { Step } from '../plan/plan.ts';
import type { PlanLook, PlanReport } from './plan-look.ts';

/** What is not known, or does not apply, is left out. */
export function planJson({ looks, failures, invalid }: PlanReport): string {
  const plans = looks.map(planValue);
  const all = looks.map(({ plan }) => plan);
  const value = {
    format_version: '1.0',
    plans,
    errors: failures.map(({ mirror, error: { code, message, hint } }) => ({
      mirror,
      code,
      message,
      hint,
    })),
    invalid,
    totals: {
      ...totalsOf({
        steps: all.flatMap(({ steps }) => steps),
        refusals: all.flatMap(({ refusals }) => refusals),
      }),
      errors: failures.length,
      invalid: invalid.length,
    },
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

function planValue({ plan, diff, isRun }: PlanLook): object {
  return {
    mirror: plan.mirror,
    running: isRun,
    diff,
    steps: plan.steps.map((step) => stepValue(step, { isRun })),
    refusals: plan.refusals.map(({ table, error: { code, message, hint } }) => ({
      ...tableValue(table),
      code,
      message,
      hint,
    })),
    notices: plan.notices.map(({ table, reason, message }) => ({
      ...tableValue(table),
      reason,
      message,
    })),
    totals: totalsOf(plan),
  };
}

function stepValue(step: Step, now: Pick<PlanLook, 'isRun'>): object {
  return {
    kind: step.kind,
    ...tableValue('record' in step ? step.record : 'table' in step ? step.table : undefined),
    ...describeStepOf(step, now),
    locks: locksOf(step),
    ...(step.kind === 'copy-table' ? copyValue(step) : {}),
  };
}

/** The source's catalogs have -1 rows for a table that was never analysed. */
function copyValue(step: Extract<Step, { kind: 'copy-table' }>): object {
  const { estimatedRows, estimatedBytes, heldUntil } = step;
  return {
    ...(estimatedRows < 0 ? {} : { estimatedRows }),
    estimatedBytes,
    ...(heldUntil === undefined ? {} : { heldUntil }),
  };
}

/** By its name at the source, as the file has it. */
function tableValue(table: Pick<MirrorTable, 'source'> | undefined): { table?: string } {
  return table === undefined ? {} : { table: formatTableName(table.source) };
}
