/**
 * What is open while this daemon owns a mirror: two sessions, the advisory lock with its epoch, the
 * stream, the copies. It is closed as a whole when a part of it breaks, and opened anew.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../core/clock.ts';
import { classify, type MirrorError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Mirror } from '../../core/mirror.ts';
import type { StreamedMirror } from '../../plan/exclusions.ts';
import { readLedger, type Owner } from '../../postgres/ledger.ts';
import { giveUpMirror } from '../../postgres/ownership.ts';
import type { Session } from '../../postgres/session.ts';
import { SELECT_WAITING_FOR_STANDBY } from '../../sql/copy.ts';
import { Follower } from '../../stream/follow.ts';
import { Copies } from './copies.ts';
import type { Failures } from './failures.ts';
import { Heartbeat } from '../ownership/heartbeat.ts';
import type { Taken } from '../ownership/standby.ts';
import type { Meter } from '../http/meter.ts';

export interface ScopeOptions {
  readonly mirror: Mirror;
  readonly failures: Failures;
  readonly log: Log;
  readonly clock: Clock;
  readonly meter?: Meter | undefined;
  /** Something ended or failed: the next pass should come soon. */
  readonly onLookAgain: () => void;
  readonly onBeat: () => void;
}

export class Scope implements AsyncDisposable {
  readonly source: Session;
  readonly destination: Session;
  /** Undefined until the ledger knows the mirror. */
  owner: Owner | undefined;
  follower: Follower | undefined;
  copies: Copies | undefined;
  /** On the session with the lock. */
  readonly heartbeat: Heartbeat;
  readonly isFromAnother: boolean;
  readonly #options: ScopeOptions;
  readonly #takenMs: number;
  #ended: MirrorError | undefined;

  constructor(options: ScopeOptions, { source, destination, owner, isFromAnother }: Taken) {
    const { mirror, clock, onBeat } = options;
    this.#options = options;
    this.source = source;
    this.destination = destination;
    this.owner = owner;
    this.isFromAnother = isFromAnother;
    this.#takenMs = clock.monotonicMs();
    const session = destination;
    this.heartbeat = new Heartbeat({ session, mirror: mirror.name, clock, onBeat });
  }

  /** As it was when this was opened. */
  get mirror(): Mirror {
    return this.#options.mirror;
  }

  /** How long this daemon has had the mirror. */
  get ownedMs(): number {
    return this.#options.clock.monotonicMs() - this.#takenMs;
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
  async startStream(mirror: StreamedMirror, owner: Owner): Promise<Follower> {
    const { log, clock, meter, failures, onLookAgain } = this.#options;
    const ledger = await readLedger(this.destination, mirror.name);
    if (!ledger.mirror) throw new Error('the ledger lost the mirror');
    const waiting = await this.source.query(SELECT_WAITING_FOR_STANDBY);
    const follower = await Follower.start({
      mirror,
      owner,
      from: ledger.mirror.appliedLsn,
      source: {
        systemIdentifier: ledger.mirror.sourceSystemIdentifier,
        timeline: ledger.mirror.sourceTimeline,
      },
      tables: ledger.tables,
      log,
      clock,
      onTableFailed: onLookAgain,
    });
    // An earlier daemon may have applied them, and no snapshot holds them yet.
    follower.rememberApplied(waiting.map((row) => Number(row['xid'])));
    this.follower = follower;
    this.copies = new Copies({ owner, follower, failures, log, clock, meter, onLookAgain });
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

  /** Ends at a safe point, and only then is the mirror another's, who hears of it at once. */
  async giveUp(): Promise<void> {
    await this.stopStream();
    if (this.destination.usable) await giveUpMirror(this.destination, this.#options.mirror.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.heartbeat.stop();
    await this.stopStream();
    await Promise.all([this.source.close(), this.destination.close()]);
  }
}
