import type { TableRecord } from '../core/table-state.ts';
import type { Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';

export type SwapPlan = object;
export async function prepareSwap(_session: Session, _record: TableRecord): Promise<SwapPlan> {
  throw new Error('being written');
}
export async function swapTables(
  _session: Session,
  _owner: Owner,
  _record: TableRecord,
  _plan: SwapPlan,
): Promise<void> {
  throw new Error('being written');
}
