import type { TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { Mend } from '../plan/mend.ts';
import type { Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';

export async function createShadow(
  _session: Session,
  _owner: Owner,
  _record: TableRecord,
  _mend: Mend,
): Promise<TableName> {
  throw new Error('being written');
}
export async function buildShadow(
  _session: Session,
  _record: TableRecord,
  _mend: Mend,
): Promise<void> {
  throw new Error('being written');
}
export async function dropShadow(_session: Session, _record: TableRecord): Promise<void> {
  throw new Error('being written');
}
