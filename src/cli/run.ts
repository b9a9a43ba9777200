import { systemClock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { serveHttp, type HttpAddress } from '../daemon/http/http.ts';
import { Metrics } from '../daemon/http/metrics.ts';
import { Supervisor } from '../daemon/supervisor.ts';
import { EXIT } from './exit-codes.ts';

export interface RunOptions {
  readonly dir: string;
  readonly statusDir: string;
  readonly once: boolean;
  readonly removalGraceMs: number;
  /** Where probes and metrics are answered; nowhere when left out. */
  readonly http?: HttpAddress;
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
  const { dir, statusDir, once, http: address } = options;
  const metrics = address === undefined ? undefined : new Metrics();
  const supervisor = new Supervisor({
    ...options,
    log,
    clock: systemClock,
    signal,
    meter: metrics,
  });
  let http: AsyncDisposable | undefined;
  try {
    if (address && metrics)
      http = await serveHttp({ address, metrics, view: () => supervisor.view(), log });
  } catch (error) {
    log.error({ err: error, ...address }, 'cannot listen on the address of --http');
    return EXIT.failed;
  }
  await using _http = http;
  onHangup(() => supervisor.lookAgain());
  log.info({ dir, statusDir }, 'started');
  const isReady = await supervisor.run();
  log.info('stopped');
  return once && !isReady ? EXIT.failed : EXIT.done;
}
