/** Puts a status on disk, whole or not at all. The daemon never reads it back. */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { driverCode } from '../core/errors.ts';
import { replaceFile, tidyFolder } from './replace-file.ts';
import type { Status } from './status.ts';

const HEADER = `# Written by bunnydb; edits are lost. Delete it and it comes again.
# yaml-language-server: $schema=../../schemas/status.schema.json
`;

/** Where a mirror's status is. */
export function statusPath(dir: string, mirror: string): string {
  return join(dir, `${mirror}.yaml`);
}

export function renderStatus(status: Status): string {
  return HEADER + stringify(status, { lineWidth: 0 });
}

/**
 * Keeps one file as the last status says: what differs is written, what was deleted or edited too. Several
 * daemons may have the same folder: the one that owns the mirror writes, and they never fight over a file.
 */
export class StatusFile {
  readonly #dir: string;
  readonly #path: string;
  #written: { readonly text: string; readonly mark: string } | undefined;
  /** How the file was left by who wrote it before us. */
  #found: string | undefined;
  #isTidy = false;
  /** Writes are made one after the other: the last one stays. */
  #last: Promise<void> = Promise.resolve();

  constructor(dir: string, mirror: string) {
    this.#dir = dir;
    this.#path = statusPath(dir, mirror);
  }

  /**
   * As replaceFile does, when there is something to do. Throws what the file system throws. `isOurs` is false
   * while it is not certain that no other daemon owns the mirror: then only a file is written that nobody
   * else has written since.
   */
  async write(status: Status, isOurs = true): Promise<void> {
    const text = renderStatus(status);
    return this.#inTurn(async () => {
      if (isOurs || (await this.#isLeftToUs())) await this.#write(text);
    });
  }

  /** Another daemon tells of the mirror now: our last word goes, if it is still there. */
  async withdraw(): Promise<void> {
    return this.#inTurn(async () => {
      const mark = this.#written?.mark;
      this.#written = undefined;
      this.#found = undefined;
      if (mark !== undefined && mark === (await this.#mark()))
        await rm(this.#path, { force: true });
    });
  }

  /** There is none, it is our own, or it has not changed since we came: nobody else seems to be there. */
  async #isLeftToUs(): Promise<boolean> {
    const mark = await this.#mark();
    if (mark === '') return true;
    if (this.#written !== undefined) return mark === this.#written.mark;
    const before = this.#found;
    this.#found ??= mark;
    return mark === before;
  }

  async remove(): Promise<void> {
    return this.#inTurn(async () => rm(this.#path, { force: true }));
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #write(text: string): Promise<void> {
    if (text === this.#written?.text && (await this.#mark()) === this.#written.mark) return;
    this.#written = undefined;
    await mkdir(this.#dir, { recursive: true });
    if (!this.#isTidy) await tidyFolder(this.#dir);
    this.#isTidy = true;
    await replaceFile(this.#path, text);
    this.#written = { text, mark: await this.#mark() };
  }

  /** Changes when somebody else touches the file; empty when it is gone. */
  async #mark(): Promise<string> {
    try {
      const { ino, size, mtimeMs } = await stat(this.#path);
      return `${ino} ${size} ${mtimeMs}`;
    } catch (error) {
      if (driverCode(error) === 'ENOENT') return '';
      throw error;
    }
  }
}
