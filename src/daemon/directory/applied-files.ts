/** Keeps `<status-dir>/.applied/<mirror>.yaml`: the last good spec of each mirror. */
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Log } from '../../core/log.ts';
import { replaceFile, tidyFolder } from '../../status/replace-file.ts';
import { appliedKey, parseApplied, renderApplied } from './applied.ts';
import type { KnownMirror } from './known-mirror.ts';
import { TroubleLog } from '../trouble-log.ts';

const ENDING = '.yaml';
const TROUBLE =
  'last good specs cannot be kept; mirrors go on, and after a restart only by their files';

export class AppliedFiles {
  readonly #dir: string;
  readonly #log: Log;
  readonly #troubles: TroubleLog;
  /** What is on disk by our doing, by the mirror's name: see appliedKey. */
  readonly #written = new Map<string, string>();

  constructor(statusDir: string, log: Log) {
    this.#dir = join(statusDir, '.applied');
    this.#log = log;
    this.#troubles = new TroubleLog(log);
  }

  /** What the last daemon knew, by the mirror's name. A file that it did not write is logged and left alone. */
  async read(): Promise<Map<string, KnownMirror>> {
    const known = new Map<string, KnownMirror>();
    // Nothing depends on it.
    await tidyFolder(this.#dir).catch(() => undefined);
    for (const name of (await this.list()) ?? []) {
      const file = this.#path(name);
      const text = await readFile(file, 'utf8').catch(() => undefined);
      const mirror = text === undefined ? undefined : parseApplied(name, text);
      if (text === undefined || mirror === undefined) {
        this.#log.warn({ mirror: name, file }, 'this is no last good spec; it is left alone');
        continue;
      }
      this.#written.set(name, appliedKey(mirror));
      known.set(name, mirror);
    }
    return known;
  }

  /** Names of the mirrors that have a file; undefined when that cannot be told. */
  async list(): Promise<ReadonlySet<string> | undefined> {
    try {
      const names = await readdir(this.#dir);
      const files = names.filter((name) => name.endsWith(ENDING) && !name.startsWith('.'));
      return new Set(files.map((name) => basename(name, ENDING)));
    } catch {
      return undefined;
    }
  }

  /** Written when it differs, or is not `there`. Never throws: a mirror needs this only at the next start. */
  async keep(known: KnownMirror, there: ReadonlySet<string> | undefined): Promise<void> {
    const { name } = known.mirror;
    const key = appliedKey(known);
    if (this.#written.get(name) === key && there?.has(name) === true) return;
    await this.#attempt(async () => {
      await mkdir(this.#dir, { recursive: true });
      await replaceFile(this.#path(name), renderApplied(known));
      this.#written.set(name, key);
    });
  }

  /** Somebody deleted a file that was kept here. Not when the whole directory is away: that is a lost mount. */
  wasTakenAway(name: string, there: ReadonlySet<string> | undefined): boolean {
    return this.#written.has(name) && there?.has(name) === false;
  }

  async remove(name: string): Promise<void> {
    this.#written.delete(name);
    await this.#attempt(async () => rm(this.#path(name), { force: true }));
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#troubles.tellOf(TROUBLE, undefined);
    } catch (error) {
      this.#troubles.tellOf(TROUBLE, error);
    }
  }

  #path(name: string): string {
    return join(this.#dir, `${name}${ENDING}`);
  }
}
