/** The loop of one mirror in the test's own process, with the intents that the directory would give it. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import assert from 'node:assert/strict';
import { pino } from 'pino';
import {
  CHECKPOINT_CHANNEL,
  type Checkpoint,
  type CheckpointMessage,
} from '../../src/core/checkpoint.ts';
import { systemClock } from '../../src/core/clock.ts';
import type { Presence } from '../../src/core/intent.ts';
import type { Mirror } from '../../src/core/mirror.ts';
import { MirrorLoop } from '../../src/daemon/mirror/mirror-loop.ts';
import { Peers } from '../../src/daemon/ownership/peers.ts';
import { loadDirectory } from '../../src/spec/load.ts';
import { StatusFile } from '../../src/status/status-file.ts';
import { until } from '../servers/processes.ts';
import type { TestMirror, TestSpec } from './test-mirror.ts';

const TIMEOUT_MS = 30_000;

export class InProcess implements AsyncDisposable {
  readonly #test: TestMirror;
  #loop: MirrorLoop | undefined;
  #mirror: Mirror;
  /** How often the loop said that the mirror is gone. */
  retired = 0;
  /** Warnings of the log, a line each. */
  readonly warnings: string[] = [];

  private constructor(test: TestMirror, mirror: Mirror) {
    this.#test = test;
    this.#mirror = mirror;
  }

  /** Starts the loop with that file. */
  static async start(test: TestMirror, spec: TestSpec): Promise<InProcess> {
    const one = new InProcess(test, await read(test, spec));
    one.start({ kind: 'present' });
    return one;
  }

  get mirror(): Mirror {
    return this.#mirror;
  }

  /** A loop like one of a daemon that was started anew. */
  start(presence: Presence): void {
    const log = pino({ level: 'warn' }, { write: (line) => void this.warnings.push(line) });
    this.#loop = new MirrorLoop({
      intent: { mirror: this.#mirror, problems: [], leaving: [], presence },
      peers: new Peers(systemClock, { shares: false }),
      statusFile: new StatusFile(this.#test.statusDirectory, this.#test.name),
      log,
      clock: systemClock,
      onProgress: () => undefined,
      onRetired: () => void (this.retired += 1),
    });
  }

  async write(spec: TestSpec): Promise<void> {
    this.#mirror = await read(this.#test, spec);
    this.become('present');
  }

  /** Its file is there, or was removed long enough. */
  become(kind: 'present' | 'removed'): void {
    this.#loop?.update({ mirror: this.#mirror, problems: [], leaving: [], presence: { kind } });
  }

  lookAgain(): void {
    this.#loop?.retryNow();
  }

  /** Calls back once, synchronously, when the loop passes that checkpoint the first time from now on. */
  at(checkpoint: Checkpoint, table: string, work: () => void): void {
    const listen = (message: unknown): void => {
      const passed = message as CheckpointMessage;
      if (passed.checkpoint !== checkpoint || passed.table !== table) return;
      unsubscribe(CHECKPOINT_CHANNEL, listen);
      work();
    };
    subscribe(CHECKPOINT_CHANNEL, listen);
  }

  /** The same, and resolves then. */
  async passes(checkpoint: Checkpoint, table: string, work = (): void => undefined): Promise<void> {
    return new Promise((resolve) => {
      this.at(checkpoint, table, () => {
        work();
        resolve();
      });
    });
  }

  /** At the checkpoint every session is cut off, and the loop ends. Returns when it has. */
  async cutOffAt(checkpoint: Checkpoint, table = ''): Promise<void> {
    let stopped = Promise.resolve();
    const cut = this.passes(checkpoint, table, () => {
      stopped = this.stop();
    });
    this.become('removed');
    await cut;
    await stopped;
  }

  /** Returns when nothing is left of the mirror. */
  async gone(): Promise<void> {
    const late = async (): Promise<Error> =>
      new Error(
        `not removed: ${JSON.stringify(await this.#test.status())}\n${this.warnings.join('')}`,
      );
    await until(() => this.retired > 0, { timeoutMs: TIMEOUT_MS, late });
    await this.#loop?.done;
    assert.equal(this.retired, 1);
    assert.equal(await this.#test.status(), undefined, 'the status file is gone');
  }

  async stop(): Promise<void> {
    await this.#loop?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

async function read(test: TestMirror, spec: TestSpec): Promise<Mirror> {
  await test.write(spec);
  const { mirrors, diagnostics } = await loadDirectory(test.mirrorDirectory);
  const [mirror] = mirrors;
  assert.ok(mirror, JSON.stringify(diagnostics));
  return mirror;
}
