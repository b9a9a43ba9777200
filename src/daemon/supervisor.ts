/** Keeps one MirrorLoop for each mirror of the directory. Knows files, not databases. */
import type { Clock } from '../core/clock.ts';
import { classify } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Intent } from '../core/intent.ts';
import type { Mirror } from '../core/mirror.ts';
import { describeDiagnostic, DIAGNOSTIC_REASONS } from '../spec/diagnostic.ts';
import { loadDirectory } from '../spec/load.ts';
import type { Snapshot } from '../spec/snapshot.ts';
import { StatusFile } from '../status/status-file.ts';
import { MirrorLoop } from './mirror-loop.ts';
import { watchDirectory } from './watch.ts';

export interface SupervisorOptions {
  readonly dir: string;
  readonly statusDir: string;
  /** Ends when every mirror is Ready or has failed. */
  readonly once: boolean;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

interface Running {
  readonly loop: MirrorLoop;
  mirror: Mirror;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #running = new Map<string, Running>();
  readonly #settled = new AbortController();
  #digest: string | undefined;
  #hasInvalidFiles = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  /** Runs until the signal aborts, or with `once` until all is settled. True when every mirror is Ready. */
  async run(): Promise<boolean> {
    const { dir, log, clock, signal } = this.#options;
    const stop = AbortSignal.any([signal, this.#settled.signal]);
    try {
      await watchDirectory({
        dir,
        log,
        clock,
        signal: stop,
        onLookAgain: async () => this.#look(),
      });
      return !this.#hasInvalidFiles && this.#loops().every(({ outcome }) => outcome === 'ready');
    } finally {
      await Promise.all(this.#loops().map(async (loop) => loop.stop()));
    }
  }

  /** Every mirror looks at its databases again now. */
  lookAgain(): void {
    for (const loop of this.#loops()) loop.lookAgain();
  }

  async #look(): Promise<void> {
    const { dir, log } = this.#options;
    try {
      const snapshot = await loadDirectory(dir);
      if (snapshot.digest !== this.#digest) this.#take(snapshot);
      this.#digest = snapshot.digest;
    } catch (thrown) {
      // Absence is not intent: what runs goes on.
      const error = classify(thrown);
      log.warn({ code: error.code, hint: error.hint }, error.message);
      this.#hasInvalidFiles = true;
    }
    this.#settleIfOnce();
  }

  #take(snapshot: Snapshot): void {
    const errors = snapshot.diagnostics.filter(({ severity }) => severity === 'error');
    this.#hasInvalidFiles = errors.length > 0;
    for (const one of errors)
      this.#options.log.warn({ file: one.file, line: one.line }, describeDiagnostic(one));
    for (const mirror of snapshot.mirrors) this.#keep(mirror);
    const valid = new Set(snapshot.mirrors.map(({ name }) => name));
    for (const [name, { loop, mirror }] of this.#running) {
      if (valid.has(name)) continue;
      const own = errors.filter((one) => one.mirror === name || one.file === mirror.file);
      if (own.length === 0)
        this.#options.log.warn(
          { mirror: name },
          'its file is gone; the mirror runs on until it is retired by hand',
        );
      loop.update({
        mirror,
        problems: own.map((one) => ({
          reason: DIAGNOSTIC_REASONS[one.code],
          text: describeDiagnostic(one),
        })),
        leaving: [],
        presence: { kind: 'present' },
      });
    }
  }

  #keep(mirror: Mirror): void {
    const running = this.#running.get(mirror.name);
    const intent: Intent = { mirror, problems: [], leaving: [], presence: { kind: 'present' } };
    if (running) {
      running.mirror = mirror;
      running.loop.update(intent);
      return;
    }
    const { statusDir, log, clock } = this.#options;
    const loop = new MirrorLoop({
      intent,
      statusFile: new StatusFile(statusDir, mirror.name),
      log: log.child({ mirror: mirror.name }),
      clock,
      onProgress: () => this.#settleIfOnce(),
    });
    this.#running.set(mirror.name, { loop, mirror });
  }

  #settleIfOnce(): void {
    if (!this.#options.once) return;
    if (this.#loops().every(({ outcome }) => outcome !== 'working')) this.#settled.abort();
  }

  #loops(): MirrorLoop[] {
    return [...this.#running.values()].map(({ loop }) => loop);
  }
}
