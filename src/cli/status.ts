import { readFile } from 'node:fs/promises';
import { systemClock } from '../core/clock.ts';
import { describeDiagnostic } from '../spec/diagnostic.ts';
import { listStatuses, readStatus } from '../status/read-status.ts';
import { statusPath } from '../status/status-file.ts';
import type { Status } from '../status/status.ts';
import { EXIT } from './exit-codes.ts';
import type { Output, Screen } from './output.ts';
import { findMirrors } from './select-mirrors.ts';
import { drawChanges, drawMirror, fit } from './status-lines.ts';

export interface StatusOptions {
  readonly dir: string;
  readonly statusDir: string;
  readonly output: 'table' | 'yaml' | 'json';
  readonly watch: boolean;
  readonly signal: AbortSignal;
}

/** One mirror, and its status when the daemon has written one. */
interface Found {
  readonly name: string;
  readonly status: Status | undefined;
}

const WATCH_INTERVAL_MS = 1_000;

/**
 * `bunnydb status [NAME]`: what the daemon wrote last, also of mirrors whose file is gone or refused. Returns
 * the exit code; 1 when a mirror has no status yet, 3 when a file is invalid. With --watch until stopped: redrawn in place on a terminal; elsewhere first all of it, then a line
 * for each change. As yaml or json the whole anew whenever it changed.
 */
export async function status(
  name: string | undefined,
  options: StatusOptions,
  out: Output,
): Promise<number> {
  const { names, problems } = await findNames(name, options);
  if (options.watch && names.length > 0) {
    await watch(name, options, out);
    return EXIT.done;
  }
  for (const problem of problems) out.error(asLine(problem));
  if (names.length === 0) return EXIT.invalidFiles;
  const found = await readAll(names, options.statusDir);
  out.print(await render(found, options));
  if (problems.length > 0) return EXIT.invalidFiles;
  return found.every((one) => one.status !== undefined) ? EXIT.done : EXIT.failed;
}

async function watch(name: string | undefined, options: StatusOptions, out: Output): Promise<void> {
  const view = createView(options, out);
  while (!options.signal.aborted) {
    const { names, problems } = await findNames(name, options);
    await view(await readAll(names, options.statusDir), problems);
    await systemClock.sleep(WATCH_INTERVAL_MS, options.signal);
  }
}

/** The mirrors of the files, then those that only the daemon still has; and what is wrong with files. */
async function findNames(
  name: string | undefined,
  { dir, statusDir }: StatusOptions,
): Promise<{ readonly names: readonly string[]; readonly problems: readonly string[] }> {
  const told: string[] = [];
  const found = await findMirrors(dir, name, {
    print: () => undefined,
    error: (text) => void told.push(text.trimEnd()),
  });
  const statuses = await listStatuses(statusDir);
  const names = [
    ...(found?.mirrors.map((mirror) => mirror.name) ?? []),
    ...statuses.filter((one) => name === undefined || one === name),
  ];
  return {
    names: [...new Set(names)],
    problems: [...told, ...(found?.errors ?? []).map(describeDiagnostic)],
  };
}

type View = (found: readonly Found[], problems: readonly string[]) => Promise<void>;

function createView(options: StatusOptions, out: Output): View {
  if (options.output === 'table' && out.screen?.() !== undefined) return onScreen(out);
  return options.output === 'table' ? asLog(out) : asDocuments(options, out);
}

const CLEAR_SCREEN = '\u001B[2J';
/** Wrapping off and home; each line to its end; all below. Nothing is cleared first, so nothing flickers. */
const [FRAME_START, LINE_END, FRAME_END] = [
  '\u001B[?7l\u001B[H',
  '\u001B[K\n',
  '\u001B[J\u001B[?7h',
];

function onScreen(out: Output): View {
  let last = '';
  return async (found, problems) => {
    // The line below the last is where the cursor stays.
    const { columns, rows }: Screen = out.screen?.() ?? { columns: 80, rows: 24 };
    const lines = fit([...drawAll(found), ...problems], { columns, rows: rows - 1 });
    const frame = FRAME_START + lines.map((line) => line + LINE_END).join('') + FRAME_END;
    if (frame !== last) out.print(last === '' ? CLEAR_SCREEN + frame : frame);
    last = frame;
  };
}

function asLog(out: Output): View {
  const shown = new Map<string, Status>();
  let lastProblems = '';
  let isFirst = true;
  return async (found, problems) => {
    if (isFirst) out.print(drawAll(found).map(asLine).join(''));
    for (const { name, status: now } of found) {
      if (now === undefined) continue;
      if (!isFirst)
        out.print(drawChanges(shown.get(name), now, systemClock.now()).map(asLine).join(''));
      shown.set(name, now);
    }
    const text = problems.map(asLine).join('');
    if (text !== lastProblems) out.error(text);
    lastProblems = text;
    isFirst = false;
  };
}

function asDocuments(options: StatusOptions, out: Output): View {
  let last = '';
  return async (found) => {
    const text = await render(found, options);
    if (text !== last) out.print(last !== '' && options.output === 'yaml' ? `---\n${text}` : text);
    last = text;
  };
}

async function readAll(names: readonly string[], statusDir: string): Promise<readonly Found[]> {
  return Promise.all(
    names.map(async (name) => ({ name, status: await readStatus(statusDir, name) })),
  );
}

async function render(found: readonly Found[], options: StatusOptions): Promise<string> {
  if (options.output === 'table') return drawAll(found).map(asLine).join('');
  const known = found.flatMap((one) => (one.status ? [one.status] : []));
  if (options.output === 'json') return `${JSON.stringify(known, null, 2)}\n`;
  const files = known.map(async ({ metadata }) =>
    readFile(statusPath(options.statusDir, metadata.name), 'utf8'),
  );
  return (await Promise.all(files)).join('---\n');
}

/** An empty line between two mirrors. */
function drawAll(found: readonly Found[]): string[] {
  const now = systemClock.now();
  return found.flatMap(({ name, status: known }, index) => [
    ...(index === 0 ? [] : ['']),
    ...(known === undefined
      ? [`${name}: no status yet; is the daemon running?`]
      : drawMirror(known, now)),
  ]);
}

function asLine(text: string): string {
  return `${text}\n`;
}
