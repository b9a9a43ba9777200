import { systemClock } from '../core/clock.ts';
import type { Mirror } from '../core/mirror.ts';
import { readStatus } from '../status/read-status.ts';
import { isReady, type Status } from '../status/status.ts';
import { EXIT } from './exit-codes.ts';
import type { Output } from './output.ts';
import { selectMirrors } from './select-mirrors.ts';

export interface WaitOptions {
  readonly dir: string;
  readonly statusDir: string;
  /** `Ready`, or `resync=<table>`. */
  readonly for: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const POLL_MS = 200;

/**
 * `bunnydb wait NAME`: returns when the daemon has done what the file on disk now says. Only a status of
 * this very spec counts. Exit codes: done, failed (a human must act), timed out, invalid files.
 */
export async function wait(
  name: string | undefined,
  options: WaitOptions,
  out: Output,
): Promise<number> {
  const deadlineMs = systemClock.monotonicMs() + options.timeoutMs;
  for (;;) {
    const mirrors = await selectMirrors(options.dir, name, out);
    if (mirrors === undefined) return EXIT.invalidFiles;
    const verdicts = await Promise.all(mirrors.map(async (mirror) => verdictOf(mirror, options)));
    const failed = verdicts.find(({ state }) => state === 'failed');
    if (failed) {
      out.error(`${failed.message}\n`);
      return EXIT.failed;
    }
    const waiting = verdicts.find(({ state }) => state === 'waiting');
    if (!waiting) return EXIT.done;
    if (systemClock.monotonicMs() >= deadlineMs || options.signal.aborted) {
      out.error(`timed out: ${waiting.message}\n`);
      return EXIT.timedOut;
    }
    await systemClock.sleep(POLL_MS, options.signal);
  }
}

interface Verdict {
  readonly state: 'done' | 'waiting' | 'failed';
  readonly message: string;
}

async function verdictOf(mirror: Mirror, options: WaitOptions): Promise<Verdict> {
  const status = await readStatus(options.statusDir, mirror.name);
  if (!status) return { state: 'waiting', message: `${mirror.name} has no status yet` };
  if (status.status.observedSpecHash !== mirror.specHash)
    return { state: 'waiting', message: `${mirror.name}: the daemon has not seen this file yet` };
  const stalled = status.status.conditions.find(
    ({ type, status: value }) => type === 'Stalled' && value === 'True',
  );
  if (stalled) return { state: 'failed', message: `${mirror.name}: ${stalled.message}` };
  const isDone =
    options.for === 'Ready'
      ? isReady(status)
      : isResynced(status, options.for.slice('resync='.length));
  const ready = status.status.conditions.find(({ type }) => type === 'Ready');
  return {
    state: isDone ? 'done' : 'waiting',
    message: `${mirror.name}: ${ready?.message ?? status.status.state}`,
  };
}

/** The table is live at the generation its file asks for. */
function isResynced(status: Status, table: string): boolean {
  const row = status.status.tables.find(({ source }) => source === table);
  return row?.phase === 'Live' && (row.resyncStatus === 'completed' || row.resyncStatus === 'none');
}

const DURATION_PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Reads `10m`, `30s`, `1.5h`; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const match = DURATION_PATTERN.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ''];
  return match?.[1] === undefined || unit === undefined ? undefined : Number(match[1]) * unit;
}
