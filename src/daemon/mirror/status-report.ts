/** Tells the status of one mirror: computed anew each time, and put on disk when it differs. */
import type { Clock } from '../../core/clock.ts';
import { computeStatus, type Status } from '../../status/status.ts';
import type { StatusFile } from '../../status/status-file.ts';
import type { MirrorView } from '../../status/view.ts';
import type { TroubleLog } from '../trouble-log.ts';

const TROUBLE = 'the status file cannot be written; the mirror goes on';

/** What there is to tell: nothing, that another daemon tells it, or all that is known of the mirror. */
export type Word =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'withdraw' }
  /** `isSure`: no other daemon can own the mirror now. */
  | { readonly kind: 'view'; readonly view: MirrorView; readonly isSure: boolean };

export interface StatusReportOptions {
  readonly statusFile: StatusFile;
  readonly troubles: TroubleLog;
  readonly clock: Clock;
  readonly word: () => Word;
}

export class StatusReport {
  readonly #options: StatusReportOptions;
  #status: Status | undefined;
  #writing = Promise.resolve();

  constructor(options: StatusReportOptions) {
    this.#options = options;
  }

  /** As it was computed last; undefined before that, and when it was forgotten. */
  get status(): Status | undefined {
    return this.#status;
  }

  /** What was said of the mirror is not this daemon's to say any more. */
  forget(): void {
    this.#status = undefined;
  }

  /**
   * One write after the other: two at once would mix their texts in the temporary file. Never throws: what
   * cannot be written is logged, once.
   */
  async tell(): Promise<void> {
    this.#writing = this.#writing.then(async () => this.#write());
    await this.#writing;
  }

  /** Returns when nothing is being written. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { statusFile, troubles, clock, word } = this.#options;
    try {
      const now = word();
      if (now.kind === 'nothing') return;
      if (now.kind === 'withdraw') return await statusFile.withdraw();
      this.#status = computeStatus(now.view, this.#status, clock.now());
      await statusFile.write(this.#status, now.isSure);
      troubles.tellOf(TROUBLE, undefined);
    } catch (error) {
      troubles.tellOf(TROUBLE, error);
    }
  }
}
