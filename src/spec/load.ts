/** The one place of this floor that touches a disk: paths -> bytes, all of one moment, then readSnapshot. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { driverCode, MirrorError } from '../core/errors.ts';
import type { Diagnostic, DiagnosticCode } from './diagnostic.ts';
import { readSnapshot, type Snapshot, type SourceFile } from './snapshot.ts';

/** Room for thousands of tables, and small enough to be parsed at every look. */
const MAX_FILE_BYTES = 256 * 1024;

/** Looks at a directory that changes under us, before it is called unsettled. */
const MAX_ATTEMPTS = 5;

/**
 * Reads every mirror file of a directory, not of its subdirectories. Hidden names, as git-sync and
 * ConfigMaps use them, are passed over; links are followed.
 * Throws InvalidSpec when the directory itself cannot be read; a file that cannot is a diagnostic.
 */
export async function loadDirectory(dir: string): Promise<Snapshot> {
  const { files, settled } = await readUntilSettled(() => readDirectory(dir));
  const snapshot = readSnapshot(files);
  if (settled) return snapshot;
  const unsettled = problem(dir, 'Unsettled', 'the files change while they are read');
  return { ...snapshot, diagnostics: [unsettled, ...snapshot.diagnostics], complete: false };
}

/**
 * Reads until two looks in a row are alike, so that what is returned is not half of one commit and
 * half of the next. Gives up after a few: `settled` is false then.
 */
export async function readUntilSettled(
  read: () => Promise<SourceFile[]>,
): Promise<{ files: SourceFile[]; settled: boolean }> {
  let files = await read();
  for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt += 1) {
    const again = await read();
    if (isSame(files, again)) return { files, settled: true };
    files = again;
  }
  return { files, settled: false };
}

/**
 * Reads the named files, and directories as loadDirectory does. The other files beside a named one
 * are asked for peers only. Never throws: what cannot be read is a diagnostic.
 */
export async function loadPaths(paths: readonly string[]): Promise<Snapshot> {
  const named = (await Promise.all(paths.map(readPath))).flat();
  const files = [...new Map(named.map((file) => [resolve(file.path), file])).values()];
  const taken = new Set(files.map(({ path }) => resolve(path)));
  const single = files.filter(({ path }) => paths.includes(path));
  const folders = [...new Set(single.map(({ path }) => dirname(resolve(path))))];
  const beside = (await Promise.all(folders.map(readNeighbours))).flat();
  return readSnapshot(
    files,
    beside.filter(({ path }) => !taken.has(path)),
  );
}

async function readDirectory(dir: string): Promise<SourceFile[]> {
  const read = await Promise.all((await listFiles(dir)).map(readOne));
  return read.filter((file) => file !== undefined);
}

async function readPath(path: string): Promise<SourceFile[]> {
  try {
    if ((await stat(path)).isDirectory()) return await readDirectory(path);
    const file = await readOne(path);
    return file === undefined ? [] : [file];
  } catch (thrown) {
    return [{ path, content: unreadable(path, thrown) }];
  }
}

async function readNeighbours(folder: string): Promise<SourceFile[]> {
  try {
    return await readDirectory(folder);
  } catch {
    // Nobody asked for this folder; a peer that is missing for it is reported as missing.
    return [];
  }
}

async function listFiles(dir: string): Promise<string[]> {
  try {
    const names = await readdir(dir);
    return names
      .filter((name) => /^[^.].*\.ya?ml$/i.test(name))
      .sort()
      .map((name) => join(dir, name));
  } catch (cause) {
    throw new MirrorError('InvalidSpec', `cannot read the directory ${dir}: ${reason(cause)}`, {
      cause,
      hint: 'Check the path and its permissions; mirrors that are running go on.',
    });
  }
}

/** Undefined for a directory, whatever its name ends in. */
async function readOne(path: string): Promise<SourceFile | undefined> {
  try {
    const info = await stat(path);
    if (info.isDirectory()) return undefined;
    // Opening a pipe would wait for its writer, for ever.
    if (!info.isFile())
      return { path, content: problem(path, 'Unreadable', 'this is not an ordinary file') };
    if (info.size > MAX_FILE_BYTES) return { path, content: tooLarge(path) };
    const content = await readFile(path);
    return { path, content: content.length > MAX_FILE_BYTES ? tooLarge(path) : content };
  } catch (thrown) {
    return { path, content: unreadable(path, thrown) };
  }
}

function tooLarge(path: string): Diagnostic {
  return problem(path, 'TooLarge', `the file is larger than ${MAX_FILE_BYTES / 1024} KiB`);
}

function unreadable(path: string, thrown: unknown): Diagnostic {
  if (thrown instanceof MirrorError) return problem(path, 'Unreadable', thrown.message);
  return problem(path, 'Unreadable', `cannot read it: ${reason(thrown)}`);
}

function problem(file: string, code: DiagnosticCode, message: string): Diagnostic {
  return { severity: 'error', code, message, file, line: 1, column: 1 };
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  ENOTDIR: 'it is not a directory',
  EACCES: 'permission denied',
  ELOOP: 'its links go round in a circle',
};

function reason(thrown: unknown): string {
  const code = driverCode(thrown) ?? 'unknown error';
  return REASONS[code] ?? code;
}

function isSame(a: readonly SourceFile[], b: readonly SourceFile[]): boolean {
  return a.length === b.length && a.every((file, index) => isSameFile(file, b[index]));
}

function isSameFile(a: SourceFile, b: SourceFile | undefined): boolean {
  if (b === undefined || a.path !== b.path) return false;
  if (a.content instanceof Uint8Array && b.content instanceof Uint8Array)
    return Buffer.compare(a.content, b.content) === 0;
  return JSON.stringify(a.content) === JSON.stringify(b.content);
}
