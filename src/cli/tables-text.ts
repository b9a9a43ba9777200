/** The tables of a database, as people and as scripts read them. Pure. */
import type { MirrorError } from '../core/errors.ts';
import type { TableShape } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { formatBytes } from '../plan/describe.ts';
import { plainTable } from './plain-table.ts';

export interface ListedTable {
  readonly shape: TableShape;
  /** Why it cannot be mirrored; empty when it can. */
  readonly problems: readonly MirrorError[];
  /** Names of mirrors. */
  readonly readBy: readonly string[];
  readonly writtenBy: readonly string[];
}

/** A line for each, then why some cannot be mirrored, then all of them together. */
export function tablesText(listed: readonly ListedTable[]): string {
  if (listed.length === 0) return 'no tables\n';
  const rows = listed.map(({ shape, problems, readBy, writtenBy }) => [
    formatTableName(shape.name),
    rowsOf(shape),
    formatBytes(shape.totalBytes),
    keyOf(shape),
    problems.length === 0 ? 'yes' : 'no',
    [...readBy, ...writtenBy.map((name) => `${name} (writes it)`)].join(', '),
  ]);
  const refused = listed.flatMap(({ problems }) =>
    problems.flatMap(({ message, hint }) => [`  ${message}`, `      ${hint}`]),
  );
  const lines = [
    ...plainTable(['TABLE', 'ROWS', 'SIZE', 'KEY', 'CAN BE MIRRORED', 'MIRRORS'], rows),
    ...(refused.length === 0 ? [] : ['', 'Not as they are:', ...refused]),
    '',
    total(listed),
  ];
  return lines.map((line) => `${line}\n`).join('');
}

function rowsOf({ estimatedRows }: TableShape): string {
  return estimatedRows < 0 ? 'never analysed' : `~${estimatedRows.toLocaleString('en-US')}`;
}

function keyOf({ replicaIdentity: { kind, columns } }: TableShape): string {
  if (kind === 'full') return 'REPLICA IDENTITY FULL';
  if (columns.length === 0) return 'none';
  return `${kind === 'index' ? 'index ' : ''}(${columns.join(', ')})`;
}

function total(listed: readonly ListedTable[]): string {
  const shapes = listed.map(({ shape }) => shape);
  const known = shapes.filter(({ estimatedRows }) => estimatedRows >= 0);
  const rows = known.reduce((sum, { estimatedRows }) => sum + estimatedRows, 0);
  const bytes = shapes.reduce((sum, { totalBytes }) => sum + totalBytes, 0);
  const unknown = shapes.length - known.length;
  const refused = listed.filter(({ problems }) => problems.length > 0).length;
  return [
    listed.length === 1 ? '1 table' : `${listed.length} tables`,
    ...(known.length === 0 ? [] : [`~${rows.toLocaleString('en-US')} rows`]),
    ...(unknown === 0 ? [] : [`${unknown} never analysed`]),
    `${formatBytes(bytes)} with indexes`,
    ...(refused === 0 ? [] : [`${refused} cannot be mirrored as they are`]),
  ].join(', ');
}

/** A stable form for scripts. */
export function tablesJson(listed: readonly ListedTable[]): string {
  const all = listed.map(({ shape, problems, readBy, writtenBy }) => ({
    table: formatTableName(shape.name),
    kind: shape.kind,
    estimatedRows: shape.estimatedRows < 0 ? null : shape.estimatedRows,
    totalBytes: shape.totalBytes,
    key: shape.replicaIdentity,
    mirrorable: problems.length === 0,
    problems: problems.map(({ code, message, hint }) => ({ code, message, fix: hint })),
    readBy,
    writtenBy,
  }));
  return `${JSON.stringify(all, null, 2)}\n`;
}
