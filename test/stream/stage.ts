/**
 * A source whose changes are read message by message, and a destination they are applied to: the
 * stream without its wire. Each batch is what one call of `replicate` did.
 */
import assert from 'node:assert/strict';
import { formatTableName, parseTableName, type TableName } from '../../src/core/table-name.ts';
import { writeAsReplica } from '../../src/postgres/replica-role.ts';
import { openSession, type Row, type Session } from '../../src/postgres/session.ts';
import { quoteTable } from '../../src/sql/quote.ts';
import { Assembler, type TransactionPart } from '../../src/stream/assemble.ts';
import { applyApart, applyTogether, type FailedTable } from '../../src/stream/batch.ts';
import { decodeMessage } from '../../src/stream/decode.ts';
import { Router } from '../../src/stream/router.ts';
import { loadTarget } from '../../src/stream/target.ts';
import { type SharedClusters, sharedClusters } from '../servers/shared.ts';

/** Slot names are the whole server's. */
const CREATE_SLOT = `select pg_create_logical_replication_slot(current_database(), 'pgoutput', true)`;
const READ_CHANGES = `
select encode(data, 'hex') as data
from pg_logical_slot_get_binary_changes(current_database(), null, null, 'proto_version', '1', 'publication_names', 'stage')`;

export interface StageOptions {
  /** DDL for both sides. */
  readonly schema: string;
  /** DDL for the destination, where it is another. */
  readonly destination?: string;
  /** As in a mirror file; each is Live under its own name. */
  readonly tables: readonly string[];
  readonly excludeColumns?: readonly string[];
}

export interface BatchResult {
  /** Rows to change that were not there. */
  readonly missingRows: number;
  readonly failed: readonly FailedTable[];
}

interface Ends extends SharedClusters {
  readonly from: string;
  readonly to: string;
  readonly options: StageOptions;
}

export class Stage implements AsyncDisposable {
  readonly source: Session;
  readonly destination: Session;
  readonly #ends: Ends;

  private constructor(source: Session, destination: Session, ends: Ends) {
    this.source = source;
    this.destination = destination;
    this.#ends = ends;
  }

  static async open(options: StageOptions): Promise<Stage> {
    const clusters = await sharedClusters();
    const [from, to] = [
      await clusters.source.createDatabase(),
      await clusters.destination.createDatabase(),
    ];
    const source = await openSession(clusters.source.connection(from), {
      mirror: 'stage',
      role: 'observer',
    });
    const destination = await openSession(clusters.destination.connection(to), {
      mirror: 'stage',
      role: 'writer',
    });
    const stage = new Stage(source, destination, { ...clusters, from, to, options });
    await clusters.source.query(from, options.schema);
    await clusters.destination.query(to, options.destination ?? options.schema);
    await source.query(
      'create publication stage for all tables with (publish_via_partition_root = true)',
    );
    await source.query(CREATE_SLOT);
    await writeAsReplica(destination);
    return stage;
  }

  /** Runs each text at the source, in a transaction of its own; returns what the stream says of them. */
  async transactions(...texts: readonly string[]): Promise<TransactionPart[]> {
    for (const text of texts) await this.#ends.source.query(this.#ends.from, text);
    const assembler = new Assembler();
    const messages = await this.source.query(READ_CHANGES);
    return messages.flatMap(
      ({ data }) => assembler.accept(decodeMessage(Buffer.from(data ?? '', 'hex'))) ?? [],
    );
  }

  /** Applies what the texts do at the source, as one batch in which every table must succeed. */
  async replicate(...texts: readonly string[]): Promise<void> {
    const { missingRows } = await this.#apply(await this.transactions(...texts), 'together');
    assert.equal(missingRows, 0, 'rows to change are there');
  }

  /** Like replicate, and says how many rows were missing. */
  async replicateLoosely(...texts: readonly string[]): Promise<BatchResult> {
    return this.#apply(await this.transactions(...texts), 'together');
  }

  /** Like replicate, table by table: failing ones are given back. */
  async replicateApart(...texts: readonly string[]): Promise<BatchResult> {
    return this.#apply(await this.transactions(...texts), 'apart');
  }

  async #apply(parts: readonly TransactionPart[], how: 'together' | 'apart'): Promise<BatchResult> {
    const work = (await this.#router()).distribute(parts);
    let missingRows = 0;
    const count = (_table: unknown, rows: number): void => {
      missingRows += rows;
    };
    const failed = await this.destination.transaction(async () => {
      if (how === 'apart') return applyApart(this.destination, work, count);
      await applyTogether(this.destination, work, count);
      return [];
    });
    return { missingRows, failed };
  }

  /** Every table is Live; read again each time, as after a change of state. */
  async #router(): Promise<Router> {
    const router = new Router();
    for (const [index, text] of this.#ends.options.tables.entries()) {
      const table = name(text);
      const target = await loadTarget(
        this.destination,
        table,
        this.#ends.options.excludeColumns ?? [],
      );
      const record = {
        id: String(index),
        source: table,
        destination: table,
        observed: undefined,
        state: { phase: 'Live' } as const,
      };
      router.set(record, target);
    }
    return router;
  }

  /** Both sides print the same rows. */
  async assertSame(columns = 't.*'): Promise<void> {
    for (const text of this.#ends.options.tables) {
      const sql = `select ${columns} from ${quoteTable(name(text))} as t`;
      const [source, destination] = [
        await this.source.query(sql),
        await this.destination.query(sql),
      ];
      assert.deepEqual(sorted(destination), sorted(source), formatTableName(name(text)));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.source.close();
    await this.destination.close();
    await this.#ends.source.dropDatabase(this.#ends.from);
    await this.#ends.destination.dropDatabase(this.#ends.to);
  }
}

/** `schema.table` as in a mirror file. */
function name(text: string): TableName {
  const parsed = parseTableName(text);
  assert.ok(parsed, text);
  return parsed;
}

function sorted(rows: readonly Row[]): string[] {
  return rows.map((row) => JSON.stringify(row, Object.keys(row).sort())).sort();
}
