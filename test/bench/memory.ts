/** What one giant transaction costs: the daemon's peak memory, and the time until it is applied. */
import { peakMemoryMb } from './machine.ts';
import { BenchMirror } from './mirror.ts';
import { atMost, formatNumber, type Section } from './report.ts';
import { type BenchContext, reached, settle } from './servers.ts';
import { type Streaming, Subscription } from './subscription.ts';

const ROWS = 3_000_000;
const LIMIT_MB = 300;

const EVENTS = {
  names: ['events'],
  create: 'create table events (id bigint primary key, customer int, kind text, payload text)',
};
const GIANT = `
  insert into events select n, n % 5000, 'kind ' || n % 20, repeat(md5(n::text), 2)
  from generate_series(1, ${ROWS}) as n`;

interface Giant {
  /** The transaction itself, at the source: from its begin to its commit. */
  readonly writtenSeconds: number;
  /** From the commit at the source until the rows are seen at the destination. */
  readonly appliedSeconds: number;
  /** Undefined where there is no /proc, and for the anchor, which has no process of its own. */
  readonly peakMb: number | undefined;
}

/** `parallel` is PostgreSQL 18's default: it applies while the transaction runs, and so ends early. */
const ROADS = {
  anchor: async (context, database) => applyBySubscription(context, database, 'off'),
  parallel: async (context, database) => applyBySubscription(context, database, 'parallel'),
  bunnydb: applyByMirror,
} satisfies Record<string, (context: BenchContext, database: string) => Promise<Giant>>;
type Road = keyof typeof ROADS;

/** One section, with a verdict. */
export async function benchMemory(context: BenchContext): Promise<Section[]> {
  const { source, runs, say } = context;
  const results: Record<Road, Giant[]> = { anchor: [], parallel: [], bunnydb: [] };
  for (let run = 1; run <= runs; run += 1) {
    for (const road of Object.keys(ROADS) as Road[]) {
      const database = await source.createDatabase();
      await source.query(database, EVENTS.create);
      const giant = await ROADS[road](context, database);
      results[road].push(giant);
      await source.dropDatabase(database);
      say(
        `memory, run ${run} of ${runs}: applied by ${road} in ${giant.appliedSeconds.toFixed(1)} s`,
      );
    }
  }
  return [sectionOf(results)];
}

async function applyBySubscription(
  context: BenchContext,
  database: string,
  streaming: Streaming,
): Promise<Giant> {
  await using subscription = await Subscription.create(context, database, { ...EVENTS, streaming });
  const times = await writeGiant(context, database, subscription.database);
  return { ...times, peakMb: undefined };
}

async function applyByMirror(context: BenchContext, database: string): Promise<Giant> {
  await using mirror = await BenchMirror.create(context, database, EVENTS.names);
  const daemon = await mirror.startLive();
  const times = await writeGiant(context, database, mirror.database);
  await daemon.assertRunning();
  return { ...times, peakMb: await peakMemoryMb(daemon.pid) };
}

/** Returns when all of it is there. */
async function writeGiant(
  context: BenchContext,
  source: string,
  destination: string,
): Promise<Omit<Giant, 'peakMb'>> {
  await settle(context);
  const begunMs = performance.now();
  await context.source.query(source, GIANT);
  const committedMs = performance.now();
  const isThere = async (): Promise<boolean> =>
    (await context.destination.query(destination, 'select 1 as found from events limit 1')).length >
    0;
  await reached(context, 'the giant transaction at the destination', isThere);
  const appliedSeconds = (performance.now() - committedMs) / 1000;
  const [row] = await context.destination.query(destination, 'select count(*) as rows from events');
  if (row?.['rows'] !== String(ROWS))
    throw new Error(`a transaction of ${ROWS} rows came as ${row?.['rows']}`);
  return { writtenSeconds: (committedMs - begunMs) / 1000, appliedSeconds };
}

function sectionOf({ anchor, parallel, bunnydb }: Record<Road, readonly Giant[]>): Section {
  const seconds = (giants: readonly Giant[]): number[] =>
    giants.map(({ appliedSeconds }) => appliedSeconds);
  const perSecond = (giants: readonly Giant[]): number[] =>
    seconds(giants).map((time) => ROWS / time);
  const written = [anchor, parallel, bunnydb].flat().map(({ writtenSeconds }) => writtenSeconds);
  const base = perSecond(anchor);
  const peaks = bunnydb.flatMap(({ peakMb }) => peakMb ?? []);
  const hasPeaks = peaks.length > 0;
  return {
    title: `memory: one transaction of ${formatNumber(ROWS, 0)} inserts`,
    figures: [
      { label: 'source: the transaction itself', unit: 's', values: written },
      {
        label: 'native, streaming off (anchor): applied after',
        unit: 's',
        values: seconds(anchor),
      },
      { label: 'native, streaming off (anchor)', unit: 'rows/s', values: base },
      { label: 'native, streaming parallel: applied after', unit: 's', values: seconds(parallel) },
      {
        label: 'native, streaming parallel',
        unit: 'rows/s',
        values: perSecond(parallel),
        anchor: base,
      },
      { label: 'bunnydb: applied after', unit: 's', values: seconds(bunnydb) },
      { label: 'bunnydb', unit: 'rows/s', values: perSecond(bunnydb), anchor: base },
      ...(hasPeaks ? [{ label: 'bunnydb: peak memory', unit: 'MB', values: peaks } as const] : []),
    ],
    remarks: [
      'applied after: from the commit at the source until the rows are seen at the destination',
      "native is PostgreSQL's own logical replication; parallel applies while the transaction runs, the other two begin at its commit",
      ...(hasPeaks ? [] : ['no figure for the memory: no /proc here']),
    ],
    ...(hasPeaks ? { verdict: atMost('peak memory', peaks, LIMIT_MB) } : {}),
  };
}
