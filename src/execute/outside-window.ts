import { nextOpening } from '../plan/windows.ts';
import type { CopyRunOptions } from './table-run.ts';

const WINDOW_POLL_MS = 1_000;

/** True after a while when no maintenance window is open; false at once while one is. */
export async function sleepOutsideWindow({
  windows,
  clock,
  signal,
  onWaiting,
}: CopyRunOptions): Promise<boolean> {
  const opens = nextOpening(windows(), clock.now());
  if (opens === undefined) return false;
  signal.throwIfAborted();
  onWaiting({ tries: 1, waitsFor: `waits for the maintenance window that opens at ${opens}` });
  await clock.sleep(WINDOW_POLL_MS, signal);
  return true;
}
