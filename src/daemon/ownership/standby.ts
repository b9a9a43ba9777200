/**
 * Until this daemon has the mirror: one session at its destination, a look every second or so, and the
 * lock as soon as it is free and this daemon's turn. No failure, no status: who has the mirror tells of it.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../core/clock.ts';
import { classify } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Mirror } from '../../core/mirror.ts';
import type { Owner } from '../../postgres/ledger.ts';
import { listenForRequests } from '../../postgres/ledger-requests.ts';
import {
  announceStandby,
  endOwnSession,
  endSilentOwner,
  nameSession,
  readStanding,
  signSession,
  tryLockMirror,
  withdrawStandby,
  type Standing,
} from '../../postgres/ownership.ts';
import { openSession, type Session } from '../../postgres/session.ts';
import type { Peers } from './peers.ts';
import { nextMove, SILENT_SECONDS } from './spread.ts';
import { takeOver, type Ends } from './take-over.ts';

/** How often a standby looks; a takeover begins at most so much later. */
const LOOK_MS = 1_000;
const LOOK_JITTER_MS = 1_000;
/** Only who can reach the source is a candidate; that is tried so often. */
const PROBE_MS = 60_000;
/** A daemon that failed with the mirror leaves it to the others for a while. */
const PENANCE_MS = 5 * 60_000;
/** What went wrong for all of them is first the former owner's to tell. */
const REMEMBERED_MS = 60_000;

export interface StandbyOptions {
  readonly peers: Peers;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onLookAgain: () => void;
}

/** The mirror is ours. */
export interface Taken extends Ends {
  /** Undefined until the ledger knows the mirror. */
  readonly owner: Owner | undefined;
  readonly isFromAnother: boolean;
}

export class Standby implements AsyncDisposable {
  readonly #options: StandbyOptions;
  #session: Session | undefined;
  /** What the session leads to. */
  #mirror: Mirror | undefined;
  #isAnnounced = false;
  /** The source was not reached at the last probe. */
  #isCutOff = false;
  /** When it was first seen that nobody has the mirror, of those looks that all say so. */
  #freeSinceMs: number | undefined;
  /** When another was first seen to have the mirror, of those looks that all say so. */
  #sinceMs: number | undefined;
  /** When another was last seen to have it. */
  #seenMs = -Infinity;
  /** Another had it before, since this daemon had it last. */
  #isFromAnother = false;
  /** When the source is to be tried next. */
  #probeDueMs = -Infinity;
  #isRefused = false;

  constructor(options: StandbyOptions) {
    this.#options = options;
  }

  /** For how long another daemon has had the mirror, in milliseconds; undefined when none is known to. */
  get standsByMs(): number | undefined {
    return this.#sinceMs === undefined
      ? undefined
      : this.#options.clock.monotonicMs() - this.#sinceMs;
  }

  /** How long to wait for the next look. */
  static lookMs(): number {
    return LOOK_MS + LOOK_JITTER_MS * Math.random();
  }

