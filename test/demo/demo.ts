/**
 * `npm run demo`: two PostgreSQL servers, a shop with live writes, the daemon, and a screen that
 * says what to try. Ctrl-C ends it and removes everything.
 * `npm run demo -- --once`: the same without anybody watching; ends by itself, 0 when the copy is right.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Daemon } from '../servers/daemon.ts';
import { proveResync } from './once.ts';
import { Screen } from './screen.ts';
import { startServers, urlOf } from './servers.ts';
import { BUNNY, openShop } from './shop.ts';
import { makeView, type Stage } from './stage.ts';
import { makeWorkspace } from './workspace.ts';
import { ShopWriter } from './writer.ts';

const REDRAW_INTERVAL_MS = 250;

/** True when everything that was to be shown was right. */
async function runDemo(signal: AbortSignal): Promise<boolean> {
  say('starting two PostgreSQL servers');
  await using servers = await startServers();
  const { source, destination } = servers;
  signal.throwIfAborted();
  say(`filling the shop: source ${urlOf(source)}, copy ${urlOf(destination)}`);
  await openShop(source, destination);
  signal.throwIfAborted();
  await using workspace = await makeWorkspace({
    source: source.port,
    destination: destination.port,
  });
  await using daemon = await Daemon.start({
    ...workspace,
    log: workspace.daemonLog,
    env: { SHOP_SOURCE_PASSWORD: BUNNY.password, SHOP_COPY_PASSWORD: BUNNY.password },
  });
  await using writer = new ShopWriter(source);
  writer.start();
  const stage: Stage = { source, destination, workspace, daemon, writer };
  if (process.argv.includes('--once')) return await proveResync(stage, { signal, say });
  await watch(stage, signal);
  return true;
}

/** Redraws until Ctrl-C. Throws when the daemon ends by itself. */
async function watch(stage: Stage, signal: AbortSignal): Promise<void> {
  const screen = new Screen(process.stdout);
  screen.clear();
  for (;;) {
    const view = await makeView(stage);
    await stage.daemon.assertRunning();
    // Not after Ctrl-C: what is said about the end stays to be read.
    signal.throwIfAborted();
    screen.show(view);
    await delay(REDRAW_INTERVAL_MS, undefined, { signal });
  }
}

/** The first signal ends the demo in good order, a second one at once. */
function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => {
      say('ending: writer, daemon, servers');
      controller.abort();
    });
  return controller.signal;
}

function say(line: string): void {
  console.log(line);
}

const signal = abortOnSignals();
try {
  process.exitCode = (await runDemo(signal)) ? 0 : 1;
} catch (error) {
  // Ctrl-C is how the demo is meant to end; what fails because everything is being ended is no news.
  const interrupted = signal.aborted;
  if (!interrupted) console.error(error instanceof Error ? error.message : error);
  process.exitCode = interrupted && !process.argv.includes('--once') ? 0 : 1;
}
