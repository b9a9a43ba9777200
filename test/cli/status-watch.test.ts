/** `bunnydb status --watch`: on a terminal, in a pipe, and how it ends. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { stringify } from 'yaml';
import { status } from '../../src/cli/status.ts';
import { runCommand } from '../servers/daemon.ts';
import { guardProcess, until } from '../servers/processes.ts';
import { PROGRAM } from '../servers/program.ts';
import { DESTINATION_PEER, mirrorText, SOURCE_PEER } from '../spec/files.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const ESCAPE = '\u001B';

/** Mirror files with one mirror, and what a daemon would write about it. */
class Folder implements AsyncDisposable {
  readonly dir: string;
  readonly statusDir: string;

  private constructor(dir: string) {
    this.dir = dir;
    this.statusDir = join(dir, 'status');
  }

  static async create(): Promise<Folder> {
    const folder = new Folder(await mkdtemp(join(tmpdir(), 'mirrors-')));
    await mkdir(folder.statusDir);
    await writeFile(join(folder.dir, 'from.yaml'), SOURCE_PEER);
    await writeFile(join(folder.dir, 'to.yaml'), DESTINATION_PEER);
    await folder.writeMirror(mirrorText('  tables:\n    - source: public.users\n'));
    await folder.writeCopying(10);
    return folder;
  }

  async writeMirror(text: string): Promise<void> {
    await writeFile(join(this.dir, 'shop.yaml'), text);
  }

  /** A copy that is so far. */
  async writeCopying(percent: number): Promise<void> {
    const table = {
      source: 'public.users',
      destination: 'public.users',
      phase: 'Copying',
      resyncStatus: 'in_progress',
      resyncGeneration: { desired: 1, observed: 0 },
      resync: {
        strategy: 'truncate',
        step: 'Copying',
        startedAt: new Date().toISOString(),
        rowsCopied: percent * 10,
        rowsTotal: 1_000,
        bytesCopied: 1,
        percent,
      },
    };
    const file = {
      metadata: { name: 'shop' },
      status: { state: 'RESYNCING', conditions: [], tables: [table] },
    };
    const path = join(this.statusDir, 'shop.yaml');
    await writeFile(`${path}.tmp`, stringify(file));
    await rename(`${path}.tmp`, path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true });
  }
}

async function waitFor(condition: () => boolean, shown: () => string): Promise<void> {
  await until(condition, { timeoutMs: 60_000, late: async () => new Error(`shown: ${shown()}`) });
}

test('in a pipe: all of it, then a line for each change, no escape codes; Ctrl-C ends it with 0', async () => {
  await using folder = await Folder.create();
  const child = spawn(process.execPath, [...PROGRAM, 'status', '--watch', '--dir', folder.dir], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const dismiss = guardProcess(child);
  let [text, errors] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (errors += part));
  const shown = (): string => text + errors;
  await waitFor(() => text.includes('public.users'), shown);
  assert.match(text, /^shop: RESYNCING\n\nTABLE .*\npublic\.users {2}Copying .* 10 % .*\n$/);
  const first = text;
  await folder.writeCopying(20);
  await waitFor(() => text.includes('20 %'), shown);
  // A file that is being edited is told once and ends nothing.
  await folder.writeMirror('kind: [');
  await waitFor(() => errors.includes('shop.yaml:'), shown);
  await folder.writeCopying(30);
  await waitFor(() => text.includes('30 %'), shown);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGINT');
  assert.equal(await ended, 0, errors);
  dismiss();
  const lines = text.slice(first.length).trimEnd().split('\n');
  assert.equal(lines.length, 2, text);
  for (const line of lines)
    assert.match(
      line,
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}shop {2}public\.users {2}Copying {2}[23]0 % {2}0 -> 1 {2}/,
    );
  assert.ok(!shown().includes(ESCAPE));
});

test('on a terminal: cleared once, then redrawn in place, cut to its width and height', async () => {
  await using folder = await Folder.create();
  const stop = new AbortController();
  const frames: string[] = [];
  let screen = { columns: 30, rows: 24 };
  const watching = status(
    'shop',
    {
      dir: folder.dir,
      statusDir: folder.statusDir,
      output: 'table',
      watch: true,
      signal: stop.signal,
    },
    {
      print: (text) => void frames.push(text),
      error: (text) => assert.fail(text),
      screen: () => screen,
    },
  );
  const shown = (): string => frames.join('\n');
  await waitFor(() => frames.length > 0, shown);
  await folder.writeCopying(20);
  await waitFor(() => frames.some((frame) => frame.includes('███░')), shown);
  screen = { columns: 20, rows: 3 };
  await waitFor(() => frames.at(-1)?.includes('more lines') === true, shown);
  stop.abort();
  assert.equal(await watching, 0);
  const clears = frames.map((frame) => frame.split(`${ESCAPE}[2J`).length - 1);
  assert.deepEqual(clears, [1, ...frames.slice(1).map(() => 0)]);
  for (const frame of frames) {
    const lines = stripVTControlCharacters(frame).split('\n');
    for (const line of lines) assert.ok(Array.from(line).length <= 30, JSON.stringify(line));
  }
  assert.ok((frames.at(-1)?.split('\n').length ?? 9) <= 3);
});

test('a reader that has read enough ends it without a word', async () => {
  await using folder = await Folder.create();
  const child = spawn(
    'sh',
    [
      '-c',
      '"$@" | head -n 1',
      'sh',
      process.execPath,
      ...PROGRAM,
      'status',
      '--watch',
      '--dir',
      folder.dir,
    ],
    { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const dismiss = guardProcess(child);
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => (errors += part));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  let isOver = false;
  void ended.then(() => (isOver = true));
  let percent = 10;
  await until(
    async () => {
      // Each change is a line that nobody reads.
      await folder.writeCopying((percent = (percent + 1) % 90));
      return isOver;
    },
    { timeoutMs: 60_000, late: async () => new Error('it goes on') },
  );
  dismiss();
  assert.equal(errors, '');
});

test('yaml and json are the file’s own words', async () => {
  await using folder = await Folder.create();
  const json = await runCommand(['status', '--dir', folder.dir, '-o', 'json']);
  assert.equal(json.code, 0, json.stderr);
  const [shop] = JSON.parse(json.stdout) as { status: { state: string } }[];
  assert.equal(shop?.status.state, 'RESYNCING');
});
