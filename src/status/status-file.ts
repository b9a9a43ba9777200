/** Puts a status on disk, whole or not at all. The daemon never reads it back. */
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
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

/** Writes the file when its text differs from the last one written by this object. */
export class StatusFile {
  readonly #dir: string;
  readonly #path: string;
  #written: string | undefined;

  constructor(dir: string, mirror: string) {
    this.#dir = dir;
    this.#path = statusPath(dir, mirror);
  }

  /** Temporary file in the same folder, fsync, rename. Throws what the file system throws. */
  async write(status: Status): Promise<void> {
    const text = renderStatus(status);
    if (text === this.#written) return;
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
    this.#written = text;
  }

  /** The next write happens whatever was written before: the file may have been deleted. */
  forget(): void {
    this.#written = undefined;
  }

  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }
}
