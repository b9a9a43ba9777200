/** Replays a table's spool into it, batch by batch, leaving out what its copy holds already. */
import { parseLsn } from '../core/lsn.ts';
import { advanceReplay, readReplayPosition, type Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import { selectSpoolBatchSql } from '../sql/spool.ts';
import type { Change } from './assemble.ts';
import { applyEntries } from './batch.ts';
import { readFrames } from './spool.ts';
import type { ApplyTarget } from './target.ts';
import { isCopied, type CopiedTransactions } from './visibility.ts';

export interface ReplayOptions {
  readonly tableId: string;
  readonly target: ApplyTarget;
  /** What the copy holds; undefined when every spooled change is still to be applied. */
  readonly copied: CopiedTransactions | undefined;
}

export interface ReplayResult {
  /** Rows of the spool that were read, replayed or not. */
  readonly rows: number;
  readonly bytes: number;
  /** Rows to change that were not in the table. */
  readonly missingRows: number;
}

/** Bytes of changes in one replay transaction. */
export const REPLAY_BATCH_BYTES = 4 * 1024 * 1024;
/** Rows of the spool in one replay transaction: each is one source transaction's. */
const REPLAY_BATCH_ROWS = 5_000;

/** One batch inside the caller's transaction, which moves the replay's position too. No rows: the spool is empty. */
export async function replayBatch(
  session: Session,
  owner: Owner,
  options: ReplayOptions,
): Promise<ReplayResult> {
  const { tableId, target, copied } = options;
  const after = await readReplayPosition(session, owner, tableId);
  const rows = await session.query(selectSpoolBatchSql(tableId), [
    after,
    REPLAY_BATCH_BYTES,
    REPLAY_BATCH_ROWS,
  ]);
  let bytes = 0;
  const entries: { changes: Change[] }[] = [];
  for (const row of rows) {
    const data = Buffer.from(row['data'] ?? '', 'hex');
    bytes += data.length;
    const transaction = { xid: Number(row['xid']), commitLsn: parseLsn(row['commit_lsn'] ?? '') };
    if (copied === undefined || !isCopied(copied, transaction))
      entries.push({ changes: readFrames(data) });
  }
  const missingRows = await applyEntries(session, target, entries);
  const last = rows.at(-1)?.['seq'] ?? after;
  await advanceReplay(session, owner, tableId, last);
  return { rows: rows.length, bytes, missingRows };
}
