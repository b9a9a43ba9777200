/** What a daemon with many quiet mirrors costs. */
import { ManyMirrors } from '../mirror/many.ts';
import { cpuSeconds, memoryMb } from './machine.ts';
import type { Figure, Section } from './report.ts';
import type { BenchContext } from './servers.ts';

const MIRRORS = 100;
const IDLE_SECONDS = 60;
const BUMPS = 5;

interface Measured {
  readonly readySeconds: number;
  readonly bumpMs: readonly number[];
  /** Undefined where there is no /proc. */
  readonly idle: { readonly cpuPercent: number; readonly megabytes: number } | undefined;
}

/** On servers of its own: a hundred slots need other settings. */
export async function benchMany({ runs, signal, say }: BenchContext): Promise<Section[]> {
  const results: Measured[] = [];
  for (let run = 1; run <= runs; run += 1) {
    results.push(await measure(signal));
    say(`many, run ${run} of ${runs}: done`);
  }
  return [sectionOf(results)];
}

async function measure(signal: AbortSignal): Promise<Measured> {
  await using many = await ManyMirrors.create(MIRRORS);
  const startedMs = performance.now();
  const daemon = await many.start();
  await many.allReady();
  const readySeconds = (performance.now() - startedMs) / 1000;
  const bumpMs: number[] = [];
  for (let bump = 1; bump <= BUMPS; bump += 1) {
    signal.throwIfAborted();
    bumpMs.push(await many.bump('many_42', bump));
    await many.allReady();
  }
  const before = await cpuSeconds(daemon.pid);
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
  const after = await cpuSeconds(daemon.pid);
  const megabytes = await memoryMb(daemon.pid);
  await daemon.assertRunning();
  if (before === undefined || after === undefined || megabytes === undefined)
    return { readySeconds, bumpMs, idle: undefined };
  const cpuPercent = (100 * (after - before)) / IDLE_SECONDS;
  return { readySeconds, bumpMs, idle: { cpuPercent, megabytes } };
}

function sectionOf(results: readonly Measured[]): Section {
  const idle = results.flatMap((one) => one.idle ?? []);
  const costs: Figure[] = [
    {
      label: 'idle: processor of the daemon',
      unit: '%',
      values: idle.map((one) => one.cpuPercent),
    },
    { label: 'idle: memory of the daemon', unit: 'MB', values: idle.map((one) => one.megabytes) },
  ];
  return {
    title: `many: ${MIRRORS} mirrors of one small table each, one daemon`,
    figures: [
      {
        label: 'start until all are Ready',
        unit: 's',
        values: results.map((one) => one.readySeconds),
      },
      {
        label: 'a bump until its copy begins',
        unit: 'ms',
        values: results.flatMap((one) => one.bumpMs),
      },
      ...(idle.length > 0 ? costs : []),
    ],
    remarks: [
      `idle: ${IDLE_SECONDS} s in which nothing is written; of one core`,
      'no anchor: PostgreSQL has no daemon of this kind',
    ],
  };
}
