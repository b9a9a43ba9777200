/** The machine under the figures: versions, and what the kernel says about a process. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { promisify } from 'node:util';
import { type BenchContext, SETTINGS } from './servers.ts';

/** USER_HZ: a constant of Linux's interface to programs, on every machine. */
const TICKS_PER_SECOND = 100;
/** Fields of /proc/<pid>/stat, counted from the one after the name. */
const UTIME_FIELD = 11;
const STIME_FIELD = 12;

const run = promisify(execFile);

/** What `psql --version` says; undefined where there is no psql on the PATH. */
export async function psqlVersion(): Promise<string | undefined> {
  return run('psql', ['--version']).then(
    ({ stdout }) => stdout.trim().replace(/^psql \(PostgreSQL\) /, ''),
    () => undefined,
  );
}

/** The head of every report. */
export async function describeMachine({ source, runs }: BenchContext): Promise<string> {
  const psql = await psqlVersion();
  const settings = Object.entries(SETTINGS).map(([name, value]) => `${name}=${value}`);
  return [
    `node ${process.versions.node}, PostgreSQL ${source.version}, psql ${psql ?? 'not there'}`,
    `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${process.platform} ${process.arch}, load before the start ${loadavg()[0]?.toFixed(1)}`,
    `both servers: ${settings.join(' ')}`,
    `${runs} ${runs === 1 ? 'run' : 'runs'} of each; ratios are of figures of the same run`,
    '',
  ].join('\n');
}

/** Processor time that a process has used so far; undefined where there is no /proc. */
export async function cpuSeconds(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // `pid (name) state …`; the name may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[UTIME_FIELD]) + Number(fields[STIME_FIELD])) / TICKS_PER_SECOND;
}

/** The memory a process has now, in MB of 2^20 bytes; undefined where there is no /proc. */
export async function memoryMb(pid: number): Promise<number | undefined> {
  return statusMb(pid, 'VmRSS');
}

/** The most memory a process has had, in MB of 2^20 bytes; undefined where there is no /proc. */
export async function peakMemoryMb(pid: number): Promise<number | undefined> {
  return statusMb(pid, 'VmHWM');
}

async function statusMb(pid: number, field: string): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) / 1024;
}
