/**
 * Keeps one MirrorLoop for each mirror that the directory asks for, or asked for last. Knows files, not
 * databases: what a look means is decided in intents.ts.
 */
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { DirectoryReader, type Look } from '../spec/load.ts';
import { StatusFile } from '../status/status-file.ts';
import { AppliedFiles } from './directory/applied-files.ts';
import { countFiles, type DaemonView, type DirectoryView } from './http/daemon-view.ts';
import { decideIntents, type Decision } from './directory/intents.ts';
import { intentOf, type KnownMirror } from './directory/known-mirror.ts';
import type { Meter } from './http/meter.ts';
import { MirrorLoop } from './mirror/mirror-loop.ts';
import { Peers } from './ownership/peers.ts';
import { RejectedFiles } from './directory/rejected-files.ts';
import { transitions } from './directory/transitions.ts';
import { DirectoryWatch, type LookResult } from './directory/watch.ts';

export interface SupervisorOptions {
  readonly dir: string;
  readonly statusDir: string;
  /** So long every look must say that a file or a table is gone, before it counts as removed. */
  readonly removalGraceMs: number;
  /** Ends when every mirror is Ready or has failed, and no removal is under way. */
  readonly once: boolean;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly meter?: Meter | undefined;
}

interface Running {
  readonly loop: MirrorLoop;
  readonly statusFile: StatusFile;
}

