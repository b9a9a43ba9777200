/**
 * One mirror for as long as its file is there: passes one after the other, when something happened or
 * in intervals, for ever. Failures are tried again with back-off; the status file says what is going on.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../core/clock.ts';
import { classify, type MirrorError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Intent } from '../core/intent.ts';
import type { Mirror } from '../core/mirror.ts';
import { formatTableName } from '../core/table-name.ts';
import type { Plan, Refusal } from '../plan/plan.ts';
import { computeStatus, isReady, type Status } from '../status/status.ts';
import type { StatusFile } from '../status/status-file.ts';
import { Failures } from './failures.ts';
import type { PassResult } from './pass.ts';
import { reconcile } from './reconcile.ts';
import { Scope } from './scope.ts';

export interface MirrorLoopOptions {
  readonly intent: Intent;
  readonly statusFile: StatusFile;
  readonly log: Log;
  readonly clock: Clock;
  /** Called after each pass and whenever the status changed. */
  readonly onProgress: () => void;
}

/** Both databases are looked at again this often when nothing happens: drift is found. */
const DRIFT_INTERVAL_MS = 30_000;
/** Events come in swarms; passes do not. */
const MIN_PASS_INTERVAL_MS = 50;
const STATUS_INTERVAL_MS = 1_000;
/** The mirror's own failures, beside its tables' in one book. */
const MIRROR_KEY = '';
/** Failures in a row after which `run --once` gives up on what would be tried again. */
const ONCE_MAX_ATTEMPTS = 3;

export class MirrorLoop {
  readonly done: Promise<void>;
  readonly #options: MirrorLoopOptions;
  readonly #failures: Failures;
  readonly #stopping = new AbortController();
  #intent: Intent;
  #scope: Scope | undefined;
  #last: PassResult | undefined;
  /** What #last is about: what it says of an older spec does not make this one Ready. */
  #planned: Mirror | undefined;
  #failure: MirrorError | undefined;
  #status: Status | undefined;
  #hint = new AbortController();
  #writing = Promise.resolve();

  constructor(options: MirrorLoopOptions) {
    this.#options = options;
    this.#intent = options.intent;
    this.#failures = new Failures(options.clock);
    this.done = this.#run();
  }

