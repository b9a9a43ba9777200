/** Tells the log what goes wrong and when it is right again: a line for each change, however often it is tried. */
import type { MirrorError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Failures } from './mirror/failures.ts';

interface Told {
  readonly error: MirrorError;
  readonly attempts: number;
}

/** A server that goes down has many voices, and who is in the way of a lock changes from try to try. */
const OF_MANY_VOICES: readonly string[] = ['ConnectionFailed', 'LockTimeout'];

export class TroubleLog {
  readonly #log: Log;
  readonly #told = new Map<string, Told>();
  readonly #ongoing = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  /**
   * `isOpen`: whether what failed, by its key, still waits to be done; when left out, all of it may. What does
   * not has recovered, unless it is a table that left the file: `recovered` is the line for that one too.
   */
  tell(failures: Failures, isOpen: (key: string) => boolean = () => true): void {
    for (const key of failures.keys()) {
      const error = failures.errorOf(key);
      const attempts = failures.get(key)?.attempts ?? 0;
      if (error !== undefined) this.#failed(key, { error, attempts });
    }
    for (const key of this.#told.keys()) {
      if (failures.get(key) !== undefined || isOpen(key)) continue;
      this.#told.delete(key);
      this.#log.info(aboutKey(key), 'recovered');
    }
  }

  /** The mirror is another daemon's to tell of. */
  forget(): void {
    this.#told.clear();
  }

  /** Something beside the mirror's own work that cannot be done; undefined: it can. `what` is the line. */
  tellOf(what: string, error: unknown): void {
    if (error === undefined) {
      if (this.#ongoing.delete(what)) this.#log.info({ was: what }, 'recovered');
    } else if (!this.#ongoing.has(what)) {
      this.#ongoing.add(what);
      this.#log.warn({ err: error }, what);
    }
  }

  #failed(key: string, now: Told): void {
    const before = this.#told.get(key);
    if (before?.error === now.error) return;
    this.#told.set(key, now);
    const { code, message, hint } = now.error;
    const isNews = before === undefined || !isSameTrouble(before.error, now.error);
    // What is not known by its code is told with all that there is.
    const whole = code === 'Unexpected' || !isNews ? { err: now.error } : {};
    this.#log[isNews ? 'warn' : 'debug'](
      { ...aboutKey(key), code, message, hint, attempts: now.attempts, ...whole },
      key === '' ? 'pass failed' : 'table failed',
    );
  }
}

function isSameTrouble(a: MirrorError, b: MirrorError): boolean {
  if (a.code !== b.code) return false;
  return a.message === b.message || OF_MANY_VOICES.includes(a.code);
}

/** The mirror's own failures have the empty key. */
function aboutKey(key: string): { table?: string } {
  return key === '' ? {} : { table: key };
}
