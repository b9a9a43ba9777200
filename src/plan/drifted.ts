import { formatTableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import { describeNotice, describeRefusal, describeStep } from './describe.ts';
import { isDifference, type Plan, type Refusal, type Step } from './plan.ts';
import { isRecordOf } from './table-case.ts';

/**
 * What the databases have otherwise than it was once made, one line each: put right by a step, or left and
 * told. Empty while the file itself changed: what it asks for now is no drift. Nor is what a copy has yet to
 * bring, or has brought just now. By `records`, the ledger's tables, what was never copied cannot drift.
 */
export function driftOf(plan: Plan, records: readonly TableRecord[]): string[] {
  const isEdited = plan.steps.some(
    ({ kind }) => kind === 'accept-spec' || kind === 'register-mirror',
  );
  if (isEdited) return [];
  const underWay = tablesOf(plan.steps.filter(isOfCopy));
  const added = tablesOf(plan.steps.filter(isOfFirstCopy));
  const isRepair = (step: Step): boolean => {
    switch (step.kind) {
      case 'create-publication':
      case 'alter-publication':
        return true;
      case 'create-table':
        return !added.has(formatTableName(step.table.destination));
      case 'publish-table':
      case 'create-constraint':
      case 'create-index':
        return !underWay.has(formatTableName(step.table.destination));
      case 'add-foreign-key':
        return ![step.table.destination, step.references].some((end) =>
          underWay.has(formatTableName(end)),
        );
      default:
        return false;
    }
  };
  const hasDrifted = ({ table, error }: Refusal): boolean =>
    error.code === 'SchemaMismatch' &&
    table !== undefined &&
    records.some((record) => record.observed !== undefined && isRecordOf(record, table));
  return [
    ...plan.steps.filter(isRepair).map((step) => describeStep(step).text),
    ...plan.notices
      .filter(isDifference)
      .filter(
        ({ table }) => table === undefined || !underWay.has(formatTableName(table.destination)),
      )
      .map((notice) => describeNotice(notice).text),
    ...plan.refusals
      .filter(hasDrifted)
      .map((refusal) => describeRefusal(refusal).text.split('\n')[0] ?? ''),
  ];
}

type OfTable = Extract<
  Step,
  { kind: 'register-table' | 'copy-table' | 'replay-table' | 'verify-table' }
>;

/** Its rows are on the way, or came so lately that they are not proven. */
function isOfCopy(step: Step): step is OfTable {
  return (
    step.kind === 'register-table' ||
    step.kind === 'copy-table' ||
    (step.kind === 'replay-table' && step.endsSwap) ||
    (step.kind === 'verify-table' && step.reason === 'copied')
  );
}

function isOfFirstCopy(step: Step): step is OfTable {
  return step.kind === 'register-table' || (step.kind === 'copy-table' && step.reason === 'first');
}

function tablesOf(steps: readonly OfTable[]): ReadonlySet<string> {
  return new Set(steps.map(({ table }) => formatTableName(table.destination)));
}
