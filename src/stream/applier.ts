/**
 * Writes what was received, whole source transactions at a time, each with the ledger's progress in the
 * same destination transaction. A table that cannot be written is Failed with it, and spooled from there on.
 */
import type { Clock } from '../core/clock.ts';
import { classify } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { LSN_ZERO, type Lsn } from '../core/lsn.ts';
import { formatTableName } from '../core/table-name.ts';
import { nextTableState, type TableRecord } from '../core/table-state.ts';
import { advanceProgress, createSpool, writeTableState, type Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import type { TransactionPart } from './assemble.ts';
import { applyApart, applyTogether, isTablesOwn, type FailedTable } from './batch.ts';
import type { Router, RoutedTable } from './router.ts';
import { writeSpool } from './spool.ts';
import type { ApplyTarget } from './target.ts';

export interface ApplierOptions {
  /** The writer's, as replica. */
  readonly session: Session;
  readonly router: Router;
  readonly owner: Owner;
  readonly log: Log;
  readonly clock: Clock;
  readonly targetOf: (record: TableRecord) => Promise<ApplyTarget | undefined>;
}

/** What is durable now. */
export interface Applied {
  readonly endLsn: Lsn;
  readonly xids: readonly number[];
  readonly changes: number;
  /** Tables that this made Failed. */
  readonly failed: readonly TableRecord[];
}

export class Applier {
  readonly #options: ApplierOptions;

  constructor(options: ApplierOptions) {
    this.#options = options;
  }

  /** A batch of whole transactions; when it fails, once more with each table by itself. Throws MirrorError. */
  async applyWhole(batch: readonly TransactionPart[]): Promise<Applied> {
    const { session, router, owner, log } = this.#options;
    const work = router.distribute(batch);
    const endLsn = batch.at(-1)?.endLsn ?? LSN_ZERO;
    const xids = batch.map(({ xid }) => xid);
    const changes = batch.reduce((sum, part) => sum + part.changes.length, 0);
    try {
      await session.transaction(async () => {
        await applyTogether(session, work, this.#onMissingRows);
        await advanceProgress(session, owner, endLsn);
      });
      return { endLsn, xids, changes, failed: [] };
    } catch (thrown) {
      const error = classify(thrown);
      if (!isTablesOwn(error) || !session.usable) throw error;
      log.debug({ err: error }, 'batch failed, applying table by table');
    }
    const failed = await session.transaction(async () => {
      const tables = await this.#failTables(await applyApart(session, work, this.#onMissingRows));
      await advanceProgress(session, owner, endLsn);
      return tables;
    });
    return { endLsn, xids, changes, failed };
  }

  /**
   * One source transaction in parts, in one destination transaction: memory holds a few parts at a
   * time. Rolled back when `nextPart` throws.
   */
  async applyLarge(nextPart: () => Promise<TransactionPart>): Promise<Applied> {
    const { session, router, owner } = this.#options;
    const failed: TableRecord[] = [];
    let changes = 0;
    return session.transaction(async () => {
      for (;;) {
        const part = await nextPart();
        const work = router.distribute([part]);
        const apart = await applyApart(session, work, this.#onMissingRows);
        failed.push(...(await this.#failTables(apart)));
        changes += part.changes.length;
        if (part.endLsn === undefined) continue;
        await advanceProgress(session, owner, part.endLsn);
        return { endLsn: part.endLsn, xids: [part.xid], changes, failed };
      }
    });
  }

  /** Inside the transaction: the tables are Failed with it, and their changes are in the spool. */
  async #failTables(failures: readonly FailedTable[]): Promise<TableRecord[]> {
    const { session, router, owner, clock, targetOf } = this.#options;
    const since = clock.now().toISOString();
    const records: TableRecord[] = [];
    for (const { table, error, entries } of failures) {
      const { code, message, hint } = error;
      const failure = { code, message, hint, since, attempts: 1 };
      const state = nextTableState(table.record.state, { type: 'failed', failure });
      await writeTableState(session, owner, table.record.id, { state });
      if (!table.route.spool) {
        await createSpool(session, owner, table.record.id);
        await writeSpool(session, entries);
      }
      const record = { ...table.record, state };
      // Routed at once: later parts of the same transaction go to the spool. A rollback ends the stream.
      router.set(record, await targetOf(record));
      records.push(record);
    }
    return records;
  }

  readonly #onMissingRows = (table: RoutedTable, rows: number): void => {
    this.#options.log.warn(
      { table: formatTableName(table.record.source), rows },
      'rows to change were not at the destination; resync the table',
    );
  };
}
