import { describeNotice, describeRefusal, describeStep } from './describe.ts';
import type { Notice, Plan, Step } from './plan.ts';

/**
 * What the databases have otherwise than it was once made, one line each: put right by a step, or left and
 * told. Empty while the file itself changed: what it asks for now is no drift.
 */
export function driftOf(plan: Plan): string[] {
  const isEdited = plan.steps.some(
    ({ kind }) => kind === 'accept-spec' || kind === 'register-mirror',
  );
  if (isEdited) return [];
  const added = new Set(
    plan.steps.flatMap((step) => (step.kind === 'register-table' ? [step.table] : [])),
  );
  return [
    ...plan.steps
      .filter((step) => isRepair(step) && !('table' in step && step.table && added.has(step.table)))
      .map((step) => describeStep(step).text),
    ...plan.notices.filter(isDrift).map((notice) => describeNotice(notice).text),
    ...plan.refusals
      .filter(({ error }) => error.code === 'SchemaMismatch')
      .map((refusal) => describeRefusal(refusal).text.split('\n')[0] ?? ''),
  ];
}

function isRepair({ kind }: Step): boolean {
  switch (kind) {
    case 'create-publication':
    case 'alter-publication':
    case 'publish-table':
    case 'create-table':
    case 'create-constraint':
    case 'create-index':
    case 'add-foreign-key':
      return true;
    default:
      return false;
  }
}

function isDrift({ reason }: Notice): boolean {
  return reason === 'IndexDiffers' || reason === 'ShapeDiffers';
}
