/** `--once`: the demo as a check. First copy, equality, a resync under load, equality again. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Comparison, compareShops } from './compare.ts';
import { drawLine } from './screen.ts';
import type { ShopTable } from './shop.ts';
import { makeView, type Stage } from './stage.ts';
import { isSettled, type MirrorStatus, readStatus } from './status.ts';
import { bumpResyncGeneration } from './workspace.ts';

const POLL_INTERVAL_MS = 200;
const SETTLE_TIMEOUT_MS = 300_000;
/** From the last write on the source until it must be at the destination. */
const CATCH_UP_TIMEOUT_MS = 60_000;
const RESYNCED_TABLE: ShopTable = 'public.orders';

interface Options {
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** True when the copy was right both times. Throws when the daemon ends or nothing moves for too long. */
export async function proveResync(stage: Stage, options: Options): Promise<boolean> {
  const { workspace, writer } = stage;
  const { say } = options;
  const startedAt = Date.now();
  await waitForStatus(stage, { ...options, what: 'every table is Live', holds: isSettled });
  say(
    `every table is Live after ${secondsSince(startedAt)} s, under ${writer.transactions} writes`,
  );
  await writer.stop();
  if (!(await conclude(stage, options))) return false;

  writer.start();
  const bumpedAt = Date.now();
  const generation = await bumpResyncGeneration(workspace.mirrorFile, RESYNCED_TABLE);
  say(`${RESYNCED_TABLE}: resyncGeneration raised to ${generation} in ${workspace.mirrorFile}`);
  await waitForStatus(stage, {
    ...options,
    what: `${RESYNCED_TABLE} is resynced`,
    holds: (status) => isSettled(status) && observedGeneration(status) === generation,
  });
  say(`${RESYNCED_TABLE}: resynced after ${secondsSince(bumpedAt)} s`);
  await writer.stop();
  return conclude(stage, options);
}

/** Compares and says so. */
async function conclude(stage: Stage, options: Options): Promise<boolean> {
  const comparisons = await waitUntilEqual(stage, options);
  const right = comparisons.every(({ same }) => same);
  for (const line of summarise(comparisons)) options.say(line);
  const verdict = right ? 'The copy is right' : 'THE COPY IS WRONG';
  options.say(`${verdict}, after ${stage.writer.transactions} transactions on the source`);
  return right;
}

function observedGeneration(status: MirrorStatus | undefined): number | undefined {
  const table = status?.tables.find(({ source }) => source === RESYNCED_TABLE);
  return table?.resyncGeneration.observed;
}

interface Wait extends Options {
  readonly what: string;
  readonly holds: (status: MirrorStatus | undefined) => boolean;
}

async function waitForStatus(stage: Stage, { signal, say, what, holds }: Wait): Promise<void> {
  const deadline = Date.now() + SETTLE_TIMEOUT_MS;
  let lastPhases = '';
  for (;;) {
    const status = await readStatus(stage.workspace.statusFile);
    if (holds(status)) return;
    // Only a human can mend it: waiting would be in vain.
    const stalled = status?.conditions.find(({ type }) => type === 'Stalled');
    if (stalled) throw new Error(`waited in vain until ${what}: ${stalled.message}`);
    const phases = (status?.tables ?? [])
      .map(({ phase, resync }) => `${phase} ${resync?.step}`)
      .join();
    if (phases !== lastPhases) say(drawLine(await makeView(stage)));
    lastPhases = phases;
    await stage.daemon.assertRunning();
    if (Date.now() > deadline)
      throw new Error(
        `waited in vain until ${what}; the log's end:\n${await stage.daemon.logTail()}`,
      );
    await delay(POLL_INTERVAL_MS, undefined, { signal });
  }
}

/** The last look at both sides: equal, or still different when the time is up. */
async function waitUntilEqual(stage: Stage, { signal, say }: Options): Promise<Comparison[]> {
  const since = Date.now();
  for (;;) {
    const comparisons = await compareShops(stage.source, stage.destination);
    const equal = comparisons.every(({ same }) => same);
    if (equal) say(`both sides are equal ${secondsSince(since)} s after the last write`);
    if (equal || Date.now() - since > CATCH_UP_TIMEOUT_MS) return comparisons;
    await delay(POLL_INTERVAL_MS, undefined, { signal });
  }
}

function summarise(comparisons: readonly Comparison[]): string[] {
  return comparisons.map(({ table, source, destination, same }) => {
    const left = `${String(source.rows).padStart(7)} rows, md5 ${source.md5}`;
    const right =
      destination === undefined ? 'not there' : `${destination.rows} rows, md5 ${destination.md5}`;
    return `${table.padEnd('public.order_items'.length)} ${left} ${same ? 'on both sides' : `BUT ${right}`}`;
  });
}

function secondsSince(time: number): string {
  return ((Date.now() - time) / 1000).toFixed(1);
}
