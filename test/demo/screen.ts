/** The demo's screen. Drawing is a pure function from what is known to lines; the terminal is at the end. */
import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import progress from 'cli-progress';
import Table from 'cli-table3';
import type { MirrorStatus, TableStatus } from './status.ts';

const BAR_WIDTH = 20;

/** Everything that is shown. */
export interface View {
  readonly status: MirrorStatus | undefined;
  readonly writesPerSecond: number;
  /** By table name. */
  readonly sourceRows: ReadonlyMap<string, number>;
  readonly copyRows: ReadonlyMap<string, number>;
  readonly places: Places;
}

/** Where to look and what to edit. */
export interface Places {
  readonly mirrorDirectory: string;
  readonly mirrorFile: string;
  readonly statusFile: string;
  readonly daemonLog: string;
  readonly sourceUrl: string;
  readonly copyUrl: string;
  /** The demo's, and no secret. */
  readonly copyPassword: string;
}

/** The whole screen, line by line. */
export function drawScreen(view: View, style: Style = unstyled): string[] {
  return [
    drawHeadline(view, style),
    ...drawTables(view, style),
    ...drawErrors(view.status, style),
    '',
    ...drawBox('Try this; Ctrl-C ends all of it and removes it', hintsFor(view.places)),
  ];
}

/** One line for a log, where there is no screen: of the tables those that do more than stream. */
export function drawLine(view: View): string {
  const tables = (view.status?.tables ?? [])
    .filter(({ phase, resync }) => phase !== 'Live' || resync !== undefined)
    .map((table) => `${table.source} ${progressOf(table, view.status) || table.phase}`);
  return [drawHeadline(view, unstyled), ...tables].join(' | ');
}

function drawHeadline({ status, writesPerSecond }: View, style: Style): string {
  const state = status?.state ?? 'no status file yet';
  return [
    style('bold', `shop: ${state}`),
    `${writesPerSecond.toFixed(0)} writes/s on the source`,
    lagText(status),
    ...(status?.lag === undefined ? [] : [`applied to ${status.lag.appliedLsn}`]),
  ].join('   ');
}

function drawTables({ status, sourceRows, copyRows }: View, style: Style): string[] {
  const table = new Table({
    head: ['table', 'phase', 'progress', 'resync', 'source rows', 'copy rows', 'verified'],
    colAligns: ['left', 'left', 'left', 'left', 'right', 'right', 'left'],
    style: { head: [], border: [] },
    // No rules between the rows.
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  });
  for (const each of status?.tables ?? [])
    table.push([
      each.source,
      style(PHASE_STYLES[each.phase], each.phase.padEnd('CatchingUp'.length)),
      progressOf(each, status).padEnd(BAR_WIDTH + ' 100%'.length),
      generationText(each),
      (sourceRows.get(each.source) ?? 0).toLocaleString('en'),
      (copyRows.get(each.destination) ?? 0).toLocaleString('en'),
      verifiedText(each),
    ]);
  return table.toString().split('\n');
}

const PHASE_STYLES = {
  Pending: 'dim',
  Copying: 'yellow',
  CatchingUp: 'yellow',
  Live: 'green',
  Failed: 'red',
} as const satisfies Record<TableStatus['phase'], StyleName>;

/** A bar while rows are on their way, the step while something else is done, the lag afterwards. */
function progressOf({ phase, resync }: TableStatus, status: MirrorStatus | undefined): string {
  if (resync?.step === 'Copying') return bar(resync.percent ?? 0);
  if (resync !== undefined) return resync.step;
  return phase === 'Live' ? lagText(status) : '';
}

function bar(percent: number): string {
  const drawn = progress.Format.BarFormat(percent / 100, {
    barsize: BAR_WIDTH,
    barCompleteString: '█'.repeat(BAR_WIDTH),
    barIncompleteString: '░'.repeat(BAR_WIDTH),
    barGlue: '',
  });
  return `${drawn} ${percent.toFixed(0).padStart(3)}%`;
}

function lagText(status: MirrorStatus | undefined): string {
  if (status?.lag === undefined) return '';
  return `lag ${status.lag.seconds.toFixed(1)} s, ${status.lag.bytes.toLocaleString('en')} B`;
}

