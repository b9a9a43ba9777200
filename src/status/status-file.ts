/** Puts a status on disk, whole or not at all. The daemon never reads it back. */
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { driverCode } from '../core/errors.ts';
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

/** Keeps one file as the last status says: what differs is written, what was deleted or edited too. */
export class StatusFile {
  readonly #dir: string;
  readonly #path: string;
  #written: { readonly text: string; readonly mark: string } | undefined;
  /** Writes are made one after the other: they share the temporary file. */
  #last: Promise<void> = Promise.resolve();

  constructor(dir: string, mirror: string) {
    this.#dir = dir;
    this.#path = statusPath(dir, mirror);
  }

  /** Temporary file in the same folder, fsync, rename. Throws what the file system throws. */
  async write(status: Status): Promise<void> {
    const text = renderStatus(status);
    return this.#inTurn(async () => this.#write(text));
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
    const temporary = `${this.#path}.tmp`;
    const file = await open(temporary, 'w');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.#path);
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
