/** The daemon as users run it: a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { guardProcess, isRunning, until } from '../servers/processes.ts';
import { BUNNY } from './shop.ts';
import type { Workspace } from './workspace.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const STOP_TIMEOUT_MS = 10_000;
const LOG_TAIL_LINES = 20;

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

  /** Starts `bunnydb run` on the workspace; its log goes to a file there. */
  static async start(workspace: Workspace): Promise<Daemon> {
    const log = await open(workspace.daemonLog, 'a');
    const { mirrorDirectory, statusDirectory } = workspace;
    const child = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        'src/main.ts',
        'run',
        '--dir',
        mirrorDirectory,
        '--status-dir',
        statusDirectory,
      ],
      {
        cwd: ROOT,
        env: {
          ...process.env,
          SHOP_SOURCE_PASSWORD: BUNNY.password,
          SHOP_COPY_PASSWORD: BUNNY.password,
        },
        // Ctrl-C is ours to handle: writer first, then the daemon, then the servers.
        detached: true,
        stdio: ['ignore', log.fd, log.fd],
      },
    );
    await log.close();
    return new Daemon(child, workspace.daemonLog);
  }

  get running(): boolean {
    return isRunning(this.#child);
  }

  /** Throws with the end of its log when it is gone. */
  async assertRunning(): Promise<void> {
    if (this.running) return;
    const { exitCode, signalCode } = this.#child;
    const end = `the daemon has ended with ${signalCode ?? `exit code ${exitCode}`}`;
    throw new Error(`${end}; the end of its log:\n${await this.logTail()}`);
  }

  async logTail(): Promise<string> {
    const text = await readFile(this.#log, 'utf8').catch(() => '');
    return text.trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
  }

  /** SIGTERM, as an init system does; kill -9 after 10 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGTERM');
    const late = async (): Promise<Error> => new Error('the daemon does not stop');
    const stopped = until(() => !this.running, { timeoutMs: STOP_TIMEOUT_MS, late });
    await stopped.catch(() => this.#child.kill('SIGKILL'));
    this.#dismissGuard();
  }
}
