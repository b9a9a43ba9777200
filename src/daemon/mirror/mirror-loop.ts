/**
 * One mirror for as long as its file is there: passes one after the other, when something happened or
 * in intervals, for ever. Failures are tried again with back-off; the status file says what is going on.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../core/clock.ts';
import { classify, type MirrorError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Intent } from '../../core/intent.ts';
import type { Mirror } from '../../core/mirror.ts';
import { observeSpools } from '../../observe/spools.ts';
import { isEmptyPlan } from '../../plan/plan.ts';
import type { StatusFile } from '../../status/status-file.ts';
import type { MirrorView } from '../../status/view.ts';
import type { LoopView } from '../http/daemon-view.ts';
import { Failures, MIRROR_KEY } from './failures.ts';
import { judgePass } from './judge-pass.ts';
import type { Meter } from '../http/meter.ts';
import { onceOutcome, type OnceOutcome } from './once.ts';
import type { PassResult } from './pass.ts';
import { reconcile } from './reconcile.ts';
import { enterRemoved, retire } from './retire.ts';
import type { Peers } from '../ownership/peers.ts';
import type { Scope } from './scope.ts';
import { StatusReport, type Word } from './status-report.ts';
import { Standby } from '../ownership/standby.ts';
import { Tenure } from '../ownership/tenure.ts';
import { TroubleLog } from '../trouble-log.ts';

export interface MirrorLoopOptions {
  readonly intent: Intent;
  readonly peers: Peers;
  readonly statusFile: StatusFile;
  readonly log: Log;
  readonly clock: Clock;
  readonly meter?: Meter | undefined;
  /** Called after each pass and whenever the status changed. */
  readonly onProgress: () => void;
  /** Called once, last of all: the mirror was removed and nothing of it is left. */
  readonly onRetired: () => void;
}

/** Both databases are looked at again this often when nothing happens: drift is found. */
const DRIFT_INTERVAL_MS = 30_000;
/** Events come in swarms; passes do not. */
const MIN_PASS_INTERVAL_MS = 50;
const STATUS_INTERVAL_MS = 1_000;
/** By then who took a mirror over has written its status, if it writes to the same folder. */
const STATUS_WITHDRAWN_MS = 5_000;
/** Between two tries of a slot that is not free yet. */
const BUSY_SLOT_MS = 250;

export class MirrorLoop {
  readonly done: Promise<void>;
  readonly #options: MirrorLoopOptions;
  readonly #failures: Failures;
  readonly #stopping = new AbortController();
  readonly #tenure: Tenure;
  readonly #troubles: TroubleLog;
  readonly #report: StatusReport;
  #intent: Intent;
  #last: PassResult | undefined;
  /** What #last is about: what it says of an older spec does not make this one Ready. */
  #planned: Mirror | undefined;
  /** Of the spec that a pass carried out last, or failed at. */
  #passedSpecHash: string | undefined;
  #failure: MirrorError | undefined;
  #hint = new AbortController();
  #hasPassed = false;
  #isGone = false;
  #spoolBytes: ReadonlyMap<string, number> = new Map();

