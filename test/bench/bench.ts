/**
 * `npm run bench`: how fast bunnydb is on this machine, next to an anchor in the same run. Absolute
 * figures are the machine's; only the ratios can be compared from one day to the next.
 */
import { Command, InvalidArgumentError, Option } from 'commander';
import { benchCopy } from './copy.ts';
import { benchLag } from './lag.ts';
import { describeMachine } from './machine.ts';
import { benchMany } from './many.ts';
import { benchMemory } from './memory.ts';
import { renderSection, type Section } from './report.ts';
import { benchResync } from './resync.ts';
import { type BenchContext, startServers } from './servers.ts';

const DEFAULT_RUNS = 3;
const FIGURES = {
  copy: benchCopy,
  lag: benchLag,
  many: benchMany,
  memory: benchMemory,
  resync: benchResync,
} as const;
type FigureName = keyof typeof FIGURES;

interface Options {
  readonly runs: number;
  readonly only?: FigureName;
}

function parseOptions(): Options {
  return new Command('npm run bench --')
    .description(
      'Measures the copy, the lag, many mirrors, the memory and the resync of bunnydb on servers of its own.',
    )
    .addOption(
      new Option('--runs <n>', 'how often each figure is taken')
        .argParser(parseRuns)
        .default(DEFAULT_RUNS),
    )
    .addOption(new Option('--only <figure>', 'one of them').choices(Object.keys(FIGURES)))
    .parse()
    .opts<Options>();
}

function parseRuns(text: string): number {
  const runs = Number(text);
  if (Number.isInteger(runs) && runs > 0) return runs;
  throw new InvalidArgumentError('It is a whole number from 1 on.');
}

/** True when nothing that has a limit went over it. */
async function bench({ runs, only }: Options, signal: AbortSignal): Promise<boolean> {
  const say = (line: string): void => console.error(line);
  say('starting two PostgreSQL servers');
  await using servers = await startServers(signal);
  const context: BenchContext = {
    source: servers.source,
    destination: servers.destination,
    runs,
    signal,
    say,
  };
  console.log(await describeMachine(context));
  const sections: Section[] = [];
  for (const name of Object.keys(FIGURES) as FigureName[]) {
    if (only !== undefined && only !== name) continue;
    const found = await FIGURES[name](context);
    for (const section of found) console.log(renderSection(section));
    sections.push(...found);
  }
  return sections.every(({ verdict }) => verdict?.passed !== false);
}

/** The first signal ends the bench in good order, a second one at once. */
function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(name, () => {
      console.error('ending: daemon, servers');
      controller.abort();
    });
  return controller.signal;
}

const options = parseOptions();
const signal = abortOnSignals();
try {
  process.exitCode = (await bench(options, signal)) ? 0 : 1;
} catch (error) {
  // What fails because everything is being ended is no news.
  if (!signal.aborted) console.error(error);
  process.exitCode = 1;
}
