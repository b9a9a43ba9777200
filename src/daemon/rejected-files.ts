/** Status files of mirrors that were never taken: nobody else writes them. */
import type { Clock } from '../core/clock.ts';
import type { SpecProblem } from '../core/intent.ts';
import type { Log } from '../core/log.ts';
import { rejectedStatus } from '../status/rejected.ts';
import { StatusFile } from '../status/status-file.ts';
import type { Status } from '../status/status.ts';

export interface RejectedFilesOptions {
  readonly statusDir: string;
  readonly log: Log;
  readonly clock: Clock;
}

interface Shown {
  readonly file: StatusFile;
  status: Status | undefined;
}

export class RejectedFiles {
  readonly #options: RejectedFilesOptions;
  readonly #shown = new Map<string, Shown>();
  #hasFailed = false;

  constructor(options: RejectedFilesOptions) {
    this.#options = options;
  }

  /** Writes one for each of these mirrors and removes those of others, except where a mirror runs by now. Never throws. */
  async show(
    rejected: ReadonlyMap<string, readonly SpecProblem[]>,
    isRunning: (name: string) => boolean,
  ): Promise<void> {
    const { statusDir, clock } = this.#options;
    for (const [name, problems] of rejected) {
      const shown = this.#shown.get(name) ?? {
        file: new StatusFile(statusDir, name),
        status: undefined,
      };
      this.#shown.set(name, shown);
      const status = rejectedStatus(name, problems, { previous: shown.status, now: clock.now() });
      shown.status = status;
      await this.#attempt(async () => shown.file.write(status));
    }
    for (const [name, { file }] of this.#shown) {
      if (rejected.has(name)) continue;
      this.#shown.delete(name);
      if (!isRunning(name)) await this.#attempt(async () => file.remove());
    }
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#hasFailed = false;
    } catch (error) {
      if (!this.#hasFailed)
        this.#options.log.warn({ err: error }, 'the status of a refused mirror cannot be written');
      this.#hasFailed = true;
    }
  }
}
