import { systemClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { Supervisor } from '../daemon/supervisor.ts';
import { EXIT } from './exit-codes.ts';

export interface RunOptions {
  readonly dir: string;
  readonly statusDir: string;
  readonly once: boolean;
}

/** The process around a command: where it logs, what stops it, what asks it to look again. */
export interface Process {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly onHangup: (listener: () => void) => void;
}

/** `bunnydb run`. Returns the exit code. */
export async function run(
  options: RunOptions,
  { log, signal, onHangup }: Process,
): Promise<number> {
  const supervisor = new Supervisor({ ...options, log, clock: systemClock, signal });
  onHangup(() => supervisor.lookAgain());
  log.info({ dir: options.dir, statusDir: options.statusDir }, 'started');
  const isReady = await supervisor.run();
  log.info('stopped');
  return options.once && !isReady ? EXIT.failed : EXIT.done;
}
