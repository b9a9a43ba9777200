import { readFile } from 'node:fs/promises';
import Table from 'cli-table3';
import { systemClock } from '../core/clock.ts';
import { readStatus } from '../status/read-status.ts';
import { statusPath } from '../status/status-file.ts';
import type { Status } from '../status/status.ts';
import type { TableStatus } from '../status/table-status.ts';
import { EXIT } from './exit-codes.ts';
import type { Output } from './output.ts';
import { selectMirrors } from './select-mirrors.ts';

export interface StatusOptions {
  readonly dir: string;
  readonly statusDir: string;
  readonly output: 'table' | 'yaml' | 'json';
  readonly watch: boolean;
  readonly signal: AbortSignal;
}

const WATCH_INTERVAL_MS = 1_000;
const CLEAR_SCREEN = '\u001B[H\u001B[2J';

/** `bunnydb status [NAME]`: what the daemon wrote last. Returns the exit code; 1 when a mirror has no status yet. */
export async function status(
  name: string | undefined,
  options: StatusOptions,
  out: Output,
): Promise<number> {
  for (;;) {
    const mirrors = await selectMirrors(options.dir, name, out);
    if (mirrors === undefined) return EXIT.invalidFiles;
    const names = mirrors.map((mirror) => mirror.name);
    const { text, isComplete } = await render(names, options);
    out.print(options.watch ? CLEAR_SCREEN + text : text);
    if (!options.watch) return isComplete ? EXIT.done : EXIT.failed;
    await systemClock.sleep(WATCH_INTERVAL_MS, options.signal);
    if (options.signal.aborted) return EXIT.done;
  }
}

async function render(
  names: readonly string[],
  { statusDir, output }: StatusOptions,
): Promise<{ text: string; isComplete: boolean }> {
  const found = await Promise.all(
    names.map(async (name) => ({ name, status: await readStatus(statusDir, name) })),
  );
  const isComplete = found.every((one) => one.status !== undefined);
  const known = found.flatMap((one) => (one.status ? [one.status] : []));
  if (output === 'json') return { text: `${JSON.stringify(known, null, 2)}\n`, isComplete };
  if (output === 'yaml') {
    const files = await Promise.all(
      known.map(async ({ metadata }) => readFile(statusPath(statusDir, metadata.name), 'utf8')),
    );
    return { text: files.join('---\n'), isComplete };
  }
  const missing = found
    .filter((one) => one.status === undefined)
    .map(({ name }) => `${name}: no status yet; is the daemon running?\n`);
  return { text: [...known.map(mirrorTable), ...missing].join('\n'), isComplete };
}

function mirrorTable({ metadata, status: mirror }: Status): string {
  const ready = mirror.conditions.find(({ type }) => type === 'Ready');
  const lag = mirror.lag ? `, ${mirror.lag.seconds.toFixed(1)} s behind` : '';
  const table = new Table({
    head: ['TABLE', 'PHASE', 'PROGRESS', 'GENERATION', 'MESSAGE'],
    style: { head: [], border: [], compact: true },
    chars: PLAIN,
  });
  for (const one of mirror.tables)
    table.push([one.source, one.phase, progress(one), generation(one), message(one)]);
  return `${metadata.name}: ${mirror.state}${lag}\n${ready?.reason ?? ''}: ${ready?.message ?? ''}\n${table.toString()}\n`;
}

function progress({ resync }: TableStatus): string {
  if (!resync) return '';
  if (resync.step !== 'Copying') return resync.step;
  return `${resync.percent} % (${resync.rowsCopied} of about ${resync.rowsTotal} rows)`;
}

function generation({ resyncGeneration: { desired, observed } }: TableStatus): string {
  return observed === desired ? String(desired) : `${observed ?? '-'} -> ${desired}`;
}

function message({ error }: TableStatus): string {
  return error ? `${error.message}. ${error.hint}` : '';
}

/** Columns by spaces alone: read well, and cut well. */
const PLAIN = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};