  constructor(options: MirrorLoopOptions) {
    this.#options = options;
    this.#intent = options.intent;
    this.#failures = new Failures(options.clock);
    this.#troubles = new TroubleLog(options.log);
    this.#report = new StatusReport({
      ...options,
      troubles: this.#troubles,
      word: () => this.#word(),
    });
    this.#tenure = new Tenure({
      ...options,
      failures: this.#failures,
      signal: this.#stopping.signal,
      onLookAgain: this.lookAgain,
    });
    this.done = this.#run();
  }

  /** The newest good spec, and what is wrong with a newer one. A changed spec is tried at once. */
  update(intent: Intent): void {
    const before = this.#intent;
    const isSame = isDeepStrictEqual(intent.mirror, before.mirror);
    const mirror = isSame ? before.mirror : intent.mirror;
    this.#intent = { ...intent, mirror };
    const isMoved = intent.presence.kind !== before.presence.kind;
    const isLeaving = isMoved && intent.presence.kind === 'removed';
    // A pass may be in the middle of an hour's work, and these mean now.
    if (isLeaving || (mirror.suspend && !before.mirror.suspend)) this.#tenure.interrupt();
    // What is planned for the one says nothing of the other.
    if (isMoved) this.#planned = undefined;
    if (isSame && !isMoved) return;
    for (const key of this.#failures.keys()) this.#failures.clear(key);
    this.lookAgain();
  }

  /** Also what waits for its next try: somebody who mended something asks. */
  retryNow(): void {
    this.#failures.makeDue();
    this.lookAgain();
  }

  readonly lookAgain = (): void => this.#hint.abort();

  /** Ends at a safe point; returns when every session is closed. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#tenure.interrupt();
    await this.done;
  }

  /** A standby has no status: whoever owns the mirror tells of it. */
  get role(): 'owner' | 'standby' {
    return this.#tenure.role;
  }

  /** Its slot was made, or another daemon runs it. */
  get isEstablished(): boolean {
    const record = this.#last?.observed.ledger.mirror;
    return record?.slotState === 'created' || this.#tenure.standsByMs !== undefined;
  }

  get #scope(): Scope | undefined {
    return this.#tenure.scope;
  }

  get view(): LoopView {
    const { name, suspend } = this.#intent.mirror;
    return {
      name,
      isSuspended: suspend,
      isOwner: this.role === 'owner',
      hasPassed: this.#hasPassed,
      status: this.#report.status,
      spoolBytes: this.#spoolBytes,
    };
  }

  /** For `run --once`. */
  get outcome(): OnceOutcome {
    const { mirror } = this.#intent;
    return onceOutcome({
      mirror,
      status: this.#report.status,
      isPlanned: this.#planned === mirror,
      standsByMs: this.#tenure.standsByMs,
      attempts: this.#failures.keys().map((key) => this.#failures.get(key)?.attempts ?? 0),
      isCopying: (this.#scope?.copies?.views().size ?? 0) > 0,
    });
  }

  async #run(): Promise<void> {
    const writing = setInterval(() => void this.#report.tell(), STATUS_INTERVAL_MS);
    const { signal } = this.#stopping;
    try {
      while (!signal.aborted && !this.#isGone) {
        this.#hint = new AbortController();
        const waitMs = await this.#pass();
        this.#hasPassed = true;
        await this.#report.tell();
        this.#options.onProgress();
        await this.#options.clock.sleep(MIN_PASS_INTERVAL_MS, signal);
        await this.#options.clock.sleep(waitMs, signal, this.#hint.signal);
      }
    } finally {
      clearInterval(writing);
      // The file keeps what was true while the mirror ran.
      await this.#report.settled();
      await this.#tenure[Symbol.asyncDispose]();
    }
  }

  /** One pass; returns how long to wait for the next when nothing happens. Never throws. */
  async #pass(): Promise<number> {
    const { clock } = this.#options;
    const startMs = clock.monotonicMs();
    const { mirror } = this.#intent;
    try {
      const result = await this.#carryOut(mirror);
      if (result === 'standby') return this.#standBy();
      if (result === 'gone') {
        await this.#end();
        return 0;
      }
      if (result.error?.code === 'NotOwner') return await this.#lost(result.error);
      const waitMs = this.#settle(mirror, result);
      await this.#measureSpools(result);
      this.#count(result.error, startMs);
      return (await this.#giveUpIfMisplaced(result)) ? 0 : waitMs;
    } catch (thrown) {
      // Why the stream ended is the reason, not that the pass was cut off with it.
      const error = this.#scope?.endedBy() ?? classify(thrown);
      if (error.code === 'NotOwner') return this.#lost(error);
      if (this.#tenure.isCut) {
        await this.#tenure.leave(error);
        return 0;
      }
      if (error.code === 'SlotBusy' && this.#tenure.maySlotBeBusy) return BUSY_SLOT_MS;
      this.#passedSpecHash = mirror.specHash;
      this.#failed(error);
      this.#count(error, startMs);
      if (this.#scope?.isWhole === false) await this.#tenure.leave(error);
      return Math.min(this.#failures.waitMs(MIRROR_KEY), this.#tenure.longestWaitMs);
    }
  }

  /** Nothing has failed, and nothing is known: who has the mirror tells of it. */
  #standBy(): number {
    for (const key of this.#failures.keys()) this.#failures.clear(key);
    this.#troubles.forget();
    this.#failure = undefined;
    this.#last = undefined;
    this.#planned = undefined;
    this.#passedSpecHash = undefined;
    this.#report.forget();
    return Standby.lookMs();
  }

  async #lost(error: MirrorError): Promise<number> {
    this.#options.log.warn({ code: error.code }, 'another daemon has taken the mirror over');
    await this.#tenure.leave(error);
    return this.#standBy();
  }

  async #giveUpIfMisplaced({ plan }: PassResult): Promise<boolean> {
    return this.#tenure.giveUpIfMisplaced({
      work: plan.steps.length + (this.#scope?.copies?.views().size ?? 0),
      hasFailed: this.#failure !== undefined,
      isPresent: this.#intent.presence.kind === 'present',
    });
  }

  /** `gone`: the mirror is removed and nothing of it is left. `standby`: another daemon has it. */
  async #carryOut(mirror: Mirror): Promise<PassResult | 'gone' | 'standby'> {
    const { log } = this.#options;
    const isDue = (key: string): boolean => this.#failures.waitMs(key) === 0;
    const isRemoved = (): boolean => this.#intent.presence.kind === 'removed';
    if (!isRemoved()) {
      const scope = await this.#tenure.enter(mirror);
      return scope === undefined ? 'standby' : reconcile(scope, mirror, { log, isDue });
    }
    const scope = await enterRemoved(this.#tenure, mirror, { log, signal: this.#stopping.signal });
    if (scope === 'gone' || scope === 'standby') return scope;
    const result = await retire(scope, mirror, { log, isDue, isRemoved });
    return isEmptyPlan(result.plan) ? 'gone' : result;
  }

  /** A file that comes back at the last moment finds nothing, and starts from that. */
  async #end(): Promise<void> {
    const { statusFile, log, onRetired } = this.#options;
    this.#isGone = true;
    await this.#tenure[Symbol.asyncDispose]();
    await statusFile
      .remove()
      .catch((error: unknown) => log.warn({ err: error }, 'the status file cannot be removed'));
    this.#isGone = this.#intent.presence.kind === 'removed';
    if (!this.#isGone) return;
    log.info('mirror removed');
    onRetired();
  }

  #failed(error: MirrorError): void {
    if (this.#failures.waitMs(MIRROR_KEY) === 0) this.#failures.add(MIRROR_KEY, error);
    this.#failure = error;
    // What a stop cuts off is no trouble.
    if (!this.#stopping.signal.aborted) this.#troubles.tell(this.#failures);
  }

  #count(error: MirrorError | undefined, startMs: number): void {
    const { clock, meter } = this.#options;
    const seconds = (clock.monotonicMs() - startMs) / 1000;
    const result = error === undefined ? 'success' : 'error';
    meter?.passEnded(this.#intent.mirror.name, { result, seconds });
  }

  /**
   * Also of a pass with a failed step: what it saw and what went on is what the status tells. Returns how long
   * to wait for the next pass.
   */
  #settle(mirror: Mirror, result: PassResult): number {
    const running = new Set(this.#scope?.copies?.views().keys());
    const failed = this.#failures.keys();
    const verdict = judgePass(result, { plan: this.#last?.plan, failed, running });
    this.#last = result;
    this.#planned = mirror;
    this.#passedSpecHash = mirror.specHash;
    this.#failure = result.error;
    for (const key of verdict.over) this.#failures.clear(key);
    for (const [key, error] of verdict.errors)
      if (this.#failures.waitMs(key) === 0) this.#failures.add(key, error);
    if (!this.#stopping.signal.aborted)
      this.#troubles.tell(this.#failures, (key) => verdict.open.has(key));
    if (verdict.goesOn) return 0;
    // A copy that runs tells when it ends.
    const sleeping = this.#failures.keys().filter((key) => !running.has(key));
    return Math.min(DRIFT_INTERVAL_MS, ...sleeping.map((key) => this.#failures.waitMs(key)));
  }

  async #measureSpools({ observed }: PassResult): Promise<void> {
    const { tables } = observed.ledger;
    const spoolBytes = this.#scope && (await observeSpools(this.#scope.destination, tables));
    this.#spoolBytes = spoolBytes ?? this.#spoolBytes;
  }

  #word(): Word {
    const { role, standsByMs, isSure, isSettling } = this.#tenure;
    if (this.#isGone) return { kind: 'nothing' };
    if (standsByMs !== undefined)
      return { kind: standsByMs > STATUS_WITHDRAWN_MS ? 'withdraw' : 'nothing' };
    const isKnown =
      role === 'owner' ? !isSettling || this.#last !== undefined : this.#failure !== undefined;
    return isKnown ? { kind: 'view', view: this.#view(), isSure } : { kind: 'nothing' };
  }

  #view(): MirrorView {
    const follower = this.#scope?.follower;
    const failures = this.#failures.keys().flatMap((key) => {
      const failure = this.#failures.get(key);
      return key === MIRROR_KEY || failure === undefined ? [] : [[key, failure] as const];
    });
    return {
      ...this.#intent,
      passedSpecHash: this.#passedSpecHash,
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
