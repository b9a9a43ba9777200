/** The daemon and the commands as users run them: processes of their own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { guardProcess, isRunning, until } from './processes.ts';
import { LOADER, PROGRAM } from './program.ts';

const ROOT = join(import.meta.dirname, '..', '..');
/** Stop within 5 seconds is promised; a loaded machine gets as much again to show it. */
const STOP_TIMEOUT_MS = 10_000;
const LOG_TAIL_LINES = 20;

/** What a test puts beside the daemon's own code in its process. */
export interface NodeOptions {
  /** Arguments of node itself, before the program. */
  readonly nodeArgs?: readonly string[];
  /** For passwords too. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface DaemonOptions extends NodeOptions {
  readonly mirrorDirectory: string;
  readonly statusDirectory: string;
  /** Where its log goes, appended. */
  readonly log: string;
  readonly args?: readonly string[];
}

/** Dispose it to stop it. */
export class Daemon implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #log: string;
  readonly #dismissGuard: () => void;

  private constructor(child: ChildProcess, log: string) {
    this.#child = child;
    this.#log = log;
    this.#dismissGuard = guardProcess(child);
  }

  /** Starts `bunnydb run`. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { mirrorDirectory, statusDirectory, args = [], nodeArgs = [] } = options;
    const loaded = nodeArgs.length === 0 ? [] : [...LOADER, ...nodeArgs];
    const command = [...loaded, ...PROGRAM, 'run'];
    const log = await open(options.log, 'a');
    const child = spawn(
      process.execPath,
      [...command, '--dir', mirrorDirectory, '--status-dir', statusDirectory, ...args],
      {
        cwd: ROOT,
        env: { ...process.env, ...options.env },
        // Ctrl-C is its owner's to handle.
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      },
    );
    await log.close();
    return new Daemon(child, options.log);
  }

  get running(): boolean {
    return isRunning(this.#child);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** What ended it, if a signal did. */
  get signalCode(): NodeJS.Signals | null {
    return this.#child.signalCode;
  }

  /** Throws with the end of its log when it is gone. */
  async assertRunning(): Promise<void> {
    if (this.running) return;
    const { exitCode, signalCode } = this.#child;
    const end = `the daemon has ended with ${signalCode ?? `exit code ${exitCode}`}`;
    throw new Error(`${end}; the end of its log:\n${await this.logTail()}`);
  }

  async logTail(lines = LOG_TAIL_LINES): Promise<string> {
    const text = await readFile(this.#log, 'utf8').catch(() => '');
    return text.trimEnd().split('\n').slice(-lines).join('\n');
  }

  signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGHUP' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(name);
  }

  /** Returns when the process is gone. */
  async ended(): Promise<void> {
    const late = async (): Promise<Error> => new Error('the daemon does not stop');
    await until(() => !this.running, { timeoutMs: STOP_TIMEOUT_MS, late });
    this.#dismissGuard();
  }

  /** SIGTERM, as an init system does; kill -9 after 10 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.signal('SIGTERM');
    await this.ended().catch(() => this.signal('SIGKILL'));
    this.#dismissGuard();
  }
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one `bunnydb` command to its end. */
export async function runCommand(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...PROGRAM, ...args],
      { cwd: ROOT, env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}
