/** Steps that take effect at a commit boundary of the stream. */
import { checkpoint } from '../core/checkpoint.ts';
import { formatTableName } from '../core/table-name.ts';
import { copied, nextTableState } from '../core/table-state.ts';
import type { Step } from '../plan/plan.ts';
import { deleteTable, dropSpool, writeTableState, type Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import type { Follower } from '../stream/follow.ts';
import { dropTable, prepareDrop } from './drop-table.ts';
import type { Outcome } from './outcome.ts';
import { dropBoth, dropShadow } from './shadow.ts';
import { readFilled, type DatabaseIdentity } from './table-run.ts';

/** Where an adopted table is, and how the source publishes it. */
export interface Adopted {
  readonly destination: DatabaseIdentity;
  readonly memberships: readonly string[];
}

/** snapshot.initial is false: Live from this boundary on, whatever rows the destination has. */
export async function adoptTable(
  follower: Follower,
  owner: Owner,
  { kind, table, generation }: Extract<Step, { kind: 'adopt-table' }>,
  { destination, memberships }: Adopted,
): Promise<Outcome> {
  const record = follower.recordOf(table.source);
  if (!record) throw new Error(`the stream does not know ${formatTableName(table.source)}`);
  await follower.atBoundary(async (session) => {
    const state = { phase: 'Live' } as const;
    const filled = await readFilled(session, record.destination, destination);
    const done = {
      generation,
      excludeColumns: table.excludeColumns,
      memberships,
      ...(filled === undefined ? {} : { filled }),
    };
    await writeTableState(session, owner, record.id, { state, done });
    return { result: undefined, changed: [copied(record, state, done)] };
  });
  return {
    step: kind,
    table: table.destination,
    changed: true,
    message: formatTableName(table.source),
  };
}

/**
 * The counter went back while its resync ran. A table that was fed is Live as if nothing had been; one
 * that is being filled in place has lost its rows already: its copy ends, as the generation that was done.
 */
export async function cancelCopy(
  follower: Follower,
  owner: Owner,
  { kind, table }: Extract<Step, { kind: 'cancel-copy' }>,
): Promise<Outcome> {
  const changed = await follower.atBoundary(async (session) => {
    const record = follower.recordOf(table.source);
    // It may have ended meanwhile.
    if (!record?.observed || !('run' in record.state) || !record.state.run)
      return { result: false };
    const event = { type: 'cancelled', observed: record.observed } as const;
    const state = nextTableState(record.state, event);
    if (state.phase === 'Live') await dropSpool(session, record.id);
    await writeTableState(session, owner, record.id, { state });
    return { result: true, changed: [{ ...record, state }] };
  });
  return {
    step: kind,
    table: table.destination,
    changed,
    message: formatTableName(table.source),
  };
}

/** What a swap left that was cancelled, given up, or cut off right after it. */
export async function removeShadow(
  destination: Session,
  owner: Owner,
  { kind, table, record }: Extract<Step, { kind: 'drop-shadow' }>,
): Promise<Outcome> {
  await dropShadow(destination, owner, record);
  return {
    step: kind,
    table: table.destination,
    changed: true,
    message: `shadow of ${formatTableName(record.destination)}`,
  };
}

/**
 * Out of the mirror: its changes are dropped, its spool goes. Its rows stay, or the table is dropped with
 * them in the same transaction; then throws what dropTable throws, and the stream still has the table.
 */
export async function retireTable(
  follower: Follower,
  destination: Session,
  owner: Owner,
  { kind, record, drop }: Extract<Step, { kind: 'retire-table' }>,
): Promise<Outcome> {
  const table = drop ? await prepareDrop(destination, record.destination, []) : undefined;
  await follower.atBoundary(async (session) => {
    await dropSpool(session, record.id);
    if (await dropBoth(session, owner, record)) checkpoint('old-dropped', record.source);
    if (table !== undefined) await dropTable(session, table);
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
