/** Status files of mirrors that were never taken: nobody else writes them. */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../core/clock.ts';
import type { SpecProblem } from '../../core/intent.ts';
import type { Log } from '../../core/log.ts';
import { rejectedStatus } from '../../status/rejected.ts';
import { StatusFile } from '../../status/status-file.ts';
import type { Status } from '../../status/status.ts';
import { TroubleLog } from '../trouble-log.ts';

const TROUBLE = 'the status of a refused mirror cannot be written';

export interface RejectedFilesOptions {
  readonly statusDir: string;
  readonly log: Log;
  readonly clock: Clock;
}

interface Shown {
  readonly file: StatusFile;
  status?: Status;
  /** What the file was last written for, by us. */
  told?: SpecProblem | undefined;
}

/** Several daemons may refuse one mirror and have the same folder: each writes what is news to it, once. */
export class RejectedFiles {
  readonly #options: RejectedFilesOptions;
  readonly #troubles: TroubleLog;
  readonly #shown = new Map<string, Shown>();

  constructor(options: RejectedFilesOptions) {
    this.#options = options;
    this.#troubles = new TroubleLog(options.log);
  }

  /** Writes one for each of these mirrors and removes those of others, except where a mirror runs by now. Never throws. */
  async show(
    rejected: ReadonlyMap<string, readonly SpecProblem[]>,
    isRunning: (name: string) => boolean,
  ): Promise<void> {
    const { statusDir, clock } = this.#options;
    for (const [name, problems] of rejected) {
      const shown: Shown = this.#shown.get(name) ?? { file: new StatusFile(statusDir, name) };
      this.#shown.set(name, shown);
      const status = rejectedStatus(name, problems, { previous: shown.status, now: clock.now() });
      shown.status = status;
      const [problem] = problems;
      const isNews = !isDeepStrictEqual(problem, shown.told);
      await this.#attempt(async () => {
        await shown.file.write(status, isNews);
        shown.told = problem;
      });
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
      this.#troubles.tellOf(TROUBLE, undefined);
    } catch (error) {
      this.#troubles.tellOf(TROUBLE, error);
    }
  }
}
