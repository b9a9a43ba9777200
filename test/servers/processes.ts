/** Starting, killing and guarding processes of PostgreSQL. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import type { Account } from './account.ts';

const POLL_INTERVAL_MS = 20;
const run = promisify(execFile);

/** The environment of every PostgreSQL process: messages in English, nothing inherited that changes a test. */
const SERVER_ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', PATH: process.env['PATH'] ?? '/usr/bin:/bin' };

export interface RunOptions {
  readonly account?: Account;
  /** A folder that the account can enter; ours may be closed to it. */
  readonly cwd?: string;
}

/** Runs a program to its end. Throws with what it wrote to stderr. */
export async function runQuietly(
  program: string,
  args: readonly string[],
  { account = {}, cwd = '/' }: RunOptions = {},
): Promise<void> {
  await run(program, [...args], { ...account, cwd, env: SERVER_ENVIRONMENT });
}

/**
 * Starts a program that goes on by itself. It gets no pipe of ours, so it keeps nobody waiting, and
 * its own session, so that Ctrl-C on the terminal does not reach it: we decide the order of the end.
 */
export function startServer(
  program: string,
  args: readonly string[],
  options: Required<RunOptions> & { readonly log: number },
): ChildProcess {
  const child = spawn(program, [...args], {
    ...options.account,
    cwd: options.cwd,
    env: SERVER_ENVIRONMENT,
    detached: true,
    stdio: ['ignore', options.log, options.log],
  });
  child.unref();
  return child;
}

/** True until the child has ended; one that never started has ended too. */
export function isRunning(child: ChildProcess): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Waits for `condition`, looking every 20 ms. Throws what `late` says after `timeoutMs`. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  { timeoutMs, late }: { readonly timeoutMs: number; readonly late: () => Promise<Error> },
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw await late();
    await delay(POLL_INTERVAL_MS);
  }
}

/**
 * kill -9 of a process and its children. The parent is stopped first: it can then start no child
 * that the list would miss. Resolves when all are gone.
 */
export async function killTree(parent: ChildProcess): Promise<void> {
  const { pid } = parent;
  if (pid === undefined || !isRunning(parent)) return;
  process.kill(pid, 'SIGSTOP');
  const children = await childrenOf(pid);
  for (const each of [pid, ...children]) signalIfThere(each, 'SIGKILL');
  const gone = async (): Promise<boolean> =>
    !isRunning(parent) && (await Promise.all(children.map(isAlive))).every((alive) => !alive);
  await until(gone, {
    timeoutMs: 10_000,
    late: async () => new Error(`process ${pid} outlived kill -9`),
  });
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

async function childrenOf(parent: number): Promise<number[]> {
  if (process.platform !== 'linux') {
    const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=']);
    const pairs = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
    return pairs.flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []));
  }
  // Slim images have no `ps`.
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const states = await Promise.all(pids.map(async (pid) => ({ pid, found: await statOf(pid) })));
  return states.flatMap(({ pid, found }) => (found?.parent === parent ? [pid] : []));
}

async function isAlive(pid: number): Promise<boolean> {
  // A container may have nobody who buries orphans: a zombie answers signals but holds nothing.
  if (process.platform === 'linux')
    return !['Z', 'X', undefined].includes((await statOf(pid))?.state);
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function statOf(pid: number): Promise<{ state: string; parent: number } | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // `pid (name) state ppid …`; the name may hold anything, also `) `.
  const [state, parent] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  return state === undefined ? undefined : { state, parent: Number(parent) };
}

/** Stops the server by its lock file and removes its folder when our end of the pipe is closed. */
const GUARD_SCRIPT = `
  cat >/dev/null
  pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
  if [ -n "$pid" ]; then
    kill -QUIT "$pid" 2>/dev/null
    tries=0
    while kill -0 "$pid" 2>/dev/null && [ "$tries" -lt 60 ]; do sleep 0.1; tries=$((tries + 1)); done
    kill -KILL "$pid" 2>/dev/null
  fi
  [ "$2" = keep ] || rm -rf "$1"
`;

/**
 * A shell that waits for our death, by whatever cause (also kill -9, also an exception), and cleans
 * up then. So the tests need no handlers for signals, which would get in the way of the demo's own.
 * Returns the way to send it away, for when we have cleaned up ourselves.
 */
export function guardFolder(dataDirectory: string, afterwards: 'keep' | 'remove'): () => void {
  return startGuard(GUARD_SCRIPT, [dataDirectory, afterwards]);
}

/** The same for a child process: SIGTERM when we are gone and it is not. */
export function guardProcess(child: ChildProcess): () => void {
  const dismiss = startGuard('cat >/dev/null; kill -TERM "$1"', [String(child.pid)]);
  // Its number may soon be somebody else's.
  child.once('exit', dismiss);
  return dismiss;
}

function startGuard(script: string, args: readonly string[]): () => void {
  const guard = spawn('sh', ['-c', script, 'guard', ...args], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  guard.stdin.on('error', () => undefined);
  return () => void guard.kill('SIGKILL');
}
