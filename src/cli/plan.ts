import { classify } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import { observe } from '../observe/observe.ts';
import { comparePages } from '../plan/diff/canonical.ts';
import { isEmptyPlan } from '../plan/plan.ts';
import { planMirror } from '../plan/plan-mirror.ts';
import { unifiedDiff } from '../plan/diff/unified-diff.ts';
import { isMirrorLocked } from '../postgres/ownership.ts';
import { openSession } from '../postgres/session.ts';
import { describeDiagnostic } from '../spec/diagnostic.ts';
import { EXIT } from './exit-codes.ts';
import { tellError, unpainted, type Output } from './output.ts';
import { planJson } from './plan-json.ts';
import type { FailedLook, PlanLook, PlanReport } from './plan-look.ts';
import { planText } from './plan-text.ts';
import { findMirrors } from './select-mirrors.ts';

export interface PlanOptions {
  readonly dir: string;
  readonly output: 'text' | 'json';
  readonly detailedExitcode: boolean;
}

/**
 * `bunnydb plan [NAME]`: connects read-only, prints what `run` would do. Changes nothing. One invalid file or
 * one mirror that cannot be reached leaves the others alone. Returns the exit code: of several the gravest.
 */
export async function plan(
  name: string | undefined,
  options: PlanOptions,
  out: Output,
): Promise<number> {
  const found = await findMirrors(options.dir, name, out);
  if (found === undefined) return EXIT.invalidFiles;
  const looks: PlanLook[] = [];
  const failures: FailedLook[] = [];
  for (const mirror of found.mirrors) {
    try {
      looks.push(await lookAt(mirror));
    } catch (thrown) {
      failures.push({ mirror: mirror.name, error: classify(thrown) });
    }
  }
  const report: PlanReport = { looks, failures, invalid: found.errors };
  if (options.output === 'json') {
    out.print(planJson(report));
    tellErrors(report, out);
  } else out.print(planText(report, out.paint ?? unpainted));
  return exitCode(report, options);
}

async function lookAt(mirror: Mirror): Promise<PlanLook> {
  const options = { mirror: mirror.name, role: 'observer', readOnly: true } as const;
  await using source = await openSession(mirror.source, options);
  await using destination = await openSession(mirror.destination, options);
  const observed = await observe(mirror, { source, destination });
  const plan = planMirror(mirror, observed);
  return {
    plan,
    diff: unifiedDiff(comparePages(mirror, observed, plan)),
    isRun: await isMirrorLocked(destination, mirror.name),
  };
}

/** Whoever reads the other output by machine sees them all the same. */
function tellErrors({ failures, invalid }: PlanReport, out: Output): void {
  for (const { mirror, error } of failures) tellError(out, error, mirror);
  for (const diagnostic of invalid) out.error(`${describeDiagnostic(diagnostic)}\n`);
}

function exitCode({ looks, failures, invalid }: PlanReport, options: PlanOptions): number {
  if (invalid.length > 0) return EXIT.invalidFiles;
  if (failures.length > 0) return EXIT.failed;
  const isEmpty = looks.every((look) => isEmptyPlan(look.plan));
  return options.detailedExitcode && !isEmpty ? EXIT.differences : EXIT.done;
}
