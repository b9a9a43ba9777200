/**
 * Writes what was received, whole source transactions at a time, each with the ledger's progress in the
 * same destination transaction. A table that cannot be written is Failed with it, and spooled from there on.
 */
import type { Clock } from '../core/clock.ts';
import { classify, MirrorError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { LSN_ZERO, type Lsn } from '../core/lsn.ts';
import { formatTableName } from '../core/table-name.ts';
import {
  isFed,
  nextTableState,
  type TableEvent,
  type TableFailure,
  type TableRecord,
} from '../core/table-state.ts';
import {
  advanceProgress,
  createSpool,
  dropSpool,
  writeTableState,
  type Owner,
} from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import { selectSpoolSizeSql } from '../sql/spool.ts';
import type { TransactionPart } from './assemble.ts';
import { applyApart, applyTogether, isTablesOwn } from './batch.ts';
import type { Router, RoutedTable, Work } from './router.ts';
import { spoolBytes, writeSpool, type SpoolEntry } from './spool.ts';
import type { ApplyTarget } from './target.ts';

export interface ApplierOptions {
  /** The writer's, as replica. */
  readonly session: Session;
  readonly router: Router;
  readonly owner: Owner;
  readonly log: Log;
  readonly clock: Clock;
  readonly targetOf: (record: TableRecord) => Promise<ApplyTarget | undefined>;
  readonly maxFailedSpoolBytes?: number;
}

/** What is durable now. */
export interface Applied {
  readonly endLsn: Lsn;
  readonly xids: readonly number[];
  readonly changes: number;
  /** Tables whose state it changed for the worse: Failed, diverged, or with a spool that is full. */
  readonly troubled: readonly TableRecord[];
}

/** What a failed table may have in its spool: room for hours of changes, and an end before the disk's. */
export const MAX_FAILED_SPOOL_BYTES = 1024 * 1024 * 1024;

/** Rows to change were not there: somebody else wrote to the table. */
export function rowsMissing(table: string, rows: number): MirrorError {
  return new MirrorError('RowsMissing', `${rows} rows to change were missing in ${table}`);
}

export class Applier {
  readonly #options: ApplierOptions;
  readonly #spools: FailedSpools;

  constructor(options: ApplierOptions) {
    this.#options = options;
    this.#spools = new FailedSpools(options.maxFailedSpoolBytes ?? MAX_FAILED_SPOOL_BYTES);
  }

  /** A batch of whole transactions; when it fails, once more with each table by itself. Throws MirrorError. */
  async applyWhole(batch: readonly TransactionPart[]): Promise<Applied> {
    const { session, router, log } = this.#options;
    const work = router.distribute(batch);
    const endLsn = batch.at(-1)?.endLsn ?? LSN_ZERO;
    const xids = batch.map(({ xid }) => xid);
    const changes = batch.reduce((sum, part) => sum + part.changes.length, 0);
    try {
      const missing = new Map<RoutedTable, number>();
      const troubled = await session.transaction(async () => {
        await applyTogether(session, work, (table, rows) => missing.set(table, rows));
        return this.#finish(endLsn, missing, work.spool);
      });
      return { endLsn, xids, changes, troubled };
    } catch (thrown) {
      const error = classify(thrown);
      if (!isTablesOwn(error) || !session.usable) throw error;
      log.debug({ err: error }, 'batch failed, applying table by table');
    }
    const troubled = await session.transaction(async () => {
      const { failed, missing } = await this.#applyApart(work);
      return [...failed, ...(await this.#finish(endLsn, missing, work.spool))];
    });
    return { endLsn, xids, changes, troubled };
  }

  /**
   * One source transaction in parts, in one destination transaction: memory holds a few parts at a
   * time. Rolled back when `nextPart` throws.
   */
  async applyLarge(nextPart: () => Promise<TransactionPart>): Promise<Applied> {
    const { session, router } = this.#options;
    const troubled: TableRecord[] = [];
    let changes = 0;
    return session.transaction(async () => {
      for (;;) {
        const part = await nextPart();
        const work = router.distribute([part]);
        const { failed, missing } = await this.#applyApart(work);
        troubled.push(...failed, ...(await this.#finish(part.endLsn, missing, work.spool)));
        changes += part.changes.length;
        if (part.endLsn !== undefined)
          return { endLsn: part.endLsn, xids: [part.xid], changes, troubled };
      }
    });
  }

  async #applyApart(
    work: Work,
  ): Promise<{ failed: TableRecord[]; missing: Map<RoutedTable, number> }> {
    const { session, owner } = this.#options;
    const missing = new Map<RoutedTable, number>();
    const failures = await applyApart(session, work, (table, rows) => missing.set(table, rows));
    const failed: TableRecord[] = [];
    for (const { table, error, entries } of failures) {
      // A swap is about to replace what cannot be written: its copy goes on, or starts again.
      const type = isFed(table.record) ? 'starved' : 'failed';
      if (type === 'failed') {
        await createSpool(session, owner, table.record.id);
        await writeSpool(session, entries);
      }
      failed.push(await this.#move(table.record, { type, failure: this.#failure(error) }));
    }
    return { failed, missing };
  }

  /** The end of each transaction, or of a part: what it found out of place, and how far it came. */
  async #finish(
    endLsn: Lsn | undefined,
    missing: ReadonlyMap<RoutedTable, number>,
    spooled: readonly SpoolEntry[],
  ): Promise<TableRecord[]> {
    const { session, owner, router } = this.#options;
    const troubled: TableRecord[] = [];
    for (const [{ record }, rows] of missing) {
      const failure = this.#failure(rowsMissing(formatTableName(record.destination), rows));
      // Under swap too: the counter may go back, and then the old table stays.
      if ('diverged' in record.state && record.state.diverged !== undefined) continue;
      if (record.state.phase === 'Live' || isFed(record))
        troubled.push(await this.#move(record, { type: 'diverged', failure }));
    }
    for (const record of await this.#spools.findFull(session, router, spooled)) {
      const message = `more changes of ${formatTableName(record.source)} than are kept`;
      const failure = this.#failure(new MirrorError('SpoolFull', message));
      await dropSpool(session, record.id);
      troubled.push(await this.#move(record, { type: 'failed', failure }));
    }
    if (endLsn !== undefined) await advanceProgress(session, owner, endLsn);
    return troubled;
  }

  #failure({ code, message, hint }: MirrorError): TableFailure {
    return { code, message, hint, since: this.#options.clock.now().toISOString(), attempts: 1 };
  }

  /** Inside the transaction. Routed at once, for later parts of it; a rollback ends the stream. */
  async #move(record: TableRecord, event: TableEvent): Promise<TableRecord> {
    const { session, router, owner, targetOf } = this.#options;
    const state = nextTableState(record.state, event);
    await writeTableState(session, owner, record.id, { state });
    const moved = { ...record, state };
    router.set(moved, await targetOf(moved));
    return moved;
  }
}

/** How much the spools of failed tables hold. */
class FailedSpools {
  readonly #maxBytes: number;
  readonly #bytes = new Map<string, number>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Counts what was spooled; returns the failed tables that are past the limit. */
  async findFull(
    session: Session,
    router: Router,
    spooled: readonly SpoolEntry[],
  ): Promise<TableRecord[]> {
    const failed = router.records().filter(({ state }) => state.phase === 'Failed');
    const full: TableRecord[] = [];
    for (const record of failed) {
      const own = spooled.filter(({ tableId }) => tableId === record.id);
      if (own.length === 0) continue;
      const before = this.#bytes.get(record.id) ?? (await spoolSize(session, record.id));
      const now = before + own.reduce((bytes, entry) => bytes + spoolBytes(entry), 0);
      if (now > this.#maxBytes) full.push(record);
      // A full one is gone with this; a table that fails again is measured again.
      if (now > this.#maxBytes) this.#bytes.delete(record.id);
      else this.#bytes.set(record.id, now);
    }
    for (const id of this.#bytes.keys())
      if (!failed.some((record) => record.id === id)) this.#bytes.delete(id);
    return full;
  }
}

async function spoolSize(session: Session, tableId: string): Promise<number> {
  const [row] = await session.query(selectSpoolSizeSql(tableId));
  return Number(row?.['bytes'] ?? 0);
}
