/** The receiving end: replication stream -> messages -> transaction parts -> inbox. */
import type { Clock } from '../core/clock.ts';
import { classify, MirrorError } from '../core/errors.ts';
import { LSN_ZERO, type Lsn, maxLsn } from '../core/lsn.ts';
import type { Mirror } from '../core/mirror.ts';
import {
  openReplication,
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
  #broken: Error | undefined;
  #serverLsn = LSN_ZERO;
  #receivedLsn = LSN_ZERO;

  constructor(onEvent: () => void, clock: Clock) {
    this.#onEvent = onEvent;
    this.#pulse = new Pulse(clock);
  }

  /** Returns when the source streams; throws when it does not, because the slot is in use for one. */
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
    else stream.confirm(lsn, this.#pulse.askNow());
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
