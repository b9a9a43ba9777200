/** Replays a table's spool into it, batch by batch, leaving out what its copy holds already. */
import type { Session } from '../postgres/session.ts';
import { DELETE_SPOOL_THROUGH, SELECT_SPOOL_BATCH } from '../sql/spool.ts';
import { applyEntries } from './batch.ts';
import { readFrames } from './spool.ts';
import type { ApplyTarget } from './target.ts';
import { sees, type Visibility } from './visibility.ts';

export interface ReplayOptions {
  readonly tableId: string;
  readonly target: ApplyTarget;
  /** What the copy's snapshot sees; undefined when every spooled change is still to be applied. */
  readonly visibility: Visibility | undefined;
}

export interface ReplayResult {
  readonly changes: number;
  /** Bytes of changes that were read; less than the limit means the spool was emptied. */
  readonly bytes: number;
  readonly missingRows: number;
}

/** Bytes of changes in one replay transaction. */
export const REPLAY_BATCH_BYTES = 4 * 1024 * 1024;
/** Rows of the spool in one replay transaction: each is one source transaction's. */
const REPLAY_BATCH_ROWS = 5_000;

/** One batch inside the caller's transaction, which also deletes what it replayed. Nothing left: changes 0, bytes 0. */
export async function replayBatch(session: Session, options: ReplayOptions): Promise<ReplayResult> {
  const { tableId, target, visibility } = options;
  const rows = await session.query(SELECT_SPOOL_BATCH, [tableId, '0', REPLAY_BATCH_BYTES, REPLAY_BATCH_ROWS]);
  let changes = 0;
  let bytes = 0;
  const entries: { changes: ReturnType<typeof readFrames> }[] = [];
  for (const row of rows) {
    const data = Buffer.from(row['data'] ?? '', 'hex');
    bytes += data.length;
    if (visibility !== undefined && sees(visibility, Number(row['xid']))) continue;
    const entry = { changes: readFrames(data) };
    changes += entry.changes.length;
    entries.push(entry);
  }
  const missingRows = await applyEntries(session, target, entries);
  const last = rows.at(-1)?.['seq'];
  if (last !== undefined && last !== null) await session.query(DELETE_SPOOL_THROUGH, [tableId, last]);
  return { changes, bytes, missingRows };
}
