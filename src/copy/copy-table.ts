/**
 * Copies one table's rows: readers share one source snapshot, each range goes through its own pair of
 * COPYs and is committed by itself, after both sides counted the same rows.
 */
import { checkpoint } from '../core/checkpoint.ts';
import { MirrorError } from '../core/errors.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import { pipeCopy } from '../postgres/copy-streams.ts';
import type { Session } from '../postgres/session.ts';
import { copyInSql, copyOutSql, type CopyFormat, type CopySource } from '../sql/copy.ts';
import { BLOCK_BYTES, cutRanges, type BlockRange } from './ranges.ts';
import { readHeap, type SourceSnapshot } from './snapshot.ts';

export interface CopyJob {
  readonly snapshot: SourceSnapshot;
  readonly source: TableName;
  /** The live table, or a shadow. */
  readonly target: TableName;
  readonly columns: readonly string[];
  readonly partitioned: boolean;
  readonly format: CopyFormat;
  readonly rowsPerPartition: number;
  readonly maxWorkers: number;
  /** A destination session that writes as replica. */
  readonly openWriter: () => Promise<Session>;
  /** A source session outside the snapshot, for the catalogs as they are now. */
  readonly catalog: Session;
  /** Runs before each commit, in its transaction: throws when this copy is not ours any more. */
  readonly fence: (writer: Session) => Promise<void>;
  readonly onProgress: (progress: CopyProgress) => void;
  readonly signal: AbortSignal;
}

export interface CopyProgress {
  /** Counted for finished ranges, estimated from the bytes for those on the way. */
  readonly rows: number;
  /** Of finished ranges. */
  readonly committedRows: number;
  readonly bytes: number;
  readonly estimatedRows: number;
}

/** Returns the rows copied. Throws MirrorError; what was committed until then stays, the next try empties the target. */
export async function copyTable(job: CopyJob): Promise<number> {
  // As the snapshot sees it: a rewrite between the two leaves it nothing to read.
  const before = await readHeap(job.snapshot.session, job.source);
  const ranges = job.partitioned ? [undefined] : cutRanges(before, job.rowsPerPartition);
  const tally = new Tally(Math.max(0, before.estimatedRows), before.heapBytes, job.onProgress);
  const queue = [...ranges];
  const workers = Math.max(1, Math.min(job.maxWorkers, queue.length));
  const stop = new AbortController();
  const signal = AbortSignal.any([job.signal, stop.signal]);
  let failure: { readonly reason: unknown } | undefined;
  await Promise.all(
    Array.from({ length: workers }, async () => {
      try {
        await copyRanges(job, queue, tally, signal);
      } catch (error) {
        // One lost range means the whole copy starts again. What the others say then only follows from it.
        failure ??= { reason: error };
        stop.abort();
      }
    }),
  );
  job.signal.throwIfAborted();
  if (failure !== undefined) throw failure.reason;
  const after = await readHeap(job.catalog, job.source);
  if (after.fingerprint !== before.fingerprint)
    throw new MirrorError(
      'SnapshotLost',
      `${formatTableName(job.source)} was rewritten or altered while it was copied`,
    );
  return tally.finishedRows;
}

/** One worker: takes ranges until there are none. */
async function copyRanges(
  job: CopyJob,
  queue: (BlockRange | undefined)[],
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  await using reader = await job.snapshot.openReader();
  await using writer = await job.openWriter();
  const source: CopySource = {
    table: job.source,
    columns: job.columns,
    partitioned: job.partitioned,
    format: job.format,
  };
  while (queue.length > 0 && !signal.aborted) {
    const range = queue.shift();
    const flight = tally.start();
    await writer.query('begin');
    const { sent, received } = await pipeCopy({
      source: reader,
      read: copyOutSql(source, range),
      destination: writer,
      write: copyInSql(job.target, job.columns, job.format),
      onBytes: (bytes) => flight.add(bytes),
      signal,
    });
    if (sent !== received)
      throw new MirrorError(
        'RowCountMismatch',
        `${formatTableName(job.source)}: the source sent ${sent} rows, the destination took ${received}`,
      );
    await job.fence(writer);
    await writer.query('commit');
    checkpoint('range-copied', job.source);
    flight.finish(received);
  }
}

/** Adds up what all workers of one table did. */
class Tally {
  finishedRows = 0;
  #finishedBytes = 0;
  #flyingBytes = 0;
  readonly #estimatedRows: number;
  readonly #guessedRowBytes: number;
  readonly #onProgress: (progress: CopyProgress) => void;

  constructor(
    estimatedRows: number,
    heapBytes: number,
    onProgress: (progress: CopyProgress) => void,
  ) {
    this.#estimatedRows = estimatedRows;
    this.#guessedRowBytes =
      estimatedRows > 0 ? Math.max(heapBytes, BLOCK_BYTES) / estimatedRows : 100;
    this.#onProgress = onProgress;
    this.#report();
  }

  start(): { add: (bytes: number) => void; finish: (rows: number) => void } {
    let own = 0;
    return {
      add: (bytes) => {
        own += bytes;
        this.#flyingBytes += bytes;
        this.#report();
      },
      finish: (rows) => {
        this.#flyingBytes -= own;
        this.#finishedBytes += own;
        this.finishedRows += rows;
        this.#report();
      },
    };
  }

  #report(): void {
    const rowBytes =
      this.finishedRows > 0 ? this.#finishedBytes / this.finishedRows : this.#guessedRowBytes;
    const flyingRows = rowBytes > 0 ? Math.floor(this.#flyingBytes / rowBytes) : 0;
    const estimatedRows = Math.max(this.#estimatedRows, this.finishedRows);
    this.#onProgress({
      rows: Math.max(this.finishedRows, Math.min(this.finishedRows + flyingRows, estimatedRows)),
      committedRows: this.finishedRows,
      bytes: this.#finishedBytes + this.#flyingBytes,
      estimatedRows,
    });
  }
}
