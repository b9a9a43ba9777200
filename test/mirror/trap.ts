/** The test's end of kill-at.ts: sets a trap for a daemon, waits until it springs, lets go. */
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Checkpoint } from '../../src/core/checkpoint.ts';
import type { Daemon, NodeOptions } from '../servers/daemon.ts';
import { until } from '../servers/processes.ts';
import type { TestMirror } from './test-mirror.ts';

export const TRAP_VARIABLE = 'BUNNYDB_TEST_TRAP';
const TIMEOUT_MS = 60_000;

export interface TrapSetting {
  readonly checkpoint: Checkpoint;
  /** As the checkpoint names it: formatTableName(source). */
  readonly table: string;
  /** 1: the first time that it comes. */
  readonly nth: number;
  /** `kill`: SIGKILL. `hold`: nothing of the process runs on until the trap is released. */
  readonly action: 'kill' | 'hold';
}

/** There while the trap has sprung and the process is dead or held. */
export function sprungFile(trap: string): string {
  return `${trap}.sprung`;
}

/** Every checkpoint that the daemons of this trap have passed, a line each. */
export function passedFile(trap: string): string {
  return `${trap}.passed`;
}

export class Trap {
  readonly #mirror: TestMirror;
  readonly #file: string;

  constructor(mirror: TestMirror) {
    this.#mirror = mirror;
    this.#file = join(dirname(mirror.log), 'trap');
  }

  /** For the start of a daemon that can be trapped; one that is started without it passes everything. */
  get node(): NodeOptions {
    return {
      nodeArgs: ['--import', './test/mirror/kill-at.ts'],
      env: { [TRAP_VARIABLE]: this.#file },
    };
  }

  async set(setting: TrapSetting): Promise<void> {
    await rm(sprungFile(this.#file), { force: true });
    await writeFile(`${this.#file}.new`, JSON.stringify(setting));
    await rename(`${this.#file}.new`, this.#file);
  }

  /** Returns when the process is held. */
  async held(daemon: Daemon): Promise<void> {
    await until(
      async () => {
        await daemon.assertRunning();
        return (await this.#sprung()) !== undefined;
      },
      { timeoutMs: TIMEOUT_MS, late: async () => this.#late(daemon) },
    );
  }

  /** Returns when the process has ended; throws when it ended anywhere but in the trap. */
  async killed(daemon: Daemon): Promise<void> {
    await until(() => !daemon.running, {
      timeoutMs: TIMEOUT_MS,
      late: async () => this.#late(daemon),
    });
    if (daemon.signalCode === 'SIGKILL' && (await this.#sprung()) !== undefined) return;
    await daemon.assertRunning();
  }

  /** A process that is held goes on. */
  async release(): Promise<void> {
    await rm(sprungFile(this.#file), { force: true });
  }

  /** What was passed since the last call, of one table. */
  async passed(table: string): Promise<Checkpoint[]> {
    const text = await readFile(passedFile(this.#file), 'utf8').catch(() => '');
    await rm(passedFile(this.#file), { force: true });
    const lines = text.split('\n').map((line) => line.split(' '));
    return lines.flatMap(([name, checkpoint]) =>
      name === table ? [checkpoint as Checkpoint] : [],
    );
  }

  async #sprung(): Promise<string | undefined> {
    return readFile(sprungFile(this.#file), 'utf8').catch(() => undefined);
  }

  async #late(daemon: Daemon): Promise<Error> {
    const [setting, passed, status] = await Promise.all([
      readFile(this.#file, 'utf8').catch(() => 'sprung'),
      readFile(passedFile(this.#file), 'utf8').catch(() => 'nothing'),
      this.#mirror.status(),
    ]);
    return new Error(
      `the trap ${setting} did not spring; passed:\n${passed}\nstatus ${JSON.stringify(status?.status)}\nlog:\n${await daemon.logTail()}`,
    );
  }
}
