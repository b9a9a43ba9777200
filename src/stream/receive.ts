/** The receiving end: replication stream -> messages -> transaction parts -> inbox. */
import type { Clock } from '../core/clock.ts';
import { classify, MirrorError } from '../core/errors.ts';
import { LSN_ZERO, type Lsn, maxLsn } from '../core/lsn.ts';
import type { Mirror } from '../core/mirror.ts';
import { aheadOf } from '../plan/slot-loss.ts';
import {
  openReplication,
  readHeldSlot,
  type ExpectedSource,
  type ReplicationStream,
} from '../postgres/replication.ts';
import { Assembler } from './assemble.ts';
import { decodeMessage } from './decode.ts';
import { Inbox } from './inbox.ts';
import { livenessOf, Pulse, type Liveness } from './liveness.ts';

export class Receiver {
  readonly inbox = new Inbox(
    () => this.#stream?.pause(),
    () => this.#stream?.resume(),
  );
  readonly #assembler = new Assembler();
  readonly #onEvent: () => void;
  readonly #pulse: Pulse;
  #stream: ReplicationStream | undefined;
  /** Older servers let a confirmation take the slot back, and then it would not tell any more what is missing. */
  #mayConfirm = false;
  #broken: Error | undefined;
  #serverLsn = LSN_ZERO;
  #receivedLsn = LSN_ZERO;

  constructor(onEvent: () => void, clock: Clock) {
    this.#onEvent = onEvent;
    this.#pulse = new Pulse(clock);
  }

  /**
   * Returns when the source streams; throws when it does not, because the slot is in use for one. With `source`
   * also SlotLost or TargetRewound, when the slot that it streams from is not the one that was looked at.
   */
  async open(mirror: Mirror, from: Lsn, source?: ExpectedSource): Promise<void> {
    const stream = await openReplication(mirror.source, {
      mirror: mirror.name,
      slot: mirror.slot,
      publication: mirror.publication.name,
      from,
      ...(source === undefined ? {} : { source }),
      onMessage: (message) => this.#receive(message),
      onKeepalive: (walEnd) => {
        this.#serverLsn = maxLsn(this.#serverLsn, walEnd);
      },
    });
    this.#stream = stream;
    stream.done.catch((error: unknown) => this.#break(error));
    await Promise.race([stream.started, stream.done]);
    if (source !== undefined) await Promise.race([assertSlotIsLike(mirror, from), stream.done]);
    this.#mayConfirm = true;
  }

  get isBroken(): boolean {
    return this.#broken !== undefined;
  }

  throwIfBroken(): void {
    if (this.#broken !== undefined) throw this.#broken;
  }

  /** Nothing waits and no transaction is open: what the server said last is all there is. */
  get isDrained(): boolean {
    return this.inbox.isEmpty && !this.#assembler.inTransaction;
  }

  /** The server's position, as of its last keepalive. */
  get serverLsn(): Lsn {
    return this.#serverLsn;
  }

  /** The furthest position known of: what was received, or what the server said when it had no more to send. */
  get knownLsn(): Lsn {
    return maxLsn(this.#serverLsn, this.#receivedLsn);
  }

  /** When the oldest transaction that waits was committed at the source. */
  get oldestWaitingMs(): number | undefined {
    return this.inbox.oldest?.commitTimeMs;
  }

  /** Seconds since the source was last heard, when that is too long ago; undefined while it answers. */
  get silentSeconds(): number | undefined {
    return this.#liveness === 'alive' ? undefined : this.#pulse.silentMs / 1000;
  }

  /** To be called every second: it also asks the source to answer, and gives up on one that is dead. */
  confirm(lsn: Lsn): void {
    const stream = this.#stream;
    if (stream === undefined || this.isBroken) return;
    this.#pulse.listen(stream);
    if (this.#liveness === 'dead') stream.giveUp(this.#noAnswer());
    else if (this.#mayConfirm) stream.confirm(lsn, this.#pulse.askNow());
  }

  async close(): Promise<void> {
    await this.#stream?.close();
  }

  get #liveness(): Liveness {
    const isPaused = this.#stream?.isPaused ?? false;
    return livenessOf({ silentMs: this.#pulse.silentMs, isPaused });
  }

  #noAnswer(): MirrorError {
    const seconds = Math.floor(this.#pulse.silentMs / 1000);
    return new MirrorError('ConnectionFailed', `the source has not answered for ${seconds} s`);
  }

  #receive(message: Buffer): void {
    if (this.isBroken) return;
    try {
      const part = this.#assembler.accept(decodeMessage(message));
      if (part === undefined) return;
      this.#receivedLsn = maxLsn(this.#receivedLsn, part.endLsn ?? part.commitLsn);
      this.inbox.push(part);
      this.#onEvent();
    } catch (error) {
      // Thrown here it would end the process from inside the socket's handler.
      this.#break(error);
    }
  }

  #break(error: unknown): void {
    this.#broken ??= classify(error);
    this.#onEvent();
  }
}

/** The server streams from what the slot has confirmed, and says nothing when that is more than was asked for. */
async function assertSlotIsLike(mirror: Mirror, from: Lsn): Promise<void> {
  const confirmedFlushLsn = await readHeldSlot(mirror);
  if (confirmedFlushLsn === undefined)
    throw new MirrorError('SlotLost', `slot ${mirror.slot} is gone`);
  const ahead = aheadOf({ confirmedFlushLsn }, { appliedLsn: from });
  if (ahead !== undefined) throw new MirrorError('TargetRewound', `slot ${mirror.slot} ${ahead}`);
}
