/** Steps that take effect at a commit boundary of the stream. */
import { formatTableName } from '../core/table-name.ts';
import type { Step } from '../plan/plan.ts';
import { deleteTable, dropSpool, writeTableState, type Owner } from '../postgres/ledger.ts';
import type { Follower } from '../stream/follow.ts';
import type { Outcome } from './outcome.ts';

/** snapshot.initial is false: Live from this boundary on, whatever rows the destination has. */
export async function adoptTable(
  follower: Follower,
  owner: Owner,
  { kind, table, generation }: Extract<Step, { kind: 'adopt-table' }>,
): Promise<Outcome> {
  const record = follower.recordOf(table.source);
  if (!record) throw new Error(`the stream does not know ${formatTableName(table.source)}`);
  await follower.atBoundary(async (session) => {
    const state = { phase: 'Live' } as const;
    await writeTableState(session, owner, record.id, { state, observed: generation });
    return { result: undefined, changed: [{ ...record, state, observed: generation }] };
  });
  return {
    step: kind,
    table: table.destination,
    changed: true,
    message: formatTableName(table.source),
  };
}

/** Out of the mirror: its changes are dropped, its spool goes, its rows stay. */
export async function retireTable(
  follower: Follower,
  owner: Owner,
  { kind, record }: Extract<Step, { kind: 'retire-table' }>,
): Promise<Outcome> {
  await follower.atBoundary(async (session) => {
    await dropSpool(session, record.id);
    await deleteTable(session, owner, record.id);
    return { result: undefined, removed: record.source };
  });
  return {
    step: kind,
    table: record.destination,
    changed: true,
    message: formatTableName(record.source),
  };
}
