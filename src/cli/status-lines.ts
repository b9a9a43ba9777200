/** A mirror's status as lines of text: a table for a screen, and what changed for a log. Pure. */
import progress from 'cli-progress';
import { needsHuman } from '../core/errors.ts';
import type { TableFailure } from '../core/table-state.ts';
import type { Status } from '../status/status.ts';
import type { TableStatus } from '../status/table-status.ts';
import { formatRate, formatSeconds, formatTime } from './amounts.ts';
import { plainTable } from './plain-table.ts';

const BAR_WIDTH = 16;

/** Everything that is known of one mirror, a line for each table, then what is wrong or in the way. */
export function drawMirror({ metadata, status }: Status, now: Date): string[] {
  const table = plainTable(
    ['TABLE', 'PHASE', 'PROGRESS', 'GENERATION', 'DETAILS'],
    status.tables.map((one) => [
      one.source,
      one.phase,
      progressBar(one),
      generation(one),
      details(one, now).join(', '),
    ]),
  );
  return [
    `${metadata.name}: ${headline(status)}`,
    readiness(status),
    ...table,
    ...status.tables.flatMap((one) => troubles(one, now)),
  ];
}

/**
 * What is new since the status before, a line each, as `kubectl get --watch` has it: the mirror, then
 * its tables. Rows, rates and times alone are no news; each percent is.
 */
export function drawChanges(
  before: Status | undefined,
  { metadata, status }: Status,
  now: Date,
): string[] {
  const at = now.toISOString().replace(/\.\d+Z$/, 'Z');
  const line = (...parts: readonly string[]): string =>
    [at, metadata.name, ...parts.filter((part) => part !== '')].join('  ');
  const isSameMirror =
    before !== undefined &&
    before.status.state === status.state &&
    readiness(before.status) === readiness(status);
  const seen = new Set(before?.status.tables.map(newsOf));
  return [
    ...(isSameMirror ? [] : [line(status.state, readiness(status))]),
    ...status.tables
      .filter((one) => !seen.has(newsOf(one)))
      .map((one) => {
        const more = [...details(one, now), ...troubles(one, now).map((text) => text.trim())];
        return line(one.source, one.phase, stepOf(one), generation(one), more.join(', '));
      }),
  ];
}

/** Cut to what a screen can hold; says how much is below. */
export function fit(
  lines: readonly string[],
  { columns, rows }: { readonly columns: number; readonly rows: number },
): string[] {
  const shown =
    lines.length <= rows
      ? lines
      : [...lines.slice(0, rows - 1), `… and ${lines.length - rows + 1} more lines`];
  return shown.map((line) => {
    const letters = Array.from(line);
    return letters.length <= columns ? line : `${letters.slice(0, columns - 1).join('')}…`;
  });
}

function headline({ state, lag }: Status['status']): string {
  return lag ? `${state}, ${lag.seconds.toFixed(1)} s behind` : state;
}

function readiness({ conditions }: Status['status']): string {
  const ready = conditions.find(({ type }) => type === 'Ready');
  return ready ? `${ready.reason}: ${ready.message}` : '';
}

function newsOf(table: TableStatus): string {
  const { source, phase, resync, error, verification } = table;
  const run = [resync?.startedAt, resync?.tries, resync?.waitsFor];
  const ends = [error?.message, error?.attempts, verification?.checkedAt];
  return JSON.stringify([source, phase, stepOf(table), generation(table), run, ends]);
}

function stepOf({ resync }: TableStatus): string {
  if (!resync) return '';
  return resync.step === 'Copying' ? `${resync.percent} %` : resync.step;
}

function progressBar(table: TableStatus): string {
  const { resync } = table;
  if (resync?.step !== 'Copying') return stepOf(table);
  const bar = progress.Format.BarFormat(resync.percent / 100, {
    barsize: BAR_WIDTH,
    barCompleteString: '█'.repeat(BAR_WIDTH),
    barIncompleteString: '░'.repeat(BAR_WIDTH),
    barGlue: '',
  });
  return `${bar} ${stepOf(table).padStart('100 %'.length)}`;
}

function generation({ resyncGeneration: { desired, observed } }: TableStatus): string {
  return observed === desired ? String(desired) : `${observed ?? '-'} -> ${desired}`;
}

/** What is worth knowing first stands first: a screen cuts at its end. */
function details({ resync, verification }: TableStatus, now: Date): string[] {
  if (resync) {
    const { rowsPerSecond, secondsLeft, rowsCopied, rowsTotal, startedAt, tries } = resync;
    // A comparison replaces no rows: it has no strategy of its own.
    const what = resync.step === 'Verifying' ? 'compared' : resync.strategy;
    return [
      ...(rowsPerSecond === undefined ? [] : [formatRate(rowsPerSecond)]),
      ...(secondsLeft === undefined ? [] : [`${formatSeconds(secondsLeft)} left`]),
      ...(rowsTotal === 0 && rowsCopied === 0 ? [] : [`${rowsCopied} of about ${rowsTotal} rows`]),
      ...(tries === undefined ? [] : [`try ${tries}`]),
      `${what} for ${formatSeconds((now.getTime() - Date.parse(startedAt)) / 1_000)}`,
    ];
  }
  if (!verification) return [];
  const { result, rows, checkedAt } = verification;
  const at = formatTime(checkedAt, now);
  return [result === 'Match' ? `verified ${at}, ${rows} rows` : `differs since ${at}`];
}

/** Whole sentences, on lines of their own. */
function troubles({ source, resync, verification, error }: TableStatus, now: Date): string[] {
  const mismatch = verification?.result === 'Mismatch' ? verification.message : undefined;
  return [
    ...(resync?.waitsFor === undefined ? [] : [`${source} ${resync.waitsFor}`]),
    ...(mismatch === undefined || error !== undefined ? [] : [`${source}: ${mismatch}`]),
    ...(error === undefined
      ? []
      : [
          `${source}: ${error.message} (${error.code}${triesOf(error)}, since ${formatTime(error.since, now)})`,
          `  ${error.hint}`,
        ]),
  ];
}

/** What only a human can mend is not tried again. */
function triesOf({ code, attempts }: TableFailure): string {
  return needsHuman(code) ? '' : `, try ${attempts}`;
}
