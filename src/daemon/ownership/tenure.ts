/** Whether this daemon has the mirror: what is open while it has, and that it stands by while another has. */
import type { Clock } from '../../core/clock.ts';
import type { MirrorError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Mirror } from '../../core/mirror.ts';
import type { Failures } from '../mirror/failures.ts';
import type { Peers } from './peers.ts';
import { Scope } from '../mirror/scope.ts';
import { isAtRest, isMisplaced, type Rest } from './spread.ts';
import { Standby } from './standby.ts';

export interface TenureOptions {
  readonly peers: Peers;
  readonly failures: Failures;
  readonly log: Log;
  readonly clock: Clock;
  /** Told to stop: nothing is connected to any more. */
  readonly signal: AbortSignal;
  readonly onLookAgain: () => void;
}

/** A mirror that came from another daemon is first told of when it was looked at, or after this time. */
const SETTLING_MS = 2_000;
/** After a takeover a slot is free again as soon as the source has noticed. */
const SLOT_FREE_MS = 30_000;

/** After an outage a standby is to be there again before it is needed. */
const STANDBY_RETRY_MS = 15_000;

export class Tenure implements AsyncDisposable {
  scope: Scope | undefined;
  readonly #options: TenureOptions;
  readonly #standby: Standby;
  #isCut = false;

  constructor(options: TenureOptions) {
    this.#options = options;
    this.#standby = new Standby(options);
  }

  get role(): 'owner' | 'standby' {
    return this.scope === undefined ? 'standby' : 'owner';
  }

  /** For how long another daemon has had the mirror, in milliseconds; undefined when none is known to. */
  get standsByMs(): number | undefined {
    return this.scope === undefined ? this.#standby.standsByMs : undefined;
  }

  /** The lock was ours a moment ago. */
  get isSure(): boolean {
    return this.scope?.destination.usable === true && this.scope.heartbeat.isFresh;
  }

  /** It was just taken over from another, whose last word still holds. */
  get isSettling(): boolean {
    return this.#isFromAnotherFor(SETTLING_MS);
  }

  /** The slot may be busy with what the former owner has not let go of. */
  get maySlotBeBusy(): boolean {
    return this.#isFromAnotherFor(SLOT_FREE_MS);
  }

  #isFromAnotherFor(ms: number): boolean {
    return this.scope !== undefined && this.scope.isFromAnother && this.scope.ownedMs < ms;
  }

  /**
   * What is open for the mirror, opened anew when a part of it broke or the file leads elsewhere. Undefined
   * while another daemon has it. Throws MirrorError: why the stream ended, or that a database cannot be reached.
   */
  async enter(mirror: Mirror): Promise<Scope | undefined> {
    // A stream that ended takes the whole scope with it: its epoch may be somebody else's by now.
    const ended = this.scope?.endedBy();
    if (ended !== undefined || this.scope?.isWhole === false) await this.leave(ended);
    else if (this.scope?.leadsTo(mirror) === false) await this.#close();
    if (ended !== undefined) throw ended;
    if (this.scope !== undefined) return this.scope;
    const taken = await this.#standby.tryToTake(mirror);
    if (taken === undefined) return undefined;
    const onBeat = (): void => this.#beat();
    this.scope = new Scope({ ...this.#options, mirror, onBeat }, taken);
    return this.scope;
  }

  /** Closes what is open, because it failed, is another's, or was cut. */
  async leave(error: MirrorError | undefined): Promise<void> {
    await this.#close();
    const isCut = this.#isCut;
    this.#isCut = false;
    if (isCut) return;
    if (error?.code === 'NotOwner') this.#standby.handedOver();
    else this.#standby.failed();
  }

  /** Gives the mirror to the daemon that should have it, when nothing is lost by that. Returns whether it did. */
  async giveUpIfMisplaced(rest: Omit<Rest, 'stream'>): Promise<boolean> {
    const { scope } = this;
    const stream = scope?.follower?.progress();
    const isDue = this.#isMisplaced(scope) && isAtRest({ ...rest, stream });
    if (scope === undefined || !isDue || !this.#options.peers.mayHandOver()) return false;
    this.#options.log.info('gives the mirror to another daemon');
    this.scope = undefined;
    this.#standby.handedOver();
    await using _closed = scope;
    await scope.giveUp();
    return true;
  }

  /** Something else is asked for now, and what is under way was cut off for it: no failure. */
  get isCut(): boolean {
    return this.#isCut;
  }

  /** For how long at most a failed look may be left: others may need this daemon to take the mirror over. */
  get longestWaitMs(): number {
    return this.scope === undefined && this.#standby.isFromAnother ? STANDBY_RETRY_MS : Infinity;
  }

  /** Cuts what is under way. */
  interrupt(): void {
    this.#isCut = this.scope !== undefined;
    this.scope?.interrupt();
    this.#standby.interrupt();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
    await this.#standby[Symbol.asyncDispose]();
  }

  async #close(): Promise<void> {
    const { scope } = this;
    this.scope = undefined;
    await scope?.[Symbol.asyncDispose]();
  }

  #beat(): void {
    const isBusy = (this.scope?.copies?.views().size ?? 0) > 0;
    if (this.#isMisplaced(this.scope) && !isBusy) this.#options.onLookAgain();
  }

  #isMisplaced(scope: Scope | undefined): boolean {
    const { peers } = this.#options;
    if (scope === undefined || !peers.shares) return false;
    const { ownedMs, heartbeat } = scope;
    const { standbys } = heartbeat;
    return isMisplaced({ mirror: scope.mirror.name, daemon: peers.id, standbys, ownedMs });
  }
}
