import type { TableShape } from '../../core/observed.ts';
import type { Refusal } from '../plan.ts';
import { preflightSourceTable, type SourceLook, type SourceRules } from '../preflight-source.ts';

/** Why a mirror could not have that table of its source, in the words in which `plan` would refuse it; empty when it could. */
export function whyNotMirrorable(
  shape: TableShape,
  rules: SourceRules,
  look: SourceLook,
): Refusal[] {
  const table = {
    source: shape.name,
    destination: shape.name,
    excludeColumns: [],
    generation: { table: 0, mirror: 0 },
    resyncStrategy: 'truncate',
  } as const;
  const one = { table, desired: undefined, observed: { sourceShape: shape } };
  return preflightSourceTable(one, rules, look);
}
