/** Whether git is at work on the files around a directory: a checkout in place is not one moment. */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Clock } from '../core/clock.ts';

/** A lock that is older was left by a git that died. */
const MAX_WAIT_MS = 60_000;

export class GitLock {
  readonly #clock: Clock;
  #seen: { readonly mark: string; readonly sinceMs: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True while the repository's index is locked, for 60 s of our watch at most. `dir`: behind all links. */
  async isHeld(dir: string): Promise<boolean> {
    const lock = await findIndexLock(dir);
    const found = lock === undefined ? undefined : await stat(lock).catch(() => undefined);
    if (found === undefined) {
      this.#seen = undefined;
      return false;
    }
    const mark = `${lock} ${found.ino} ${found.ctimeMs}`;
    const nowMs = this.#clock.monotonicMs();
    if (this.#seen?.mark !== mark) this.#seen = { mark, sinceMs: nowMs };
    return nowMs - this.#seen.sinceMs < MAX_WAIT_MS;
  }
}

/** The path that git's lock has while there is one; undefined outside of a repository. */
export async function findIndexLock(dir: string): Promise<string | undefined> {
  for (let folder = dir; ; folder = dirname(folder)) {
    const path = join(folder, '.git');
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory() === true) return join(path, 'index.lock');
    // A worktree or a submodule: the file names the folder.
    if (found?.isFile() === true) {
      const text = await readFile(path, 'utf8').catch(() => '');
      const [, target] = /^gitdir: (.+)$/m.exec(text) ?? [];
      return target === undefined ? undefined : join(resolve(folder, target), 'index.lock');
    }
    if (dirname(folder) === folder) return undefined;
  }
}
