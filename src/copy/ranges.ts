/** Cuts a table's heap into ranges of pages, each copied by itself. Pure. */

/** Pages [fromBlock, toBlock); the last range has no end, since the table may have grown. */
export interface BlockRange {
  readonly fromBlock: number;
  readonly toBlock: number | undefined;
}

export interface HeapSize {
  readonly heapBytes: number;
  /** -1: never analysed. */
  readonly estimatedRows: number;
}

export const BLOCK_BYTES = 8192;
/** Rows of a page when nothing is known: 100 bytes each, a page of them. */
const DEFAULT_ROWS_PER_BLOCK = 80;
/** More ranges only cost round trips. */
const MAX_RANGES = 10_000;

/** Ranges of about `rowsPerPartition` rows, in page order; always at least one, open-ended. */
export function cutRanges(heap: HeapSize, rowsPerPartition: number): BlockRange[] {
  const blocks = Math.ceil(heap.heapBytes / BLOCK_BYTES);
  const rowsPerBlock =
    heap.estimatedRows > 0 && blocks > 0 ? heap.estimatedRows / blocks : DEFAULT_ROWS_PER_BLOCK;
  const wanted = Math.max(1, Math.ceil(rowsPerPartition / rowsPerBlock));
  const step = Math.max(wanted, Math.ceil(blocks / MAX_RANGES));
  const ranges: BlockRange[] = [];
  for (let fromBlock = 0; fromBlock < blocks; fromBlock += step) {
    const toBlock = fromBlock + step;
    ranges.push({ fromBlock, toBlock: toBlock < blocks ? toBlock : undefined });
  }
  return ranges.length > 0 ? ranges : [{ fromBlock: 0, toBlock: undefined }];
}
