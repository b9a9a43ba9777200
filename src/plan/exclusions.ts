/**
 * excludeColumns of the file against what was copied. A column that the file leaves out from now on is not
 * written from now on; its old values go, and those of one that comes back come, with a copy.
 */
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { TableShape } from '../core/observed.ts';
import { sameTable } from '../core/table-name.ts';
import { type CopyRun, runOf, type TableRecord } from '../core/table-state.ts';
import { unreachable } from '../core/unreachable.ts';
import { needsValue } from './drift.ts';
import type { Plan, Refusal } from './plan.ts';

export type Exclusions = Pick<MirrorTable, 'excludeColumns'>;

/** A mirror as the stream goes by it: some exclusions of the file may be refused. */
export interface StreamedMirror extends Mirror {
  readonly tables: readonly StreamedTable[];
}

interface StreamedTable extends MirrorTable {
  /** Its excludeColumns are refused: what was left out before is, and nothing else. */
  readonly refused?: true;
}

/** True when it is the exclusions that cannot be, and not the table. */
export function refusesExclusions({ check }: Refusal): boolean {
  return check === 'excluded-columns';
}

/** The file with the verdict of its plan. */
export function asStreamed(mirror: Mirror, { refusals }: Pick<Plan, 'refusals'>): StreamedMirror {
  const refused = refusals.filter(refusesExclusions);
  if (refused.length === 0) return mirror;
  const isRefused = ({ source }: MirrorTable): boolean =>
    refused.some(({ table }) => table !== undefined && sameTable(table.source, source));
  return {
    ...mirror,
    tables: mirror.tables.map((table) => (isRefused(table) ? { ...table, refused: true } : table)),
  };
}

/** What the stream takes for the file's, also for a table that is not in the file any more. */
export function streamedExclusions({ tables }: StreamedMirror, record: TableRecord): Exclusions {
  const table = tables.find(({ source }) => sameTable(source, record.source));
  if (table === undefined) return { excludeColumns: [] };
  return table.refused === true ? acceptedExclusions(table, record) : table;
}

/** Those that were accepted last. What an older version copied is not known, and taken for what the file says. */
export function acceptedExclusions(file: Exclusions, record: TableRecord): Exclusions {
  const { excludeColumns, staleColumns = [] } = record;
  return excludeColumns === undefined
    ? file
    : { excludeColumns: [...new Set([...excludeColumns, ...staleColumns])] };
}

/** What the stream leaves out of the live table: what the file does, and what a copy has yet to bring. */
export function unwrittenColumns(file: Exclusions, record: TableRecord): string[] {
  return [...new Set([...file.excludeColumns, ...(record.excludeColumns ?? [])])];
}

/** Those that the last copy brought and the stream does not write any more, as long as nobody wrote that down. */
export function newlyStale(file: Exclusions, record: TableRecord): string[] {
  const { excludeColumns, staleColumns = [] } = record;
  if (excludeColumns === undefined) return [];
  return without(file.excludeColumns, [...excludeColumns, ...staleColumns]);
}

/** By the stream itself, or by the replay of what it missed. Else a copy is under way, and makes it as it shall be. */
export function isWritten({ state }: TableRecord): boolean {
  switch (state.phase) {
    case 'Live':
      return true;
    case 'Pending':
      return false;
    case 'Copying':
    case 'CatchingUp':
    case 'Failed':
      return state.fed === true || state.run === undefined;
    default:
      return unreachable(state);
  }
}

/**
 * What is not kept in the table's spool, for its replay never writes it: the run goes without them, or, without
 * a run, only a copy brings them back.
 */
export function unspooledColumns(record: TableRecord): readonly string[] {
  const run = runOf(record);
  if (run !== undefined) return run.excludeColumns ?? [];
  return [...(record.excludeColumns ?? []), ...(record.staleColumns ?? [])];
}

/** Those of them that a row must bring a value for: the stream lets them be NULL when it reads the file. */
export function relaxedColumns(
  file: Exclusions,
  record: TableRecord,
  actual: TableShape | undefined,
): string[] {
  if (!isWritten(record)) return [];
  const stale = newlyStale(file, record);
  return (actual?.columns ?? [])
    .filter((column) => stale.includes(column.name) && needsValue(column))
    .map(({ name }) => name);
}

/**
 * True when the file asks for other columns of the source than that copy was made with. What an older
 * version copied is not known, and taken for what the file says.
 */
export function hasOtherColumns(
  file: Exclusions,
  { excludeColumns }: Pick<CopyRun, 'excludeColumns'>,
  source: TableShape | undefined,
): boolean {
  if (excludeColumns === undefined) return false;
  const differing = [
    ...without(file.excludeColumns, excludeColumns),
    ...without(excludeColumns, file.excludeColumns),
  ];
  return differing.some((column) => has(source, column));
}

/** True when the last copy is not one of the columns that the file asks for, or some of them were not written since. */
export function lacksColumns(
  file: Exclusions,
  record: TableRecord,
  source: TableShape | undefined,
): boolean {
  const { staleColumns = [] } = record;
  return (
    hasOtherColumns(file, record, source) || staleColumns.some((column) => has(source, column))
  );
}

/**
 * Columns of the destination that the next copy takes away: under deletionPolicy Delete those that our last
 * copy filled and the file leaves out now, after those that are computed from them. What was never ours stays.
 */
export function droppedColumns(
  { deletionPolicy }: Pick<Mirror, 'deletionPolicy'>,
  file: Exclusions,
  record: TableRecord | undefined,
  actual: TableShape | undefined,
): string[] {
  if (deletionPolicy !== 'Delete' || record?.excludeColumns === undefined) return [];
  const filled = without(file.excludeColumns, record.excludeColumns);
  const columns = (actual?.columns ?? []).map(({ name }) => name);
  const computed = (actual?.columns ?? []).filter(({ touches }) =>
    touches.some((touched) => filled.includes(touched)),
  );
  return [...computed.map(({ name }) => name), ...columns.filter((name) => filled.includes(name))];
}

function without(columns: readonly string[], others: readonly string[]): string[] {
  return columns.filter((column) => !others.includes(column));
}

function has(shape: TableShape | undefined, column: string): boolean {
  return shape?.columns.some(({ name }) => name === column) === true;
}
