/** What one giant transaction costs: the daemon's peak memory, and the time until it is applied. */
import { peakMemoryMb } from './machine.ts';
import { BenchMirror } from './mirror.ts';
import { atMost, formatNumber, type Section } from './report.ts';
import { type BenchContext, reached, settle } from './servers.ts';
import { Subscription } from './subscription.ts';

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
  /** From the commit at the source until the rows are seen at the destination. */
  readonly appliedSeconds: number;
  /** Undefined where there is no /proc, and for the anchor, which has no process of its own. */
  readonly peakMb: number | undefined;
}

/** One section, with a verdict. */
export async function benchMemory(context: BenchContext): Promise<Section[]> {
  const { source, runs, say } = context;
  const anchors: Giant[] = [];
  const ours: Giant[] = [];
  for (let run = 1; run <= runs; run += 1) {
    for (const { apply, results } of [
      { apply: applyByAnchor, results: anchors },
      { apply: applyByMirror, results: ours },
    ]) {
      const database = await source.createDatabase();
      await source.query(database, EVENTS.create);
      results.push(await apply(context, database));
      await source.dropDatabase(database);
    }
    const seconds = [anchors, ours].map((giants) => giants.at(-1)?.appliedSeconds.toFixed(1));
    say(
      `memory, run ${run} of ${runs}: applied by PostgreSQL's own in ${seconds[0]} s, by bunnydb in ${seconds[1]} s`,
    );
  }
  return [sectionOf(anchors, ours)];
}

async function applyByAnchor(context: BenchContext, database: string): Promise<Giant> {
  await using subscription = await Subscription.create(context, database, EVENTS);
  const appliedSeconds = await writeGiant(context, database, subscription.database);
  return { appliedSeconds, peakMb: undefined };
}

async function applyByMirror(context: BenchContext, database: string): Promise<Giant> {
  await using mirror = await BenchMirror.create(context, database, EVENTS.names);
  const daemon = await mirror.startLive();
  const appliedSeconds = await writeGiant(context, database, mirror.database);
  await daemon.assertRunning();
  return { appliedSeconds, peakMb: await peakMemoryMb(daemon.pid) };
}

/** Returns the seconds from its commit until all of it is there. */
async function writeGiant(
  context: BenchContext,
  source: string,
  destination: string,
): Promise<number> {
  await settle(context);
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
  return appliedSeconds;
}

function sectionOf(anchors: readonly Giant[], ours: readonly Giant[]): Section {
  const seconds = (giants: readonly Giant[]): number[] =>
    giants.map(({ appliedSeconds }) => appliedSeconds);
  const perSecond = (giants: readonly Giant[]): number[] =>
    seconds(giants).map((time) => ROWS / time);
  const peaks = ours.flatMap(({ peakMb }) => peakMb ?? []);
  const hasPeaks = peaks.length > 0;
  return {
    title: `memory: one transaction of ${formatNumber(ROWS, 0)} inserts`,
    figures: [
      { label: 'native (anchor): applied after', unit: 's', values: seconds(anchors) },
      { label: 'native (anchor)', unit: 'rows/s', values: perSecond(anchors) },
      { label: 'bunnydb: applied after', unit: 's', values: seconds(ours) },
      { label: 'bunnydb', unit: 'rows/s', values: perSecond(ours), anchor: perSecond(anchors) },
      ...(hasPeaks ? [{ label: 'bunnydb: peak memory', unit: 'MB', values: peaks } as const] : []),
    ],
    remarks: [
      'from the commit at the source until the rows are seen at the destination',
      "the anchor is PostgreSQL's own logical replication with its defaults: from 16 on it may apply while the transaction runs",
      ...(hasPeaks ? [] : ['no figure for the memory: no /proc here']),
    ],
    ...(hasPeaks ? { verdict: atMost('peak memory', peaks, LIMIT_MB) } : {}),
  };
}
