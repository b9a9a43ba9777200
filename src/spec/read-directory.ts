/**
 * All mirror files of a directory as they were at one moment. Each file is looked at again when all were
 * read: what moved meanwhile (a checkout, a link that was swapped, an editor) makes it begin again.
 */
import { constants, type BigIntStats } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { driverCode, MirrorError } from '../core/errors.ts';
import type { Diagnostic, DiagnosticCode } from './diagnostic.ts';
import type { SourceFile } from './snapshot.ts';

/** Room for thousands of tables, and small enough to be parsed at every look. */
const MAX_FILE_BYTES = 256 * 1024;
/** Looks at a directory that changes under us, before it is called unsettled. */
const MAX_ATTEMPTS = 5;
/** Files that are open at the same time. */
const OPEN_FILES = 32;

export interface DirectoryRead {
  /** By name. A file that never stood still is there with why it was not read. */
  readonly files: readonly SourceFile[];
  /** False: the list of files or the directory itself changed at each attempt, or it is busy. */
  readonly settled: boolean;
  /** Which directory this was: differs when another one took its place under the same path. */
  readonly place: DirectoryPlace;
}

export interface DirectoryPlace {
  /** Behind all links. */
  readonly path: string;
  readonly identity: string;
}

export interface ReadOptions {
  /** Somebody is known to change the files now; the argument is the path behind all links. */
  readonly isBusy?: (path: string) => Promise<boolean>;
  /** Called before each further attempt. */
  readonly pause?: () => Promise<void>;
}

interface Attempt extends DirectoryRead {
  /** Files that were others after all were read. */
  readonly moving: ReadonlySet<string>;
}

/** Throws InvalidSpec when the directory itself cannot be read; a file that cannot is a diagnostic. */
export async function readDirectory(
  dir: string,
  options: ReadOptions = {},
): Promise<DirectoryRead> {
  for (let attempts = 1; ; attempts += 1) {
    const { files, settled, place, moving } = await attempt(dir, options);
    if (settled && moving.size === 0) return { files, settled, place };
    if (attempts === MAX_ATTEMPTS)
      return {
        files: files.map((file) => (moving.has(file.path) ? unsettled(file.path) : file)),
        settled,
        place,
      };
    await options.pause?.();
  }
}

async function attempt(dir: string, { isBusy }: ReadOptions): Promise<Attempt> {
  const before = await look(dir, isBusy);
  const read = await inBatches(before.names, OPEN_FILES, async (name) =>
    readIdentified(join(dir, name)),
  );
  const after = await look(dir, isBusy);
  const marks = await inBatches(read, OPEN_FILES, async ({ path }) => markOf(path));
  const moving = read.filter(({ mark }, index) => mark !== marks[index]);
  return {
    files: read.map(({ path, content }) => ({ path, content })),
    settled:
      !before.busy &&
      !after.busy &&
      before.place.identity === after.place.identity &&
      before.names.join('/') === after.names.join('/'),
    place: after.place,
    moving: new Set(moving.map(({ path }) => path)),
  };
}

interface DirectoryLook {
  readonly place: DirectoryPlace;
  readonly names: readonly string[];
  readonly busy: boolean;
}

async function look(dir: string, isBusy: ReadOptions['isBusy']): Promise<DirectoryLook> {
  try {
    const path = await realpath(dir);
    const { dev, ino, birthtimeNs } = await stat(path, { bigint: true });
    const names = (await readdir(dir)).filter(isMirrorFile).sort();
    // The time of birth: a file system may give the number of the old one again.
    const place = { path, identity: `${path} ${dev} ${ino} ${birthtimeNs}` };
    return { place, names, busy: (await isBusy?.(path)) ?? false };
  } catch (cause) {
    throw new MirrorError('InvalidSpec', `cannot read the directory ${dir}: ${reason(cause)}`, {
      cause,
      hint: 'Check the path and its permissions; mirrors that are running go on.',
    });
  }
}

/** Not what editors, git-sync and ConfigMaps leave lying about: hidden names, and those with another ending. */
export function isMirrorFile(name: string): boolean {
  return /^[^.].*\.ya?ml$/i.test(name);
}

/** A file, with what would differ if it were another one or had been written to. */
interface IdentifiedFile extends SourceFile {
  readonly mark: string;
}

/** Never throws. */
export async function readOne(path: string): Promise<SourceFile> {
  const { content } = await readIdentified(path);
  return { path, content };
}

async function readIdentified(path: string): Promise<IdentifiedFile> {
  try {
    // Opening a pipe would wait for its writer, for ever.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const before = await file.stat({ bigint: true });
    const mark = describeStats(before);
    // A directory too: that is what a container gets in the place of a file that is not there.
    if (!before.isFile())
      return { path, mark, content: problem(path, 'Unreadable', 'this is not an ordinary file') };
    if (before.size > MAX_FILE_BYTES) return { path, mark, content: tooLarge(path) };
    const content = await file.readFile();
    const isSame = describeStats(await file.stat({ bigint: true })) === mark;
    return {
      path,
      mark: isSame ? mark : '',
      content: content.length > MAX_FILE_BYTES ? tooLarge(path) : content,
    };
  } catch (thrown) {
    const isGone = driverCode(thrown) === 'ENOENT';
    const mark = isGone ? reason(thrown) : await markOf(path);
    return { path, mark, content: unreadable(path, thrown) };
  }
}

async function markOf(path: string): Promise<string> {
  try {
    return describeStats(await stat(path, { bigint: true }));
  } catch (thrown) {
    return reason(thrown);
  }
}

/** A few at a time: files that are open have a limit. */
async function inBatches<T, R>(
  items: readonly T[],
  size: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += size)
    results.push(...(await Promise.all(items.slice(start, start + size).map(work))));
  return results;
}

function describeStats({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

function unsettled(path: string): SourceFile {
  return { path, content: problem(path, 'Unsettled', 'the file changes while it is read') };
}

function tooLarge(path: string): Diagnostic {
  return problem(path, 'TooLarge', `the file is larger than ${MAX_FILE_BYTES / 1024} KiB`);
}

/** What stands in the place of a file that cannot be read. */
export function unreadable(path: string, thrown: unknown): Diagnostic {
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
