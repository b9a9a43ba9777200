/**
 * Whether the source still answers. A host that vanishes says no goodbye: the kernel gives up on it
 * after a quarter of an hour, and until then a stream without news looks like a quiet one. So the
 * source is asked to answer, and its silence is measured. Pure: time and socket are given.
 */
import type { Clock } from '../core/clock.ts';

/** `silent`: nobody knows what is committed there. `dead`: the connection is given up. */
export type Liveness = 'alive' | 'silent' | 'dead';

/** Milliseconds between two requests for an answer. */
const ASK_EVERY_MS = 10_000;
/** Three requests without an answer. */
const SILENT_AFTER_MS = 30_000;
/**
 * Long, because silence is not death: older walsenders read nothing and send nothing while they decode
 * a large transaction that the publication filters out, and would decode it all again for the next
 * connection.
 */
const DEAD_AFTER_MS = 5 * 60_000;

export interface Silence {
  /** Milliseconds since the source was last heard. */
  readonly silentMs: number;
  /** We read nothing for now: what the source says waits in the socket. */
  readonly isPaused: boolean;
}

export function livenessOf({ silentMs, isPaused }: Silence): Liveness {
  if (isPaused || silentMs < SILENT_AFTER_MS) return 'alive';
  return silentMs < DEAD_AFTER_MS ? 'silent' : 'dead';
}

/** What a look at the socket shows. */
export interface Hearing {
  /**
   * Bytes received in all. Any byte is a sign of life: a row of a gigabyte is one message, which takes
   * minutes on a slow line.
   */
  readonly bytesRead: number;
  readonly isPaused: boolean;
}

/** Remembers when the source was last heard and last asked. */
export class Pulse {
  readonly #clock: Clock;
  #bytesRead = 0;
  #heardMs: number;
  #askedMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#heardMs = clock.monotonicMs();
    this.#askedMs = this.#heardMs;
  }

  /** Call it every second: it is as exact as it is called often. A pause of ours is no silence, also afterwards. */
  listen({ bytesRead, isPaused }: Hearing): void {
    if (!isPaused && bytesRead === this.#bytesRead) return;
    this.#bytesRead = bytesRead;
    this.#heardMs = this.#clock.monotonicMs();
  }

  get silentMs(): number {
    return this.#clock.monotonicMs() - this.#heardMs;
  }

  /** True once in ASK_EVERY_MS: now the source should be asked to answer. */
  askNow(): boolean {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#askedMs < ASK_EVERY_MS) return false;
    this.#askedMs = nowMs;
    return true;
  }
}
