/** How far the destination is behind under a steady load: bunnydb, and PostgreSQL's own replication, in turn. */
import { LOAD_TABLES, type LoadResult, runLoad } from './load.ts';
import { cpuSeconds } from './machine.ts';
import { BenchMirror } from './mirror.ts';
import { type Figure, formatNumber, percentile, type Section } from './report.ts';
import { type BenchContext, reached, settle, withSource } from './servers.ts';
import { Subscription } from './subscription.ts';

const TRANSACTIONS_PER_SECOND = 500;
const SECONDS = 20;
const WARM_UP_SECONDS = 2;

interface Lag extends LoadResult {
  /** Of one core; undefined where there is no /proc, and for the anchor, which has no process of its own. */
  readonly cpuPercent: number | undefined;
}

/** One section. */
export async function benchLag(context: BenchContext): Promise<Section[]> {
  const anchors: Lag[] = [];
  const ours: Lag[] = [];
  for (let run = 1; run <= context.runs; run += 1) {
    const [anchor, lag] = [
      await withSource(context, LOAD_TABLES, lagOfAnchor),
      await withSource(context, LOAD_TABLES, lagOfMirror),
    ];
    anchors.push(anchor);
    ours.push(lag);
    const p50 = [anchor, lag].map(({ latenciesMs }) => percentile(latenciesMs, 0.5).toFixed(1));
    context.say(
      `lag, run ${run} of ${context.runs}: p50 ${p50[0]} ms of PostgreSQL's own, ${p50[1]} ms of bunnydb`,
    );
  }
  return [sectionOf(anchors, ours)];
}

async function lagOfAnchor(context: BenchContext, database: string): Promise<Lag> {
  await using subscription = await Subscription.create(context, database, {
    ...LOAD_TABLES,
    streaming: 'parallel',
  });
  return await measure(
    context,
    { source: database, destination: subscription.database },
    undefined,
  );
}

async function lagOfMirror(context: BenchContext, database: string): Promise<Lag> {
  await using mirror = await BenchMirror.create(context, database, LOAD_TABLES.names);
  const daemon = await mirror.startLive();
  return await measure(context, { source: database, destination: mirror.database }, daemon.pid);
}

interface Databases {
  readonly source: string;
  readonly destination: string;
}

async function measure(
  context: BenchContext,
  databases: Databases,
  pid: number | undefined,
): Promise<Lag> {
  await settle(context);
  const clock = new CpuClock(pid);
  const result = await runLoad({
    source: { cluster: context.source, database: databases.source },
    destination: { cluster: context.destination, database: databases.destination },
    perSecond: TRANSACTIONS_PER_SECOND,
    seconds: SECONDS,
    warmUpSeconds: WARM_UP_SECONDS,
    onWarm: async () => clock.start(),
    onWritten: async () => clock.stop(),
    signal: context.signal,
  });
  await assertSame(context, databases);
  return { ...result, cpuPercent: clock.percent };
}

/** The processor time of a process over a while. */
class CpuClock {
  readonly #pid: number | undefined;
  #started: { readonly cpu: number; readonly atMs: number } | undefined;
  percent: number | undefined;

  constructor(pid: number | undefined) {
    this.#pid = pid;
  }

  async start(): Promise<void> {
    const cpu = this.#pid === undefined ? undefined : await cpuSeconds(this.#pid);
    this.#started = cpu === undefined ? undefined : { cpu, atMs: performance.now() };
  }

  async stop(): Promise<void> {
    if (this.#pid === undefined || this.#started === undefined) return;
    const cpu = await cpuSeconds(this.#pid);
    const seconds = (performance.now() - this.#started.atMs) / 1000;
    this.percent = cpu === undefined ? undefined : (100 * (cpu - this.#started.cpu)) / seconds;
  }
}

/** Every transaction has arrived, once. */
async function assertSame(context: BenchContext, databases: Databases): Promise<void> {
  const sums = `
    select (select count(*) from history), (select sum(delta) from history), (select sum(balance) from accounts),
      (select sum(balance) from tellers), (select sum(balance) from branches)`;
  const wanted = JSON.stringify(await context.source.query(databases.source, sums));
  await reached(context, `the same sums at both ends, ${wanted}`, async () => {
    const found = await context.destination.query(databases.destination, sums);
    return JSON.stringify(found) === wanted;
  });
}

const PERCENTILES = { p50: 0.5, p99: 0.99, max: 1 } as const;

function sectionOf(anchors: readonly Lag[], ours: readonly Lag[]): Section {
  const shareOf = (lags: readonly Lag[], share: number): number[] =>
    lags.map(({ latenciesMs }) => percentile(latenciesMs, share));
  const shares = Object.entries(PERCENTILES);
  const samples = formatNumber(ours[0]?.latenciesMs.length ?? 0, 0);
  const cpu = ours.flatMap(({ cpuPercent }) => cpuPercent ?? []);
  const rate = (lags: readonly Lag[]): number[] => lags.map(({ perSecond }) => perSecond);
  return {
    title: `lag at ${TRANSACTIONS_PER_SECOND} transactions/s for ${SECONDS} s, four changes each; ${samples} sampled`,
    figures: [
      ...shares.map(([name, share]): Figure => ({
        label: `native (anchor): ${name}`,
        unit: 'ms',
        values: shareOf(anchors, share),
      })),
      ...shares.map(([name, share]): Figure => ({
        label: `bunnydb: ${name}`,
        unit: 'ms',
        values: shareOf(ours, share),
        anchor: shareOf(anchors, share),
      })),
      ...(cpu.length > 0
        ? [{ label: 'bunnydb: CPU, of one core', unit: '%', values: cpu } as const]
        : []),
      { label: 'writer: pace reached', unit: 'tx/s', values: [...rate(anchors), ...rate(ours)] },
    ],
    remarks: [
      'from the commit, as its writer learns of it, until a session at the destination sees the row; looked for each ms',
      "the anchor is PostgreSQL's own logical replication, with synchronous_commit = on as bunnydb has it; less than 1x is faster",
      ...(cpu.length > 0 ? [] : ['no figure for the CPU: no /proc here']),
    ],
  };
}
