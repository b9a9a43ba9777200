/** A table is resynced under load: bunnydb by each strategy, and PostgreSQL's own replication, in turn. */
import { setTimeout as delay } from 'node:timers/promises';
import { BenchMirror, type ResyncStrategy } from './mirror.ts';
import { type Figure, formatNumber, percentile, type Section, type Unit } from './report.ts';
import {
  ITEMS,
  RESYNC_TABLES,
  ResyncWatch,
  type Seen,
  TRANSACTIONS_PER_SECOND,
} from './resync-watch.ts';
import { type BenchContext, reached, settle, withSource } from './servers.ts';
import { Subscription } from './subscription.ts';

const STRATEGIES: readonly ResyncStrategy[] = ['truncate', 'swap'];
const WARM_UP_SECONDS = 3;
const BEFORE_SECONDS = 10;
/** The end of a resync may be felt a moment later. */
const AFTER_SECONDS = 2;

interface Resync {
  /** From the order to the table that follows its source again. */
  readonly seconds: number;
  readonly before: Seen;
  readonly during: Seen;
  readonly perSecond: number;
}

type Contender = 'native (anchor)' | ResyncStrategy;

/** One section. */
export async function benchResync(context: BenchContext): Promise<Section[]> {
  const found = new Map<Contender, Resync[]>();
  const add = (who: Contender, resync: Resync): void => {
    found.set(who, [...(found.get(who) ?? []), resync]);
    const { seconds, during } = resync;
    context.say(
      `resync, ${who}: ${seconds.toFixed(1)} s, longest read ${during.longestReadMs.toFixed(0)} ms, lag of another table at most ${Math.max(...during.latenciesMs).toFixed(0)} ms`,
    );
  };
  for (let run = 1; run <= context.runs; run += 1) {
    context.say(`resync, run ${run} of ${context.runs}`);
    add('native (anchor)', await withSource(context, RESYNC_TABLES, resyncOfAnchor));
    for (const strategy of STRATEGIES)
      add(
        strategy,
        await withSource(context, RESYNC_TABLES, async (_, database) =>
          resyncOfMirror(context, database, strategy),
        ),
      );
  }
  return [sectionOf(found)];
}

async function resyncOfAnchor(context: BenchContext, database: string): Promise<Resync> {
  await using subscription = await Subscription.create(context, database, {
    ...RESYNC_TABLES,
    streaming: 'parallel',
  });
  return await measure(
    context,
    { source: database, destination: subscription.database },
    { resync: async () => subscription.resync('items'), untilDone: async () => undefined },
  );
}

async function resyncOfMirror(
  context: BenchContext,
  database: string,
  strategy: ResyncStrategy,
): Promise<Resync> {
  await using mirror = await BenchMirror.create(context, database, RESYNC_TABLES.names);
  await mirror.startLive();
  return await measure(
    context,
    { source: database, destination: mirror.database },
    {
      resync: async () => mirror.resync('items', strategy),
      untilDone: async () => mirror.untilDone(),
    },
  );
}

interface Databases {
  readonly source: string;
  readonly destination: string;
}

interface Work {
  readonly resync: () => Promise<void>;
  /** What comes after it: foreign keys, the old table's end, the comparison of both sides. */
  readonly untilDone: () => Promise<void>;
}

async function measure(context: BenchContext, databases: Databases, work: Work): Promise<Resync> {
  const { source, destination, signal } = context;
  await destination.query(databases.destination, 'vacuum (analyze)');
  await settle(context);
  const watch = new ResyncWatch({
    source: { cluster: source, database: databases.source },
    destination: { cluster: destination, database: databases.destination },
    signal,
  });
  watch.start();
  try {
    await delay(WARM_UP_SECONDS * 1000, undefined, { signal });
    const warmMs = performance.now();
    await delay(BEFORE_SECONDS * 1000, undefined, { signal });
    const orderedMs = performance.now();
    await work.resync();
    const liveMs = performance.now();
    await work.untilDone();
    await delay(AFTER_SECONDS * 1000, undefined, { signal });
    const endMs = performance.now();
    await watch.stop();
    await assertSame(context, databases);
    return {
      seconds: (liveMs - orderedMs) / 1000,
      before: watch.seen(warmMs, orderedMs),
      during: watch.seen(orderedMs, endMs),
      perSecond: watch.perSecond,
    };
  } finally {
    await watch.stop();
  }
}

/** Every change has arrived, once. */
async function assertSame(context: BenchContext, databases: Databases): Promise<void> {
  const sums = `
    select (select count(*) from items), (select sum(n) from items), (select sum(n::bigint * id) from items),
      (select sum(n) from other), (select count(*) from history)`;
  const wanted = JSON.stringify(await context.source.query(databases.source, sums));
  await reached(context, `the same sums at both ends, ${wanted}`, async () => {
    const found = await context.destination.query(databases.destination, sums);
    return JSON.stringify(found) === wanted;
  });
}

interface Measure {
  readonly label: string;
  readonly unit: Unit;
  readonly of: (resync: Resync) => number;
}

const MEGABYTE = 2 ** 20;

const MEASURES: readonly Measure[] = [
  { label: 'total', unit: 's', of: ({ seconds }) => seconds },
  { label: 'row not found by its reader', unit: 's', of: ({ during }) => during.withoutRowSeconds },
  { label: 'longest read, before', unit: 'ms', of: ({ before }) => before.longestReadMs },
  { label: 'longest read, during', unit: 'ms', of: ({ during }) => during.longestReadMs },
  ...Object.entries({ p50: 0.5, p99: 0.99, max: 1 }).flatMap(([name, share]) =>
    (['before', 'during'] as const).map((when): Measure => ({
      label: `lag of another table ${name}, ${when}`,
      unit: 'ms',
      of: (resync) => percentile(resync[when].latenciesMs, share),
    })),
  ),
  { label: 'WAL kept, before', unit: 'MB', of: ({ before }) => before.retainedBytes / MEGABYTE },
  { label: 'WAL kept, during', unit: 'MB', of: ({ during }) => during.retainedBytes / MEGABYTE },
  {
    label: 'WAL not confirmed, during',
    unit: 'MB',
    of: ({ during }) => during.unconfirmedBytes / MEGABYTE,
  },
  { label: 'pace reached', unit: 'tx/s', of: ({ perSecond }) => perSecond },
];

function sectionOf(found: ReadonlyMap<Contender, readonly Resync[]>): Section {
  const anchors = found.get('native (anchor)') ?? [];
  const figures = MEASURES.flatMap(({ label, unit, of }) =>
    [...found].map(([who, resyncs]): Figure => ({
      label: `${label}: ${who}`,
      unit,
      values: resyncs.map(of),
      ...(who === 'native (anchor)' ? {} : { anchor: anchors.map(of) }),
    })),
  );
  return {
    title: `resync of one table of ${formatNumber(ITEMS, 0)} rows with three indexes besides its key, under ${TRANSACTIONS_PER_SECOND} transactions/s on it and on others`,
    figures,
    remarks: [
      'total: from the order until the table follows its source again; what bunnydb does after that is in every other figure',
      `the reader looks for one row by an index, every few ms, on a session of its own; ${BEFORE_SECONDS} s before the order, and from the order until ${AFTER_SECONDS} s after the end`,
      'lag: from the commit until a session at the destination sees its row, in a table that is not resynced',
      'WAL kept: from restart_lsn of the slot that is the furthest behind; not confirmed: from confirmed_flush_lsn',
      'the anchor: out of the publication, REFRESH, TRUNCATE, in again, REFRESH with a copy; less than 1x is faster, or less',
    ],
  };
}