function generationText({ resyncGeneration: { desired, observed }, resync }: TableStatus): string {
  if (observed === undefined) return 'first copy';
  return observed < desired ? `${observed} → ${desired} ${resync?.strategy ?? ''}` : `${observed}`;
}

/** What came of comparing both sides since the latest copy. */
function verifiedText({ verification }: TableStatus): string {
  if (verification === undefined) return '';
  const { result, rows } = verification;
  return result === 'Match' ? `${result}, ${rows.toLocaleString('en')} rows` : result;
}

function drawErrors(status: MirrorStatus | undefined, style: Style): string[] {
  const ofTables = (status?.tables ?? []).flatMap(({ source, error }) =>
    error === undefined ? [] : [`${source}: ${error.message} (${error.code}). ${error.hint}`],
  );
  const waiting = (status?.tables ?? []).flatMap(({ source, resync }) =>
    resync?.waitsFor === undefined ? [] : [`${source}: ${resync.waitsFor}`],
  );
  const ofMirror = (status?.conditions ?? [])
    .filter((condition) => condition.type === 'Ready' && condition.status === 'False')
    .map(({ reason, message }) => `not ready: ${reason}: ${message}`);
  return [...ofTables.map((line) => style('red', line)), ...waiting, ...ofMirror];
}

/** Short lines: on a terminal of 80 columns the commands are still whole. */
function hintsFor(places: Places): string[] {
  return [
    `In a second terminal, in this folder:   D=--dir=${places.mirrorDirectory}`,
    `  ${BUNNYDB} status shop --watch $D`,
    `  ${BUNNYDB} resync shop public.customers $D   by truncate: filled anew in place`,
    `  ${BUNNYDB} resync shop public.orders $D      by swap: its rows are never away`,
    `  SHOP_COPY_PASSWORD=${places.copyPassword} ${BUNNYDB} verify shop $D`,
    `Or edit and save       ${places.mirrorFile}   a counter, suspend: true, excludeColumns`,
    `What the daemon wrote  ${places.statusFile}   ${places.daemonLog}`,
    `The source             psql ${places.sourceUrl}`,
    `The copy               psql ${places.copyUrl}`,
  ];
}

const BUNNYDB = 'node --import tsx src/main.ts';

function drawBox(title: string, lines: readonly string[]): string[] {
  const width = Math.max(...lines.map((line) => line.length));
  return [
    `┌─ ${title} ${'─'.repeat(width - title.length - 1)}┐`,
    ...lines.map((line) => `│ ${line.padEnd(width)} │`),
    `└${'─'.repeat(width + 2)}┘`,
  ];
}

type StyleName = 'bold' | 'dim' | 'green' | 'yellow' | 'red';
type Style = (name: StyleName, text: string) => string;

const unstyled: Style = (_, text) => text;

/** Shows views: redrawn in place on a terminal, else a line whenever something has changed. */
export class Screen {
  readonly #out: WriteStream | NodeJS.WriteStream;
  #lastLine = '';

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  /** The terminal's height and width cut what does not fit: a line that wraps would spoil the redrawing. */
  show(view: View): void {
    if (!this.#out.isTTY) {
      this.#showLine(view);
      return;
    }
    const style: Style = process.env['NO_COLOR'] === undefined ? styleText : unstyled;
    const lines = drawScreen(view, style).slice(0, this.#out.rows - 1);
    // Home, each line to its end, then all below: no flicker, as nothing is cleared first. Wrapping off meanwhile.
    this.#out.write(
      `\x1b[?7l\x1b[H${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J\x1b[?7h`,
    );
  }

  /** Makes room for the screen; what was there before stays above. */
  clear(): void {
    if (this.#out.isTTY) this.#out.write('\x1b[2J');
  }

  #showLine(view: View): void {
    const { status } = view;
    // Numbers change all the time; the phases and steps are what is worth a line.
    const key = [
      status?.state,
      ...(status?.tables ?? []).map((t) => `${t.phase} ${t.resync?.step}`),
    ].join();
    if (key === this.#lastLine) return;
    this.#lastLine = key;
    this.#out.write(`${drawLine(view)}\n`);
  }
}
