/** A soak: everything that happens in a mirror's life, at random, and then everything must be right. */
import assert from 'node:assert/strict';
import { copyFile, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { leftovers, slotCount } from '../mirror/leftovers.ts';
import { TestMirror } from '../mirror/test-mirror.ts';
import type { Daemon } from '../servers/daemon.ts';
import type { SharedClusters } from '../servers/shared.ts';
import { Applications } from './applications.ts';
import { MirrorFile, type Strategy } from './mirror-file.ts';
import { Random } from './random.ts';
import { Readers } from './readers.ts';
import { SETUP, SETUP_DESTINATION, SOAK_TABLES, type SoakTable } from './shop.ts';

export interface SoakOptions {
  readonly clusters: SharedClusters;
  readonly seed: number;
  readonly milliseconds: number;
  /** A line for each event. */
  readonly say: (line: string) => void;
}

export type Summary = Readonly<Record<string, number>>;

const STRATEGIES: readonly Strategy[] = ['truncate', 'swap'];

const EVENTS = {
  bump: 40,
  'bump all': 4,
  unbump: 8,
  suspend: 6,
  'kill -9': 14,
  SIGTERM: 8,
  'long reader': 10,
  compare: 6,
} as const;

type EventName = keyof typeof EVENTS;

/** Throws when something is not as it must be; the daemon's log is kept then, and the error says where. */
export async function runSoak(options: SoakOptions): Promise<Summary> {
  await using mirror = await TestMirror.create(options.clusters, SETUP);
  await using soak = new Soak(mirror, options);
  try {
    await soak.begin();
    await soak.run();
    return await soak.end();
  } catch (error) {
    const kept = join(tmpdir(), `bunnydb-soak-${options.seed}.log`);
    await copyFile(mirror.log, kept);
    throw new Error(`seed ${options.seed}: the soak failed; the daemons' log is in ${kept}`, {
      cause: error,
    });
  }
}

class Soak implements AsyncDisposable {
  readonly #mirror: TestMirror;
  readonly #options: SoakOptions;
  readonly #random: Random;
  readonly #file: MirrorFile;
  readonly #applications: Applications;
  readonly #readers: Readers;
  readonly #startMs = performance.now();
  readonly #counts = new Map<string, number>();
  readonly #failed = new AbortController();
  readonly #held = new Set<Promise<void>>();
  #daemon: Daemon | undefined;

  constructor(mirror: TestMirror, options: SoakOptions) {
    const random = new Random(options.seed);
    this.#mirror = mirror;
    this.#options = options;
    this.#random = random.fork('events');
    this.#file = new MirrorFile(mirror, 'truncate');
    this.#applications = new Applications(mirror.source, random);
    this.#readers = new Readers(mirror, random);
  }

  /** From nothing to a mirror that is Ready, with readers and writers on it. */
  async begin(): Promise<void> {
    await this.#file.write();
    await this.#startDaemon();
    await this.#mirror.waitReady();
    await this.#mirror.atDestination(SETUP_DESTINATION);
    this.#applications.start(this.#fail);
    this.#readers.start(this.#fail);
    this.#say('ready; applications and readers begin');
  }

  async run(): Promise<void> {
    const { milliseconds } = this.#options;
    const endMs = performance.now() + milliseconds;
    while (performance.now() < endMs) {
      await this.#pause(this.#random.between(100, 2_500));
      await this.#happen(this.#random.weighted(EVENTS));
    }
  }

  /** Everything again, with nobody writing. */
  async end(): Promise<Summary> {
    await this.#compare();
    await this.#mirror.assertNothingToDo();
    const log = await this.#mirror.readLog();
    return {
      ...Object.fromEntries(this.#counts),
      commits: this.#applications.commits,
      'given up': this.#applications.givenUp,
      deadlocks: this.#applications.deadlocks,
      copies: log.match(/"msg":"table is live"/g)?.length ?? 0,
      'copies that failed': log.match(/"msg":"copy failed"/g)?.length ?? 0,
      reads: this.#readers.reads,
      'reads of a table emptied by truncate': this.#readers.emptyByDesign,
      'longest read (ms)': Math.round(this.#readers.longestMs),
      seconds: Math.round((performance.now() - this.#startMs) / 1000),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#applications.stop();
    await this.#readers[Symbol.asyncDispose]();
    await Promise.allSettled(this.#held);
  }

  readonly #fail = (error: unknown): void => this.#failed.abort(error);

  async #happen(event: EventName): Promise<void> {
    this.#failed.signal.throwIfAborted();
    await this.#daemon?.assertRunning();
    this.#counts.set(event, (this.#counts.get(event) ?? 0) + 1);
    switch (event) {
      case 'bump':
        return this.#bump();
      case 'bump all':
        this.#file.bumpAll();
        return this.#written('every table is bumped');
      case 'unbump': {
        const table = this.#random.pick(SOAK_TABLES);
        this.#file.unbump(table);
        return this.#written(`${table.name} goes back by one`);
      }
      case 'suspend':
        return this.#suspend(this.#random.between(200, 2_000));
      case 'kill -9':
      case 'SIGTERM':
        return this.#restart(event, this.#random.between(0, 800));
      case 'long reader':
        return this.#holdOn(this.#random.pick(SOAK_TABLES), this.#random.between(500, 4_000));
      case 'compare':
        await this.#compare();
        this.#applications.start(this.#fail);
    }
  }

  async #bump(): Promise<void> {
    const tables = this.#random.some(SOAK_TABLES, this.#random.between(1, 3));
    const settled = await this.#settled();
    const said: string[] = [];
    for (const table of tables) {
      const strategy = this.#random.pick(STRATEGIES);
      // In the middle of a truncate it stays one: a swap from there would show readers a table that is half there.
      if (settled.has(table.name)) this.#file.setStrategy(table, strategy);
      this.#file.bump(table);
      said.push(`${table.name} (${this.#file.strategyOf(table)})`);
    }
    await this.#written(`bumped: ${said.join(', ')}`);
  }

  /** Tables that no resync runs for or will. */
  async #settled(): Promise<ReadonlySet<string>> {
    const rows = await this.#mirror.atDestination(
      `select source_name as name, observed_table_generation as "table", observed_mirror_generation as mirror
       from bunnydb.tables where state ->> 'phase' = 'Live'`,
    );
    const done = rows.filter(({ name, table, mirror }) =>
      this.#file.isReached(name ?? '', Number(table), Number(mirror)),
    );
    return new Set(done.map(({ name }) => name ?? ''));
  }

  async #written(line: string): Promise<void> {
    await this.#file.write();
    this.#say(line);
  }

  async #suspend(milliseconds: number): Promise<void> {
    this.#file.suspended = true;
    await this.#written(`suspended for ${milliseconds} ms`);
    await this.#pause(milliseconds);
    this.#file.suspended = false;
    await this.#written('resumed');
  }

  async #restart(signal: 'kill -9' | 'SIGTERM', downMs: number): Promise<void> {
    this.#say(`${signal}; the next daemon starts in ${downMs} ms`);
    if (signal === 'SIGTERM') await this.#mirror.stop();
    else await this.#mirror.kill();
    await this.#pause(downMs);
    await this.#startDaemon();
  }

  async #holdOn(table: SoakTable, milliseconds: number): Promise<void> {
    this.#say(`a reader holds on to ${table.name} for ${milliseconds} ms`);
    const holding = this.#readers.holdOn(table, milliseconds).catch(this.#fail);
    this.#held.add(holding);
    void holding.finally(() => this.#held.delete(holding));
  }

  /** Applications pause; both ends are the same, and nothing is left over of any resync. */
  async #compare(): Promise<void> {
    const mirror = this.#mirror;
    await mirror.waitReady();
    await this.#applications.stop();
    this.#failed.signal.throwIfAborted();
    await mirror.caughtUp();
    await mirror.assertSame(SOAK_TABLES.map(({ sql }) => sql));
    const [history] = await mirror.atDestination('select count(*) - 1 as rows from history');
    assert.equal(Number(history?.['rows']), this.#applications.commits, 'commits are there once');
    assert.deepEqual(
      await mirror.atDestination('select accounts, balance from account_totals'),
      await mirror.atSource('select count(*) as accounts, sum(balance) as balance from accounts'),
      'the view reads the table that the stream writes',
    );
    assert.deepEqual(await leftovers(mirror), []);
    assert.equal(await slotCount(mirror), 1);
    await this.#assertStatusValid();
    this.#say(`compared: the same at both ends after ${this.#applications.commits} commits`);
  }

  async #assertStatusValid(): Promise<void> {
    const url = new URL('../../schemas/status.schema.json', import.meta.url);
    const schema = JSON.parse(await readFile(url, 'utf8')) as object;
    const validate = new Ajv2020({ allErrors: true, formats: { 'date-time': true } }).compile(
      schema,
    );
    const status = await this.#mirror.status();
    assert.ok(validate(status), JSON.stringify(validate.errors));
  }

  async #startDaemon(): Promise<void> {
    this.#daemon = await this.#mirror.start();
  }

  async #pause(milliseconds: number): Promise<void> {
    // What no actor may see ends the soak at once.
    const { signal } = this.#failed;
    await delay(milliseconds, undefined, { signal }).catch(() => signal.throwIfAborted());
  }

  #say(line: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1).padStart(7);
    this.#options.say(`${seconds} s  ${line}`);
  }
}
