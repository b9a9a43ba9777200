/** A source snapshot that several sessions read from, and what it sees. */
import { MirrorError } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { EXPORT_SNAPSHOT, SELECT_HEAP } from '../sql/copy.ts';
import { quoteLiteral, quoteTable } from '../sql/quote.ts';
import type { TableName } from '../core/table-name.ts';
import type { CopySnapshot } from '../core/table-state.ts';

const BEGIN_SNAPSHOT = 'begin transaction isolation level repeatable read, read only';

/** Lives as long as its session; dispose it when the last reader has imported it and is done. */
export class SourceSnapshot implements AsyncDisposable {
  readonly session: Session;
  readonly id: string;
  /** What it sees, to tell the stream's transactions apart. */
  readonly seen: CopySnapshot;
  readonly #mirror: Mirror;

  private constructor(mirror: Mirror, session: Session, exported: { id: string } & CopySnapshot) {
    this.#mirror = mirror;
    this.session = session;
    this.id = exported.id;
    this.seen = { visible: exported.visible, lsn: exported.lsn };
  }

  /** Waits for nobody: a plain repeatable-read snapshot, not a slot's. The signal cuts a connect. */
  static async take(mirror: Mirror, signal?: AbortSignal): Promise<SourceSnapshot> {
    const session = await openSession(mirror.source, {
      mirror: mirror.name,
      role: 'snapshot',
      readOnly: true,
      ...(signal === undefined ? {} : { signal }),
    });
    try {
      await session.query(BEGIN_SNAPSHOT);
      const [row] = await session.query(EXPORT_SNAPSHOT);
      const exported = {
        id: row?.['id'] ?? '',
        visible: row?.['visible'] ?? '',
        lsn: row?.['lsn'] ?? '',
      };
      return new SourceSnapshot(mirror, session, exported);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** A session that reads exactly what this snapshot sees. Throws SnapshotLost when it is gone. */
  async openReader(): Promise<Session> {
    const reader = await openSession(this.#mirror.source, {
      mirror: this.#mirror.name,
      role: 'snapshot',
      readOnly: true,
    });
    try {
      await reader.query(BEGIN_SNAPSHOT);
      await reader.query(`set transaction snapshot ${quoteLiteral(this.id)}`);
      return reader;
    } catch (cause) {
      await reader.close();
      throw new MirrorError('SnapshotLost', `cannot read from snapshot ${this.id}`, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.close();
  }
}

/** Where a table's rows are now: another file or other columns mean that a copy read the wrong thing. */
export interface Heap {
  readonly heapBytes: number;
  readonly estimatedRows: number;
  /** Changes with a rewrite or a change of columns. */
  readonly fingerprint: string;
}

/** The catalogs as the session sees them: as of a snapshot, or as they are now. Throws TableMissing. */
export async function readHeap(session: Session, table: TableName): Promise<Heap> {
  const [row] = await session.query(SELECT_HEAP, [quoteTable(table)]);
  if (!row)
    throw new MirrorError(
      'TableMissing',
      `source table ${table.schema}.${table.name} does not exist`,
    );
  return {
    heapBytes: Number(row['heap_bytes']),
    estimatedRows: Number(row['estimated_rows']),
    fingerprint: `${row['relfilenode']} ${row['columns']}`,
  };
}
