/** `--once`: the demo as a check. First copy, then a resync of either strategy under load; equality after each. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../servers/cluster.ts';
import { type Comparison, compareShops } from './compare.ts';
import { Reader, type Seen } from './reader.ts';
import { drawLine } from './screen.ts';
import { SHOP, type ShopTable } from './shop.ts';
import { makeView, type Stage } from './stage.ts';
import { isSettled, type MirrorStatus, readStatus } from './status.ts';
import { bumpResyncGeneration } from './workspace.ts';

const POLL_INTERVAL_MS = 200;
const SETTLE_TIMEOUT_MS = 300_000;
/** From the last write on the source until it must be at the destination. */
const CATCH_UP_TIMEOUT_MS = 60_000;
/** One of each, as mirrors.d/shop.yaml has them. */
const RESYNCS: readonly Resync[] = [
  { table: 'public.customers', strategy: 'truncate' },
  { table: 'public.orders', strategy: 'swap' },
];

interface Resync {
  readonly table: ShopTable;
  readonly strategy: 'truncate' | 'swap';
}

interface Options {
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/** True when the copy was right each time. Throws when the daemon ends or nothing moves for too long. */
export async function proveResync(stage: Stage, options: Options): Promise<boolean> {
  const { writer } = stage;
  const { say } = options;
  const startedAt = Date.now();
  await waitForStatus(stage, { ...options, what: 'every table is verified', holds: isSettled });
  say(
    `every table is Live and verified after ${secondsSince(startedAt)} s, under ${writer.transactions} writes`,
  );
  await writer.stop();
  if (!(await conclude(stage, options))) return false;
  for (const resync of RESYNCS) {
    writer.start();
    const isRight = await makeResync(stage, resync, options);
    await writer.stop();
    if (!isRight || !(await conclude(stage, options))) return false;
  }
  return true;
}

/** Under load, with a reader. True when it went by its strategy, and readers saw what that promises. */
async function makeResync(
  stage: Stage,
  { table, strategy }: Resync,
  options: Options,
): Promise<boolean> {
  const { workspace, writer, destination } = stage;
  const { say } = options;
  const idBefore = await tableId(destination, table);
  const writtenBefore = writer.transactions;
  await using reader = await Reader.start(destination, table);
  const { fewestRows: rowsBefore } = reader.seen;
  const bumpedAt = Date.now();
  const generation = await bumpResyncGeneration(workspace.mirrorFile, table);
  say(`${table}: resyncGeneration raised to ${generation} in ${workspace.mirrorFile}`);
  await waitForStatus(stage, {
    ...options,
    what: `${table} is resynced`,
    holds: (status) => isSettled(status) && observedGeneration(status, table) === generation,
  });
  const seconds = secondsSince(bumpedAt);
  const seen = await reader.stop();
  const isNew = (await tableId(destination, table)) !== idBefore;
  say(`${table}: resynced by ${strategy} and verified after ${seconds} s; ${describe(seen)}`);
  if (isNew !== (strategy === 'swap')) {
    say(`BUT THE TABLE IS ${isNew ? 'ANOTHER ONE' : 'THE SAME ONE'}`);
    return false;
  }
  // Each transaction of the writer takes away one row at most.
  const isWhole = seen.fewestRows >= rowsBefore - (writer.transactions - writtenBefore);
  if (strategy === 'swap' && !isWhole) say(`BUT IT HAD ${rowsBefore} ROWS: READERS SAW A HOLE`);
  return strategy !== 'swap' || isWhole;
}

/** A swap puts another table in the place of the old one; a truncate fills the same one. */
async function tableId(copy: Cluster, table: ShopTable): Promise<string> {
  const [row] = await copy.query(SHOP, `select '${table}'::regclass::oid as oid`);
  return row?.['oid'] ?? '';
}

function describe({ reads, fewestRows, slowestMs }: Seen): string {
  return `the fewest rows that one of ${reads} reads found: ${fewestRows}; the slowest took ${slowestMs.toFixed(0)} ms`;
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

function observedGeneration(
  status: MirrorStatus | undefined,
  table: ShopTable,
): number | undefined {
  return status?.tables.find(({ source }) => source === table)?.resyncGeneration.observed;
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
