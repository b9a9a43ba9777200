import { systemClock } from '../core/clock.ts';
import { needsHuman } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import { formatTableName } from '../core/table-name.ts';
import type { TableFailure } from '../core/table-state.ts';
import { readStatus } from '../status/read-status.ts';
import { isReady, type Status } from '../status/status.ts';
import type { TableStatus } from '../status/table-status.ts';
import { EXIT } from './exit-codes.ts';
import { findTable, noSuchTable } from './find-table.ts';
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
 * this very spec counts. Exit codes: done, failed (a human must act), timed out, invalid files, usage (no
 * such table).
 */
export async function wait(
  name: string | undefined,
  options: WaitOptions,
  out: Output,
): Promise<number> {
  const deadlineMs = systemClock.monotonicMs() + options.timeoutMs;
  const say = onlyChanges(out);
  for (;;) {
    const mirrors = await say((told) => selectMirrors(options.dir, name, told));
    if (mirrors === undefined) return EXIT.invalidFiles;
    const table = resyncedTable(options);
    const lacking = table && mirrors.find((mirror) => !findTable(mirror, table));
    if (lacking) {
      out.error(`${noSuchTable(lacking, table)}\n`);
      return EXIT.usage;
    }
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

/** Runs what says something at each look: it is passed on when it is not what the last look said. */
function onlyChanges(out: Output): <T>(look: (out: Output) => Promise<T>) => Promise<T> {
  let last = '';
  return async (look) => {
    let said = '';
    const result = await look({ ...out, error: (text) => void (said += text) });
    if (said !== '' && said !== last) out.error(said);
    last = said;
    return result;
  };
}

interface Verdict {
  readonly state: 'done' | 'waiting' | 'failed';
  readonly message: string;
}

async function verdictOf(mirror: Mirror, options: WaitOptions): Promise<Verdict> {
  const status = await readStatus(options.statusDir, mirror.name);
  if (!status) return { state: 'waiting', message: `${mirror.name} has no status yet` };
  if (status.status.observedSpecHash !== mirror.specHash) {
    const message = `${mirror.name}: the daemon has not taken this file up yet${whyNot(status)}`;
    return { state: 'waiting', message };
  }
  const wanted = resyncedTable(options);
  const table = wanted === undefined ? undefined : findTable(mirror, wanted);
  const { state, message } =
    table === undefined ? readiness(status) : progressOf(status, formatTableName(table.source));
  // Only an edit of the file ends that.
  if (mirror.suspend && state === 'waiting')
    return {
      state: 'failed',
      message: `${mirror.name} is suspended: resume it, bunnydb resume ${mirror.name}`,
    };
  return { state, message: `${mirror.name}: ${message}` };
}

/** What the daemon has against a newer file, which may be this one. */
function whyNot({ status }: Status): string {
  const accepted = status.conditions.find(({ type }) => type === 'SpecAccepted');
  return accepted?.status === 'False' ? `: ${accepted.message}` : '';
}

/** Undefined when the whole mirror is waited for. */
function resyncedTable({ for: goal }: WaitOptions): string | undefined {
  return goal === 'Ready' ? undefined : goal.slice('resync='.length);
}

function readiness(status: Status): Verdict {
  const stalled = stalledLine(status);
  if (stalled !== undefined) return { state: 'failed', message: stalled };
  return { state: isReady(status) ? 'done' : 'waiting', message: readyLine(status) };
}

/** The table is live at the generation its file asks for. What is wrong with others does not count. */
function progressOf(status: Status, source: string): Verdict {
  const { tables } = status.status;
  const row = tables.find((one) => one.source === source);
  const stalled = tables.some(isStuck) ? undefined : stalledLine(status);
  if (stalled !== undefined) return { state: 'failed', message: stalled };
  if (row?.error !== undefined && isStuck(row))
    return { state: 'failed', message: errorLine(source, row.error) };
  if (row?.phase === 'Live' && ['completed', 'none'].includes(row.resyncStatus))
    return { state: 'done', message: '' };
  if (row?.error !== undefined) return { state: 'waiting', message: errorLine(source, row.error) };
  const { step, waitsFor } = row?.resync ?? {};
  if (step === undefined) return { state: 'waiting', message: readyLine(status) };
  const why = waitsFor === undefined ? '' : `, ${waitsFor}`;
  return { state: 'waiting', message: `${source}: ${step}${why}` };
}

/** As the condition Stalled has it: a resync that runs mends it. */
function isStuck({ error, resyncStatus }: TableStatus): boolean {
  return error !== undefined && resyncStatus !== 'in_progress' && needsHuman(error.code);
}

function errorLine(source: string, { message, hint }: TableFailure): string {
  return `${source}: ${message}. ${hint}`;
}

function stalledLine({ status }: Status): string | undefined {
  return status.conditions.find(({ type, status: value }) => type === 'Stalled' && value === 'True')
    ?.message;
}

function readyLine({ status }: Status): string {
  return status.conditions.find(({ type }) => type === 'Ready')?.message ?? status.state;
}

const DURATION_PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Reads `10m`, `30s`, `1.5h`; undefined for anything else. */
export function parseDurationMs(text: string): number | undefined {
  const match = DURATION_PATTERN.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ''];
  return match?.[1] === undefined || unit === undefined ? undefined : Number(match[1]) * unit;
}
