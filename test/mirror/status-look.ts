import { stat } from 'node:fs/promises';
import { readStatus } from '../../src/status/read-status.ts';
import { statusPath } from '../../src/status/status-file.ts';
import type { Status } from '../../src/status/status.ts';

/**
 * The status file of one mirror, for whoever looks at it again and again: read anew only when it is another
 * file. To parse it at each look keeps a core busy.
 */
export class StatusLook {
  readonly #directory: string;
  readonly #mirror: string;
  #version: string | undefined;
  #status: Status | undefined;

  constructor(directory: string, mirror: string) {
    this.#directory = directory;
    this.#mirror = mirror;
  }

  /** As it is now; undefined when there is none. */
  async now(): Promise<Status | undefined> {
    const path = statusPath(this.#directory, this.#mirror);
    const file = await stat(path, { bigint: true }).catch(() => undefined);
    const version = file && `${file.ino} ${file.mtimeNs}`;
    if (version !== this.#version) {
      this.#status = await readStatus(this.#directory, this.#mirror);
      this.#version = version;
    }
    return this.#status;
  }
}