type Verdict = MirrorLoop['outcome'];

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #running = new Map<string, Running>();
  readonly #settled = new AbortController();
  readonly #peers: Peers;
  readonly #reader: DirectoryReader;
  readonly #watch: DirectoryWatch;
  readonly #applied: AppliedFiles;
  readonly #rejectedFiles: RejectedFiles;
  /** Mirrors whose loop has ended by itself. */
  readonly #retired = new Set<string>();
  #decision: Decision = { known: new Map(), rejected: new Map(), againMs: undefined };
  #last: Look | undefined;
  #directory: DirectoryView | undefined;
  #outcome: Verdict = 'working';

  constructor(options: SupervisorOptions) {
    const { dir, statusDir, log, clock } = options;
    this.#options = options;
    this.#peers = new Peers(clock, { shares: !options.once });
    const signal = AbortSignal.any([options.signal, this.#settled.signal]);
    this.#reader = new DirectoryReader(dir, { clock, signal });
    const onLookAgain = async (): Promise<LookResult> => this.#look();
    this.#watch = new DirectoryWatch({ dir, log, clock, signal, onLookAgain });
    this.#applied = new AppliedFiles(statusDir, log);
    this.#rejectedFiles = new RejectedFiles(options);
  }

  /** Runs until the signal aborts, or with `once` until all is settled. True when every mirror was Ready then. */
  async run(): Promise<boolean> {
    try {
      this.#decision = { ...this.#decision, known: await this.#applied.read() };
      await this.#watch.run();
      return this.#outcome === 'ready';
    } finally {
      await Promise.all(this.#loops().map(async (loop) => loop.stop()));
    }
  }

  /** The files, and every mirror its databases, are looked at now, whatever is waited for. */
  lookAgain(): void {
    this.#watch.lookNow();
    for (const loop of this.#loops()) loop.retryNow();
  }

  view(): DaemonView {
    return { directory: this.#directory, mirrors: this.#loops().map((loop) => loop.view) };
  }

  async #look(): Promise<LookResult> {
    const { dir, log, clock, removalGraceMs: graceMs } = this.#options;
    const { look, place } = await this.#reader.look();
    const there = await this.#applied.list();
    const before = { known: await this.#remaining(look, there), rejected: this.#decision.rejected };
    const decision = decideIntents(before.known, look, {
      dir,
      nowMs: clock.monotonicMs(),
      graceMs,
    });
    const lines = transitions({ ...before, look: this.#last }, { ...decision, look });
    for (const { level, fields, message } of lines) log[level](fields, message);
    const all = [...decision.known.values()];
    // Before anything acts on it: what was decided is not decided anew after a crash.
    await Promise.all(all.map(async (known) => this.#applied.keep(known, there)));
    for (const known of all) this.#drive(known);
    await this.#rejectedFiles.show(decision.rejected, (name) => this.#running.has(name));
    this.#decision = decision;
    this.#last = look;
    if (look.kind === 'files')
      this.#directory = { lastGoodLook: clock.now(), ...countFiles(look.snapshot) };
    this.#settleIfOnce();
    return { place, againMs: decision.againMs };
  }

  /** What is known by now, without the mirrors that are gone for good, and those that somebody made us forget. */
  async #remaining(
    look: Look,
    there: ReadonlySet<string> | undefined,
  ): Promise<Map<string, KnownMirror>> {
    const remaining = new Map(this.#decision.known);
    for (const name of this.#retired) {
      remaining.delete(name);
      this.#running.delete(name);
      await this.#applied.remove(name);
    }
    this.#retired.clear();
    for (const [name, one] of remaining)
      if (this.#running.get(name)?.loop.isEstablished === true)
        remaining.set(name, { ...one, isEstablished: true });
    for (const [name, { presence }] of remaining) {
      const isAway = presence.kind !== 'present' && look.kind === 'files';
      if (!isAway || !this.#applied.wasTakenAway(name, there)) continue;
      this.#options.log.warn(
        { mirror: name },
        'its last good spec was deleted: the mirror is forgotten',
      );
      remaining.delete(name);
      await this.#forget(name);
    }
    return remaining;
  }

  async #forget(name: string): Promise<void> {
    const { loop, statusFile } = this.#running.get(name) ?? {};
    this.#running.delete(name);
    await this.#applied.remove(name);
    await loop?.stop();
    await statusFile
      ?.remove()
      .catch((err: unknown) =>
        this.#options.log.warn({ err }, 'the status file cannot be removed'),
      );
  }

  #drive(known: KnownMirror): void {
    const { name } = known.mirror;
    const running = this.#running.get(name);
    if (running !== undefined) {
      running.loop.update(intentOf(known));
      return;
    }
    const { statusDir, log, clock, meter } = this.#options;
    const statusFile = new StatusFile(statusDir, name);
    const loop = new MirrorLoop({
      intent: intentOf(known),
      peers: this.#peers,
      statusFile,
      log: log.child({ mirror: name }),
      clock,
      meter,
      onProgress: () => this.#settleIfOnce(),
      onRetired: () => {
        this.#retired.add(name);
        this.#watch.lookNow();
      },
    });
    this.#running.set(name, { loop, statusFile });
  }

  #settleIfOnce(): void {
    if (!this.#options.once || this.#settled.signal.aborted) return;
    this.#outcome = this.#verdict();
    if (this.#outcome !== 'working') this.#settled.abort();
  }

  /** Of all together. What cannot be told, or is not removed before somebody does something, has failed. */
  #verdict(): Verdict {
    const { known, rejected } = this.#decision;
    const isUnderWay =
      this.#last === undefined || this.#decision.againMs !== undefined || this.#retired.size > 0;
    const verdicts = [...known.values()].map((one) => this.#verdictOf(one));
    if (isUnderWay || verdicts.includes('working')) return 'working';
    const isRefused =
      rejected.size > 0 || this.#last?.kind !== 'files' || this.#directory?.invalidFiles !== 0;
    return isRefused || verdicts.includes('failed') ? 'failed' : 'ready';
  }

  #verdictOf({ mirror, presence, problems, leaving }: KnownMirror): Verdict {
    const isHeldUp = presence.kind === 'missing' || problems.length > 0 || leaving.length > 0;
    return isHeldUp ? 'failed' : (this.#running.get(mirror.name)?.loop.outcome ?? 'working');
  }

  #loops(): MirrorLoop[] {
    return [...this.#running.values()].map(({ loop }) => loop);
  }
}
