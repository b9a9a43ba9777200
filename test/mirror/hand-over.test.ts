/** Mirrors spread over the daemons that are there, each moves once, and their streams hardly notice. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { stringify } from 'yaml';
import { readStatus } from '../../src/status/read-status.ts';
import { isReady } from '../../src/status/status.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { epochsAt, ownersAt, standbys, startBeside } from './beside.ts';
import { TestMirror } from './test-mirror.ts';

const COUNT = 12;
const NAMES = Array.from({ length: COUNT }, (_, index) => `t${index}`);
/** Longer than from one beat of an owner to the next: whoever still wants to move has moved. */
const SETTLED_MS = 7_000;
const TIMEOUT_MS = 120_000;

/** One mirror for each table. */
async function writeMirrors(mirror: TestMirror): Promise<void> {
  for (const table of NAMES)
    await writeFile(
      join(mirror.mirrorDirectory, `${table}.yaml`),
      stringify({
        apiVersion: 'bunnydb/v1',
        kind: 'Mirror',
        metadata: { name: `${mirror.name}_${table}` },
        spec: {
          source: mirror.sourceEndpoint(),
          destination: mirror.destinationEndpoint(),
          tables: [{ source: `public.${table}` }],
        },
      }),
    );
}

async function allReady(mirror: TestMirror): Promise<boolean> {
  const statuses = NAMES.map(async (table) =>
    readStatus(mirror.statusDirectory, `${mirror.name}_${table}`),
  );
  return (await Promise.all(statuses)).every((one) => one !== undefined && isReady(one));
}

/** A row for each table every 100 ms; tells how long the slowest row took to arrive. */
class Ticker {
  #slowestMs = 0;
  readonly #stopping = new AbortController();
  readonly #running: Promise<void>;

  constructor(mirror: TestMirror) {
    this.#running = this.#run(mirror);
  }

  async #run(mirror: TestMirror): Promise<void> {
    const columns = NAMES.map((table) => `(select max(at) from ${table}) as ${table}`).join(', ');
    while (!this.#stopping.signal.aborted) {
      const rows = NAMES.map((table) => `insert into ${table} values (clock_timestamp())`);
      await mirror.atSource(rows.join(';'));
      const [last] = await mirror.atDestination(
        `select extract(epoch from clock_timestamp() - least(${NAMES.join(', ')})) * 1000 as ms from (select ${columns}) t`,
      );
      this.#slowestMs = Math.max(this.#slowestMs, Number(last?.['ms'] ?? 0));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async stop(): Promise<number> {
    this.#stopping.abort();
    await this.#running;
    return this.#slowestMs;
  }
}

test('mirrors spread over two daemons and stay; those of one that leaves move, and no other', async (t) => {
  const setup = NAMES.map((name) => `create table ${name} (at timestamptz primary key)`).join(';');
  await using mirror = await TestMirror.create(await sharedClusters(), setup);
  await writeMirrors(mirror);
  await using first = await startBeside(mirror, 'first');
  const late = async (): Promise<Error> => new Error(await first.readLog());
  await until(async () => allReady(mirror), { timeoutMs: TIMEOUT_MS, late });
  const begun = await epochsAt(mirror);
  const alone = new Set((await ownersAt(mirror)).values());
  assert.equal(alone.size, 1);

  const ticker = new Ticker(mirror);
  await using second = await startBeside(mirror, 'second');
  let homes = '';
  let sinceMs = performance.now();
  const isSettled = async (): Promise<boolean> => {
    const now = await ownersAt(mirror);
    const text = [...now].join(' ');
    if (now.size < COUNT || new Set(now.values()).size < 2 || text !== homes)
      sinceMs = performance.now();
    homes = text;
    return performance.now() - sinceMs > SETTLED_MS;
  };
  await until(isSettled, { timeoutMs: TIMEOUT_MS, late });
  t.diagnostic(`the slowest row took ${Math.round(await ticker.stop())} ms`);
  const spread = await ownersAt(mirror);
  const moved = await epochsAt(mirror);
  for (const [name, owner] of spread)
    assert.equal(
      (moved.get(name) ?? 0) - (begun.get(name) ?? 0),
      alone.has(owner) ? 0 : 1,
      `${name} moved once, or stayed`,
    );
  const share = [...spread.values()].filter((owner) => !alone.has(owner)).length;
  t.diagnostic(`${share} of ${COUNT} moved`);
  await standbys(mirror, COUNT);

  second.daemon.signal('SIGTERM');
  await second.daemon.ended();
  const isWhole = async (): Promise<boolean> =>
    (await ownersAt(mirror)).size === COUNT && (await allReady(mirror));
  await until(isWhole, { timeoutMs: TIMEOUT_MS, late });
  assert.deepEqual(new Set((await ownersAt(mirror)).values()), alone);
  for (const [name, epoch] of await epochsAt(mirror))
    assert.equal(
      epoch - (moved.get(name) ?? 0),
      alone.has(spread.get(name) ?? '') ? 0 : 1,
      `${name} moved if it was the other's`,
    );
  const sum = `select ${NAMES.map((name) => `(select count(*) from ${name})`).join(' + ')} as n`;
  const [expected] = await mirror.atSource(sum);
  const isSame = async (): Promise<boolean> =>
    (await mirror.atDestination(sum))[0]?.['n'] === expected?.['n'];
  await until(isSame, { timeoutMs: TIMEOUT_MS, late });
  await mirror.assertSame(NAMES);
});
