/**
 * What is open while this daemon owns a mirror: two sessions, the advisory lock with its epoch, the
 * stream, the copies. It is closed as a whole when a part of it breaks, and opened anew.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../core/clock.ts';
import { classify, MirrorError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Mirror } from '../core/mirror.ts';
import {
  listenForRequests,
  readLedger,
  takeEpoch,
  tryLockMirror,
  type Owner,
} from '../postgres/ledger.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { SELECT_WAITING_FOR_STANDBY } from '../sql/copy.ts';
import { Follower } from '../stream/follow.ts';
import { Copies } from './copies.ts';
import type { Failures } from './failures.ts';

export interface ScopeOptions {
  readonly mirror: Mirror;
  readonly failures: Failures;
  readonly log: Log;
  readonly clock: Clock;
  /** Told to stop: nothing is connected to any more. */
  readonly signal: AbortSignal;
  /** Something ended or failed: the next pass should come soon. */
  readonly onLookAgain: () => void;
}

export class Scope implements AsyncDisposable {
  readonly source: Session;
  readonly destination: Session;
  /** Undefined until the ledger knows the mirror. */
  owner: Owner | undefined;
  follower: Follower | undefined;
  copies: Copies | undefined;
  readonly #options: ScopeOptions;
  #ended: MirrorError | undefined;

  private constructor(options: ScopeOptions, source: Session, destination: Session) {
    this.#options = options;
    this.source = source;
    this.destination = destination;
  }

  /** Connects to both ends and takes the mirror. Throws NotOwner while another daemon has it. */
  static async open(options: ScopeOptions): Promise<Scope> {
    const { mirror, signal } = options;
    const session = { mirror: mirror.name, signal };
    const destination = await openSession(mirror.destination, { ...session, role: 'owner' });
    try {
      const source = await openSession(mirror.source, { ...session, role: 'observer' });
      const scope = new Scope(options, source, destination);
      await scope.#own(mirror);
      return scope;
    } catch (error) {
      await destination.close();
      throw error;
    }
  }

  async #own(mirror: Mirror): Promise<void> {
    try {
      if (!(await tryLockMirror(this.destination, mirror.name)))
        throw new MirrorError('NotOwner', `another daemon runs mirror ${mirror.name}`);
      await listenForRequests(this.destination, mirror.name, this.#options.onLookAgain);
      const { version } = await readLedger(this.destination, mirror.name);
      if (version === 0) return;
      const epoch = await takeEpoch(this.destination, mirror.name);
      if (epoch !== undefined) this.owner = { mirror: mirror.name, epoch };
    } catch (error) {
      await this.source.close();
      throw error;
    }
  }

  /** Why the stream ended by itself; undefined while it runs or when there is none. */
  endedBy(): MirrorError | undefined {
    return this.#ended;
  }

  /** False when the file names other databases, other roles or another publication than what is open. */
  leadsTo({ source, destination, publication }: Mirror): boolean {
    const { mirror } = this.#options;
    const open = [mirror.source, mirror.destination, mirror.publication];
    return isDeepStrictEqual(open, [source, destination, publication]);
  }

  /** Both sessions answer. */
  get isWhole(): boolean {
    return this.source.usable && this.destination.usable;
  }

  /** Starts the stream where the ledger says, with the tables it has. */
  async startStream(mirror: Mirror, owner: Owner): Promise<Follower> {
    const { log, clock, failures, onLookAgain } = this.#options;
    const ledger = await readLedger(this.destination, mirror.name);
    if (!ledger.mirror) throw new Error('the ledger lost the mirror');
    const waiting = await this.source.query(SELECT_WAITING_FOR_STANDBY);
    const follower = await Follower.start({
      mirror,
      owner,
      from: ledger.mirror.appliedLsn,
      tables: ledger.tables,
      log,
      clock,
      onTableFailed: onLookAgain,
    });
    // An earlier daemon may have applied them, and no snapshot holds them yet.
    follower.rememberApplied(waiting.map((row) => Number(row['xid'])));
    this.follower = follower;
    this.copies = new Copies({ owner, follower, failures, log, clock, onLookAgain });
    follower.done.catch((error: unknown) => {
      if (this.follower !== follower) return;
      this.#ended = classify(error);
      // A pass may be waiting for the same server, and nobody else would end that.
      this.interrupt();
      onLookAgain();
    });
    return follower;
  }

  /** Ends what a pass is waiting for, an index that is built beside writers for one; the pass fails. */
  interrupt(): void {
    this.source.destroy();
    this.destination.destroy();
  }

  async stopStream(): Promise<void> {
    const { copies, follower } = this;
    this.copies = undefined;
    this.follower = undefined;
    await Promise.all([copies?.stop(), follower?.stop()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopStream();
    await Promise.all([this.source.close(), this.destination.close()]);
  }
}
