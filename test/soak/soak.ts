/** `npm run soak -- --minutes 10`: random writers, bumps, kills; at the end nothing is lost, doubled or left over. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { startCluster } from '../servers/cluster.ts';
import { runSoak } from './run-soak.ts';

const DEFAULT_MINUTES = 10;
const SEEDS = 1_000_000;

interface Options {
  readonly minutes: number;
  readonly seed: number;
}

function parseOptions(): Options {
  return new Command('npm run soak --')
    .description('A mirror under random writers, resyncs and kills, on two servers of its own.')
    .addOption(
      new Option('--minutes <n>', 'how long things happen')
        .argParser(positive)
        .default(DEFAULT_MINUTES),
    )
    .addOption(
      new Option('--seed <n>', 'makes the decisions of an earlier soak again')
        .argParser(positive)
        .default(Math.ceil(Math.random() * SEEDS), 'a random one, which is printed'),
    )
    .parse()
    .opts<Options>();
}

function positive(text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('It is a number above 0.');
}

const { minutes, seed } = parseOptions();
console.log(`seed ${seed}, ${minutes} min`);
await using source = await startCluster();
await using destination = await startCluster();
try {
  const summary = await runSoak({
    clusters: { source, destination },
    seed,
    milliseconds: minutes * 60_000,
    say: (line) => console.log(line),
  });
  console.log(`passed, seed ${seed}`);
  for (const [what, count] of Object.entries(summary)) console.log(`  ${what}: ${count}`);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
}