  /** The newest good spec, and what is wrong with a newer one. A changed spec is tried at once. */
  update(intent: Intent): void {
    const before = this.#intent;
    const isSame = isDeepStrictEqual(intent.mirror, before.mirror);
    const mirror = isSame ? before.mirror : intent.mirror;
    this.#intent = { ...intent, mirror };
    const isChanged = !isSame || intent.presence.kind !== before.presence.kind;
    // A pass may be in the middle of an hour's work, and suspend means now.
    if (mirror.suspend && !before.mirror.suspend) this.#scope?.interrupt();
    if (!isChanged) return;
    for (const key of this.#failures.keys()) this.#failures.clear(key);
    this.lookAgain();
  }

  readonly lookAgain = (): void => this.#hint.abort();

  /** Ends at a safe point; returns when every session is closed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#scope?.interrupt();
    await this.done;
  }

  get status(): Status | undefined {
    return this.#status;
  }

  /** For `run --once`: nothing more will come by itself. */
  get outcome(): 'ready' | 'failed' | 'working' {
    const { specHash, suspend } = this.#intent.mirror;
    if (this.#status?.status.observedSpecHash !== specHash) return 'working';
    if (suspend && this.#planned === this.#intent.mirror) return 'ready';
    if (isReady(this.#status)) return 'ready';
    const isStalled = this.#status.status.conditions.some(({ type }) => type === 'Stalled');
    const attempts = this.#failures.keys().map((key) => this.#failures.get(key));
    const isRunning = (this.#scope?.copies?.views().size ?? 0) > 0;
    const isHopeless = attempts.some(
      (failure) => failure !== undefined && failure.attempts >= ONCE_MAX_ATTEMPTS,
    );
    return (isHopeless || isStalled) && !isRunning ? 'failed' : 'working';
  }

  async #run(): Promise<void> {
    const writing = setInterval(() => void this.#report(), STATUS_INTERVAL_MS);
    const { signal } = this.#stopping;
    try {
      while (!signal.aborted) {
        this.#hint = new AbortController();
        const waitMs = await this.#pass();
        await this.#report();
        this.#options.onProgress();
        await this.#options.clock.sleep(MIN_PASS_INTERVAL_MS, signal);
        await this.#options.clock.sleep(waitMs, AbortSignal.any([signal, this.#hint.signal]));
      }
    } finally {
      clearInterval(writing);
      // The file keeps what was true while the mirror ran.
      await this.#close();
    }
  }

  /** One pass; returns how long to wait for the next when nothing happens. Never throws. */
  async #pass(): Promise<number> {
    const { log } = this.#options;
    try {
      await this.#reopenIfBroken();
      this.#scope ??= await Scope.open({
        ...this.#options,
        mirror: this.#intent.mirror,
        failures: this.#failures,
        signal: this.#stopping.signal,
        onLookAgain: this.lookAgain,
      });
      const mirror = this.#intent.mirror;
      const isDue = (key: string): boolean => this.#failures.waitMs(key) === 0;
      const result = await reconcile(this.#scope, mirror, { log, isDue });
      const before = this.#last?.plan;
      // Also of a pass with a failed step: what it saw and what went on is what the status tells.
      this.#last = result;
      this.#planned = mirror;
      if (result.error) this.#failed(result.error);
      else this.#recovered();
      return this.#settle(result, before);
    } catch (thrown) {
      // Why the stream ended is the reason, not that the pass was cut off with it.
      this.#failed(this.#scope?.endedBy() ?? classify(thrown));
      if (this.#scope?.isWhole === false) await this.#close();
      return this.#failures.waitMs(MIRROR_KEY);
    }
  }

  #failed(error: MirrorError): void {
    const { attempts } = this.#failures.add(MIRROR_KEY, error);
    const isNews = this.#failure?.code !== error.code || this.#failure.message !== error.message;
    this.#options.log[isNews ? 'warn' : 'debug'](
      { err: error, code: error.code, hint: error.hint, attempts },
      'pass failed',
    );
    this.#failure = error;
  }

  #recovered(): void {
    if (this.#failure) this.#options.log.info('recovered');
    this.#failure = undefined;
    this.#failures.clear(MIRROR_KEY);
  }

  /** A stream that ended takes the whole scope with it: its epoch may be somebody else's by now. */
  async #reopenIfBroken(): Promise<void> {
    const ended = this.#scope?.endedBy();
    const isElsewhere = this.#scope?.leadsTo(this.#intent.mirror) === false;
    if (ended !== undefined || this.#scope?.isWhole === false || isElsewhere) await this.#close();
    if (ended !== undefined) throw ended;
  }

  async #close(): Promise<void> {
    const scope = this.#scope;
    this.#scope = undefined;
    await scope?.[Symbol.asyncDispose]();
  }

  /** Keeps the book of tables that cannot go on; returns when to look again. `before`: the plan of the last pass. */
  #settle(
    { plan, tableErrors, outcomes, waiting, error: passError }: PassResult,
    before: Plan | undefined,
  ): number {
    const errors = new Map(tableErrors);
    if (passError) errors.set(MIRROR_KEY, passError);
    for (const refusal of plan.refusals) errors.set(keyOf(refusal), refusal.error);
    const copying = this.#scope?.copies?.views() ?? new Map<string, unknown>();
    const wanted = new Set(
      plan.steps.flatMap((step) =>
        step.kind === 'copy-table' || step.kind === 'replay-table' || step.kind === 'verify-table'
          ? [formatTableName(step.table.source)]
          : [],
      ),
    );
    // What the plan refused and does not refuse any more is mended, and waits for no next try.
    const isMended = (key: string): boolean =>
      !errors.has(key) && before?.refusals.some((refusal) => keyOf(refusal) === key) === true;
    const mended = this.#failures.keys().filter(isMended);
    for (const key of this.#failures.keys()) {
      const isOpen = errors.has(key) || waiting.has(key) || copying.has(key) || wanted.has(key);
      if (!isOpen || isMended(key)) this.#failures.clear(key);
    }
    for (const [key, error] of errors) {
      if (this.#failures.waitMs(key) === 0) this.#failures.add(key, error);
    }
    // A pass that failed waits for its next try, whatever it changed before.
    const isHeldUp = mended.some((key) => wanted.has(key) || waiting.has(key));
    if (passError === undefined && (isHeldUp || outcomes.some(({ changed }) => changed))) return 0;
    // A copy that runs tells when it ends.
    const sleeping = this.#failures.keys().filter((key) => !copying.has(key));
    return Math.min(DRIFT_INTERVAL_MS, ...sleeping.map((key) => this.#failures.waitMs(key)));
  }

  /** One write after the other: two at once would mix their texts in the temporary file. */
  async #report(): Promise<void> {
    this.#writing = this.#writing.then(async () => this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    const { clock, statusFile, log } = this.#options;
    this.#status = computeStatus(this.#view(), this.#status, clock.now());
    try {
      await statusFile.write(this.#status);
    } catch (error) {
      log.warn({ err: error }, 'the status file cannot be written; the mirror goes on');
    }
  }

  #view(): Parameters<typeof computeStatus>[0] {
    const follower = this.#scope?.follower;
    const failures = this.#failures.keys().flatMap((key) => {
      const failure = this.#failures.get(key);
      return key === MIRROR_KEY || failure === undefined ? [] : [[key, failure] as const];
    });
    return {
      ...this.#intent,
      plan: this.#planned === this.#intent.mirror ? this.#last?.plan : undefined,
      slot: this.#last?.observed.slot,
      records: follower?.records() ?? this.#last?.observed.ledger.tables ?? [],
      runs: this.#scope?.copies?.views() ?? new Map(),
      failures: new Map(failures),
      stream: follower?.progress(),
      failure: this.#failure,
    };
  }
}

function keyOf({ table }: Refusal): string {
  return table === undefined ? MIRROR_KEY : formatTableName(table.source);
}
