/** Paths -> Snapshot: the files as they were at one moment, read by read-directory.ts. */
import { stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { systemClock, type Clock } from '../core/clock.ts';
import { classify } from '../core/errors.ts';
import type { Diagnostic } from './diagnostic.ts';
import { GitLock } from './git-lock.ts';
import { readDirectory, readOne, unreadable, type DirectoryPlace } from './read-directory.ts';
import { digestFiles, readSnapshot, type ParsedFiles } from './snapshot.ts';
import type { Snapshot, SourceFile } from './snapshot.ts';

/** Between two attempts to find the directory at rest. */
const PAUSE_MS = 200;

/**
 * Reads every mirror file of a directory, not of its subdirectories. Hidden names, as git-sync and
 * ConfigMaps use them, are passed over; links are followed.
 * Throws InvalidSpec when the directory itself cannot be read; a file that cannot is a diagnostic.
 */
export async function loadDirectory(dir: string): Promise<Snapshot> {
  const { files, settled } = await readDirectory(dir, {
    pause: async () => systemClock.sleep(PAUSE_MS),
  });
  const snapshot = readSnapshot(files);
  if (settled) return snapshot;
  return { ...snapshot, diagnostics: [unsettled(dir), ...snapshot.diagnostics], complete: false };
}

function unsettled(dir: string): Diagnostic {
  const message = 'the files change while they are read';
  return { severity: 'error', code: 'Unsettled', message, file: dir, line: 1, column: 1 };
}

/** What one look at the directory found. */
export type Look =
  | { readonly kind: 'files'; readonly snapshot: Snapshot }
  /** It never stood still, or git is at work in it: nothing can be said. */
  | { readonly kind: 'unsettled' }
  /** Why there is no directory to look at. */
  | { readonly kind: 'unreadable'; readonly message: string };

export interface Looked {
  readonly look: Look;
  /** Undefined when it cannot be read. */
  readonly place: DirectoryPlace | undefined;
}

/** Looks at one directory again and again, for the daemon. What did not change is not parsed again. */
export class DirectoryReader {
  readonly dir: string;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #gitLock: GitLock;
  readonly #parsed: ParsedFiles = new Map();
  #last: Snapshot | undefined;

  constructor(dir: string, { clock, signal }: { clock: Clock; signal: AbortSignal }) {
    this.dir = dir;
    this.#clock = clock;
    this.#signal = signal;
    this.#gitLock = new GitLock(clock);
  }

  /** Never throws. The same Snapshot object when nothing changed. */
  async look(): Promise<Looked> {
    try {
      const { files, settled, place } = await readDirectory(this.dir, {
        isBusy: async (path) => this.#gitLock.isHeld(path),
        pause: async () => this.#clock.sleep(PAUSE_MS, this.#signal),
      });
      if (!settled) return { look: { kind: 'unsettled' }, place };
      if (this.#last?.digest !== digestFiles(files).digest)
        this.#last = readSnapshot(files, { parsed: this.#parsed });
      return { look: { kind: 'files', snapshot: this.#last }, place };
    } catch (thrown) {
      return { look: { kind: 'unreadable', message: classify(thrown).message }, place: undefined };
    }
  }
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
  return readSnapshot(files, { neighbours: beside.filter(({ path }) => !taken.has(path)) });
}

async function readPath(path: string): Promise<readonly SourceFile[]> {
  try {
    if ((await stat(path)).isDirectory()) return (await readDirectory(path)).files;
    return [await readOne(path)];
  } catch (thrown) {
    return [{ path, content: unreadable(path, thrown) }];
  }
}

async function readNeighbours(folder: string): Promise<readonly SourceFile[]> {
  try {
    return (await readDirectory(folder)).files;
  } catch {
    // Nobody asked for this folder; a peer that is missing for it is reported as missing.
    return [];
  }
}
