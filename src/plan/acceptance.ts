import { changesOf } from '../core/field-change.ts';
import type { Mirror } from '../core/mirror.ts';
import type { MirrorRecord } from '../core/observed.ts';
import type { Step } from './plan.ts';

/** The ledger takes the file up; not where it has it as it is, less the tables that have left since. */
export function planAcceptance(mirror: Mirror, record: MirrorRecord | undefined): Step[] {
  const changes = record?.spec === undefined ? [] : changesOf(record.spec, mirror);
  return record?.specHash === mirror.specHash && changes.length === 0
    ? []
    : [{ kind: 'accept-spec', changes }];
}