  /**
   * One look, and what follows from it. Undefined while another daemon has the mirror, or is to get it.
   * Throws MirrorError when one of the databases cannot be reached; some time later nobody is known to have it.
   */
  async tryToTake(mirror: Mirror): Promise<Taken | undefined> {
    try {
      const session = await this.#connected(mirror);
      const standing = await this.#look(session, mirror.name);
      const nowMs = this.#options.clock.monotonicMs();
      if (standing.owner !== undefined) this.#freeSinceMs = undefined;
      else this.#freeSinceMs ??= nowMs;
      const move = nextMove({
        mirror: mirror.name,
        daemon: this.#options.peers.id,
        isAnnounced: this.#isAnnounced,
        standing,
        freeSeconds: (nowMs - (this.#freeSinceMs ?? nowMs)) / 1000,
      });
      const taken = move === 'take' ? await this.#take(session, mirror) : undefined;
      if (taken === undefined) await this.#standBy(session, mirror, standing);
      if (move === 'end-owner') await this.#endOwner(session, mirror);
      return taken;
    } catch (error) {
      if (this.#options.clock.monotonicMs() - this.#seenMs > REMEMBERED_MS)
        this.#sinceMs = undefined;
      await this.#close();
      throw error;
    }
  }

  async #look(session: Session, mirror: string): Promise<Standing> {
    const { id } = this.#options.peers;
    const standing = await readStanding(session, mirror);
    if (standing.owner?.daemon !== id) return standing;
    await endOwnSession(session, mirror, id);
    return readStanding(session, mirror);
  }

  /** This daemon has let go of the mirror; the next in line takes it. */
  handedOver(): void {
    this.#sinceMs = this.#options.clock.monotonicMs();
    this.#seenMs = this.#sinceMs;
    this.#isFromAnother = true;
  }

  /** Another daemon had the mirror last, as far as is known: this one may be needed at any time. */
  get isFromAnother(): boolean {
    return this.#isFromAnother;
  }

  /** It had the mirror and failed: others are to have it for a while, if there are others. */
  failed(): void {
    this.#probeDueMs = this.#options.clock.monotonicMs() + PENANCE_MS;
  }

  /** Ends a look that is under way. */
  interrupt(): void {
    this.#session?.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#close();
  }

  async #close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    if (this.#isAnnounced) this.#probeDueMs = -Infinity;
    this.#isAnnounced = false;
    this.#freeSinceMs = undefined;
    await session?.close();
  }

  async #connected(mirror: Mirror): Promise<Session> {
    const isThere = isDeepStrictEqual(this.#mirror?.destination, mirror.destination);
    if (!isThere || this.#session?.usable === false) await this.#close();
    this.#mirror = mirror;
    this.#session ??= await this.#open(mirror);
    return this.#session;
  }

  async #open(mirror: Mirror): Promise<Session> {
    const { peers, signal, onLookAgain } = this.#options;
    const session = await openSession(mirror.destination, {
      mirror: mirror.name,
      role: 'standby',
      signal,
    });
    try {
      await signSession(session, peers.id);
      await listenForRequests(session, mirror.name, onLookAgain);
      session.onLost(onLookAgain);
      return session;
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  /** The source first: a mirror that is held by one who cannot read it helps nobody. Undefined when another was faster. */
  async #take(session: Session, mirror: Mirror): Promise<Taken | undefined> {
    const { log, signal, peers } = this.#options;
    const { name } = mirror;
    const role = 'source';
    const source = await openSession(mirror.source, { mirror: name, role, signal });
    try {
      if (!(await tryLockMirror(session, name))) {
        await source.close();
        return undefined;
      }
      if (this.#isAnnounced) await withdrawStandby(session, name);
      await nameSession(session, name, 'owner');
      const ends = { source, destination: session };
      const take = { ...ends, mirror: name, isFromAnother: this.#isFromAnother, log };
      const { owner, isFromAnother } = await takeOver(take);
      const daemon = peers.id;
      if (isFromAnother) log.info({ daemon }, 'took over');
      else log.debug({ daemon }, 'runs the mirror');
      // It is the scope's from now on.
      this.#session = undefined;
      await this.#close();
      this.#sinceMs = undefined;
      this.#isFromAnother = false;
      return { ...ends, owner, isFromAnother };
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  async #standBy(session: Session, mirror: Mirror, { owner }: Standing): Promise<void> {
    const { log, clock, peers } = this.#options;
    const nowMs = clock.monotonicMs();
    if (this.#sinceMs === undefined) log.info('another daemon runs the mirror: stands by');
    this.#sinceMs ??= nowMs;
    if (owner !== undefined) {
      this.#isFromAnother = true;
      this.#seenMs = nowMs;
    }
    const isDue = nowMs >= this.#probeDueMs;
    if (peers.shares && owner !== undefined && isDue) await this.#probe(session, mirror);
  }

  /** Announces itself while it reaches the source. */
  async #probe(session: Session, mirror: Mirror): Promise<void> {
    const { log, clock, signal } = this.#options;
    const { name } = mirror;
    this.#probeDueMs = clock.monotonicMs() + PROBE_MS * (0.75 + Math.random() / 2);
    try {
      const source = await openSession(mirror.source, { mirror: name, role: 'standby', signal });
      await source.close();
    } catch (thrown) {
      const { code, message } = classify(thrown);
      const level = this.#isCutOff ? 'debug' : 'warn';
      log[level]({ code, reason: message }, 'cannot reach the source: stands by for nobody');
      this.#isCutOff = true;
      if (this.#isAnnounced) await withdrawStandby(session, name);
      this.#isAnnounced = false;
      return;
    }
    if (this.#isCutOff) log.info('reaches the source again: stands by');
    this.#isCutOff = false;
    if (!this.#isAnnounced) await announceStandby(session, name);
    this.#isAnnounced = true;
  }

  async #endOwner(session: Session, mirror: Mirror): Promise<void> {
    const { log, onLookAgain } = this.#options;
    try {
      if (!(await endSilentOwner(session, mirror.name, SILENT_SECONDS))) return;
      log.warn({ silentSeconds: SILENT_SECONDS }, 'ended the session of an owner that was silent');
      onLookAgain();
    } catch (thrown) {
      const error = classify(thrown);
      if (error.code !== 'PermissionDenied') throw error;
      if (!this.#isRefused)
        log.warn({ err: error }, 'the owner is silent, and its session is not ours to end');
      this.#isRefused = true;
    }
  }
}
