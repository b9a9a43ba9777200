import { classify } from '../core/errors.ts';
import { formatTableName } from '../core/table-name.ts';
import type { Mirror } from '../core/mirror.ts';
import { observe } from '../observe/observe.ts';
import { describePlan, describeStep } from '../plan/describe.ts';
import { isEmptyPlan, type Plan } from '../plan/plan.ts';
import { planMirror } from '../plan/plan-mirror.ts';
import { isMirrorLocked } from '../postgres/ledger.ts';
import { openSession } from '../postgres/session.ts';
import { EXIT } from './exit-codes.ts';
import { selectMirrors } from './select-mirrors.ts';
import type { Output } from './output.ts';

export interface PlanOptions {
  readonly dir: string;
  readonly output: 'text' | 'json';
  readonly detailedExitcode: boolean;
}

/** `bunnydb plan [NAME]`: connects read-only, prints what `run` would do. Changes nothing. Returns the exit code. */
export async function plan(
  name: string | undefined,
  options: PlanOptions,
  out: Output,
): Promise<number> {
  const mirrors = await selectMirrors(options.dir, name, out);
  if (mirrors === undefined) return EXIT.invalidFiles;
  const plans: Plan[] = [];
  const running = new Set<Plan>();
  let hasFailed = false;
  for (const mirror of mirrors) {
    try {
      const look = await lookAt(mirror);
      plans.push(look.plan);
      if (look.isRun) running.add(look.plan);
    } catch (thrown) {
      const error = classify(thrown);
      out.error(`${mirror.name}: ${error.message} [${error.code}]\n  ${error.hint}\n`);
      hasFailed = true;
    }
  }
  out.print(
    options.output === 'json'
      ? toJson(plans)
      : plans.map((one) => toText(one, running.has(one))).join('\n'),
  );
  if (hasFailed) return EXIT.failed;
  return options.detailedExitcode && !plans.every(isEmptyPlan) ? EXIT.differences : EXIT.done;
}

async function lookAt(mirror: Mirror): Promise<{ plan: Plan; isRun: boolean }> {
  const options = { mirror: mirror.name, role: 'observer', readOnly: true } as const;
  await using source = await openSession(mirror.source, options);
  await using destination = await openSession(mirror.destination, options);
  const plan = planMirror(mirror, await observe(mirror, { source, destination }));
  return { plan, isRun: await isMirrorLocked(destination, mirror.name) };
}

/** What is under way is planned as after an interruption, which it is not while a daemon is at it. */
function toText(plan: Plan, isRun: boolean): string {
  const { mirror } = plan;
  const note =
    isRun && plan.steps.length > 0
      ? `A daemon runs this mirror, and may be at work on it: bunnydb status ${mirror}\n`
      : '';
  return `${describePlan(plan)}\n${note}`;
}

/** A stable form for scripts: names and words, no internals. */
function toJson(plans: readonly Plan[]): string {
  const nameOf = (table: { source: { schema: string; name: string } } | undefined): string | null =>
    table === undefined ? null : formatTableName(table.source);
  const value = {
    format_version: '1.0',
    plans: plans.map((one) => ({
      mirror: one.mirror,
      steps: one.steps.map((step) => ({
        kind: step.kind,
        table: 'table' in step ? nameOf(step.table) : null,
        ...describeStep(step),
      })),
      refusals: one.refusals.map(({ table, error }) => ({
        table: nameOf(table),
        code: error.code,
        message: error.message,
        hint: error.hint,
      })),
      notices: one.notices.map(({ table, reason, message }) => ({
        table: nameOf(table),
        reason,
        message,
      })),
    })),
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}
