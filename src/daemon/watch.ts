/** Says when to look at the directory again. Events are hints, never facts: contents are compared by hash. */
import { watch } from 'chokidar';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';

/** A quiet moment after the last event, so that a checkout is seen whole. */
const SETTLE_MS = 300;
/** Looked at anyway: watches can go blind, and some file systems have none. */
export const RESCAN_MS = 10_000;

export interface WatchOptions {
  readonly dir: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onLookAgain: () => Promise<void>;
}

/** Calls onLookAgain at once, after changes, and every RESCAN_MS; one call at a time. Returns when the signal aborts. */
export async function watchDirectory(options: WatchOptions): Promise<void> {
  const { dir, log, clock, signal, onLookAgain } = options;
  let hinted = new AbortController();
  const watcher = watch(dir, { ignoreInitial: true, depth: 0, followSymlinks: false });
  watcher.on('all', () => hinted.abort());
  // Without a listener an inotify limit would end the daemon; the rescan goes on.
  watcher.on('error', (error) =>
    log.warn({ err: error }, 'watching files failed; they are still looked at in intervals'),
  );
  try {
    while (!signal.aborted) {
      hinted = new AbortController();
      await onLookAgain();
      await clock.sleep(RESCAN_MS, AbortSignal.any([signal, hinted.signal]));
      if (hinted.signal.aborted) await clock.sleep(SETTLE_MS, signal);
    }
  } finally {
    await watcher.close();
  }
}
