/** Events of the file system around one directory. They are hints to look, never facts. */
import { watch as watchFolder, type FSWatcher as FolderWatcher } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { basename, dirname, join, parse, resolve, sep } from 'node:path';
import { watch, type FSWatcher } from 'chokidar';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { DirectoryPlace } from '../../spec/read-directory.ts';
import { TroubleLog } from '../trouble-log.ts';

const TROUBLE = 'watching files failed; they are still looked at in intervals';
/** What a watcher cannot find out by then, the rescan sees. */
const READY_TIMEOUT_MS = 2_000;

export interface HintOptions {
  readonly dir: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly onHint: () => void;
}

/**
 * A watch is bound to the directory that it found, and goes blind when another one takes its place: so the
 * folders that hold the directory, and the links on the way to it, are watched too.
 */
export class Hints implements AsyncDisposable {
  readonly #options: HintOptions;
  readonly #troubles: TroubleLog;
  #watcher: FSWatcher | undefined;
  #parents: readonly FolderWatcher[] = [];
  /** What is watched; undefined when it has to be found out anew. */
  #identity: string | undefined;

  constructor(options: HintOptions) {
    this.#options = options;
    this.#troubles = new TroubleLog(options.log);
  }

  /** Watches what is there now. True when that is new, and may have changed before it was watched. */
  async follow(place: DirectoryPlace | undefined): Promise<boolean> {
    const identity = place?.identity ?? 'missing';
    if (identity === this.#identity) return false;
    await this[Symbol.asyncDispose]();
    this.#identity = identity;
    const steps = await stepsTo(resolve(this.#options.dir));
    const real = place === undefined ? [] : await stepsTo(place.path);
    this.#parents = [...new Set([...steps, ...real])].flatMap((step) => this.#watchParent(step));
    if (place !== undefined) await this.#watchFiles(place.path);
    return true;
  }

  async #watchFiles(path: string): Promise<void> {
    const watcher = watch(path, { ignoreInitial: true, depth: 0, followSymlinks: false });
    this.#watcher = watcher;
    watcher.on('all', this.#options.onHint);
    // Without a listener an inotify limit would end the daemon; the rescan goes on.
    watcher.on('error', this.#failed);
    const ready = new AbortController();
    watcher.once('ready', () => ready.abort());
    await this.#options.clock.sleep(READY_TIMEOUT_MS, ready.signal);
  }

  /** One entry of a folder: the folder may be busy with others. */
  #watchParent(step: string): FolderWatcher[] {
    const name = basename(step);
    try {
      const watcher = watchFolder(dirname(step), { persistent: false }, (event, entry) => {
        if (entry !== null && entry !== name) return;
        if (event !== 'rename') return;
        this.#identity = undefined;
        this.#options.onHint();
      });
      watcher.on('error', this.#failed);
      return [watcher];
    } catch (error) {
      this.#failed(error);
      return [];
    }
  }

  readonly #failed = (error: unknown): void => {
    this.#troubles.tellOf(TROUBLE, error);
  };

  async [Symbol.asyncDispose](): Promise<void> {
    for (const parent of this.#parents) parent.close();
    this.#parents = [];
    await this.#watcher?.close();
    this.#watcher = undefined;
  }
}

/** The entries that decide where a path leads: its links, and its end. Of one that is not there, the first that is missing. */
async function stepsTo(path: string): Promise<string[]> {
  const { root } = parse(path);
  const steps: string[] = [];
  let step = root;
  for (const part of path.slice(root.length).split(sep)) {
    step = join(step, part);
    const found = await lstat(step).catch(() => undefined);
    if (found === undefined || found.isSymbolicLink() || step === path) steps.push(step);
    if (found === undefined) break;
  }
  return steps;
}
