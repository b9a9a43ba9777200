/** The copies and comparisons of one mirror that run beside its loop: which, how many at once, and what became of them. */
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { CopyProgress } from '../../copy/copy-table.ts';
import type { Clock } from '../../core/clock.ts';
import { classify } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { MaintenanceWindow, Mirror, MirrorTable, ResyncStrategy } from '../../core/mirror.ts';
import type { Observed } from '../../core/observed.ts';
import { formatTableName, sameTable } from '../../core/table-name.ts';
import { nextTableState, runOf, type CopyRun, type TableFailure } from '../../core/table-state.ts';
import { runCopy, runReplay } from '../../execute/copy-run.ts';
import type { CopyRunOptions, CopyStep } from '../../execute/table-run.ts';
import { runVerify } from '../../execute/verify.ts';
import { writeTableState, type Owner } from '../../postgres/ledger.ts';
import { describeStep } from '../../plan/describe.ts';
import { isHeld, type Plan, type Step } from '../../plan/plan.ts';
import { majorVersion } from '../../plan/server-version.ts';
import { estimate, withCount, type RowCount } from '../../status/rate.ts';
import type { RunView } from '../../status/view.ts';
import type { Follower } from '../../stream/follow.ts';
import type { Failures } from './failures.ts';
import type { Meter } from '../http/meter.ts';

type CopyStepOfPlan = Extract<Step, { kind: 'copy-table' | 'replay-table' | 'verify-table' }>;

interface Run {
  /** Of the copy, in the ledger from its first step on. */
  readonly id: string;
  readonly step: CopyStepOfPlan;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  view: RunView;
  /** Of view.rowsCopied, an estimate, those that are committed. */
  committedRows: number;
  recentRows: readonly RowCount[];
}

export interface CopiesOptions {
  readonly owner: Owner;
  readonly follower: Follower;
  readonly failures: Failures;
  readonly log: Log;
  readonly clock: Clock;
  readonly meter?: Meter | undefined;
  /** Called when a copy has ended, well or not, or gives its place to another: the next pass should come soon. */
  readonly onLookAgain: () => void;
}

export class Copies {
  readonly #options: CopiesOptions;
  readonly #runs = new Map<string, Run>();
  #windows: readonly MaintenanceWindow[] = [];

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  views(): ReadonlyMap<string, RunView> {
    const nowMs = this.#options.clock.monotonicMs();
    return new Map(
      [...this.#runs].map(([key, { view, recentRows }]) => [
        key,
        { ...view, ...estimate(view, recentRows, nowMs) },
      ]),
    );
  }

  /** Starts what the plan wants, as far as the limits and back-offs allow; stops what it wants otherwise. */
  follow(mirror: Mirror, plan: Plan, observed: Observed): void {
    this.#windows = mirror.maintenanceWindows;
    const copies = plan.steps.filter(
      (step) => step.kind === 'copy-table' || step.kind === 'replay-table',
    );
    // Rows that are missing come before the proof that none is.
    const wanted = [...copies, ...plan.steps.filter((step) => step.kind === 'verify-table')];
    for (const [key, run] of this.#runs) {
      const now = wanted.find(({ table }) => formatTableName(table.source) === key);
      const isListed = mirror.tables.some(({ source }) => formatTableName(source) === key);
      const isOther = now !== undefined && !this.#isSameRun(run, now);
      if (!isListed || isOther || this.#isTakenBack(run, now)) run.stop.abort();
      // It has begun since the look: whether it is still wanted is for the next plan.
      else if (now === undefined && !this.#isAsObserved(run.step, observed))
        this.#options.onLookAgain();
    }
    for (const step of wanted) {
      const key = formatTableName(step.table.source);
      if (this.#busy() >= mirror.snapshot.tablesInParallel) return;
      if (this.#runs.has(key) || this.#options.failures.waitMs(key) > 0 || isHeld(step)) continue;
      if (!this.#isAsObserved(step, observed)) {
        this.#options.onLookAgain();
        continue;
      }
      this.#start(mirror, step, observed);
    }
  }

  /** Cuts all of them off; returns when they are gone. Their tables are taken up again by a later plan. */
  async stop(): Promise<void> {
    for (const { stop } of this.#runs.values()) stop.abort();
    await Promise.all([...this.#runs.values()].map(async ({ ended }) => ended));
  }

  /** Cuts one table's off, if there is one; returns when it is gone. */
  async stopOne(key: string): Promise<void> {
    const run = this.#runs.get(key);
    run?.stop.abort();
    await run?.ended;
  }

  /** Those that take a place. A shadow that only waits for its table's lock may do so for hours. */
  #busy(): number {
    return [...this.#runs.values()].filter(
      ({ view }) => view.step !== 'HandingOver' || view.waitsFor === undefined,
    ).length;
  }

  isRunning(key: string): boolean {
    return this.#runs.has(key);
  }

  /** A run for another generation than the file's newest, or of other columns, has to start again. */
  #isSameRun(run: Run, wanted: CopyStepOfPlan): boolean {
    const { step } = run;
    if (step.kind === 'verify-table') return wanted.kind === 'verify-table';
    if (!sameColumns(step.table.excludeColumns, wanted.table.excludeColumns)) return false;
    if (step.kind === 'copy-table' && !this.#hasBegun(run))
      return wanted.kind === 'copy-table' && isSameAim(step, wanted);
    if (wanted.kind !== 'copy-table') return true;
    // What it is for may have been taken back since it started.
    const record = this.#options.follower.recordOf(step.table.source);
    const begun = step.kind === 'copy-table' ? step.generation : undefined;
    return isDeepStrictEqual((record && runOf(record))?.generation ?? begun, wanted.generation);
  }

  /** It waits to begin, and is not to begin any more, or not now. */
  #isTakenBack(run: Run, wanted: CopyStepOfPlan | undefined): boolean {
    if (run.step.kind !== 'copy-table' || this.#hasBegun(run)) return false;
    return wanted === undefined || isHeld(wanted);
  }

  /** The ledger has it, or had it. */
  #hasBegun({ id, step, view }: Run): boolean {
    if (view.step !== 'Waiting' && view.step !== 'Preparing') return true;
    const record = this.#options.follower.recordOf(step.table.source);
    return record !== undefined && runOf(record)?.id === id;
  }

  /** A run that ended between the look and now has made the plan's step a thing of the past. */
  #isAsObserved({ table }: CopyStepOfPlan, observed: Observed): boolean {
    const seen = observed.ledger.tables.find(({ source }) => sameTable(source, table.source));
    const now = this.#options.follower.recordOf(table.source);
    if (seen === undefined || now === undefined) return true;
    // By way of JSON, which is what the ledger keeps: an absent field and an undefined one are the same.
    const [then, kept] = [seen, now].map(
      ({ state, observed: done, verification, excludeColumns, staleColumns }): unknown =>
        JSON.parse(JSON.stringify([state, done, verification, excludeColumns, staleColumns])),
    );
    return isDeepStrictEqual(then, kept);
  }

  #start(mirror: Mirror, step: CopyStepOfPlan, observed: Observed): void {
    const key = formatTableName(step.table.source);
    const stop = new AbortController();
    const id = randomUUID();
    const startedAt = this.#options.clock.now().toISOString();
    const strategy = this.#strategyOf(step);
    const run: Run = {
      id,
      step,
      stop,
      view: {
        strategy,
        step: step.kind === 'verify-table' ? 'Verifying' : 'Waiting',
        startedAt,
        rowsCopied: 0,
        rowsTotal: 0,
        bytesCopied: 0,
      },
      committedRows: 0,
      recentRows: [],
      ended: this.#run(mirror, step, { id, observed, signal: stop.signal, startedAt })
        .then(() => this.#options.failures.clear(key))
        .catch(async (error: unknown) => this.#failed(step.table, stop.signal, error))
        .then(() => {
          this.#runs.delete(key);
          this.#options.onLookAgain();
        }),
    };
    this.#runs.set(key, run);
  }

  #strategyOf(step: CopyStepOfPlan): ResyncStrategy {
    if (step.kind === 'copy-table') return step.strategy;
    const state = this.#options.follower.recordOf(step.table.source)?.state;
    return (state && 'run' in state && state.run?.strategy) || 'truncate';
  }

  async #run(
    mirror: Mirror,
    step: CopyStepOfPlan,
    how: Pick<CopyRun, 'id' | 'startedAt'> & {
      readonly observed: Observed;
      readonly signal: AbortSignal;
    },
  ): Promise<void> {
    // The caller's map must hold the run before its first step is reported.
    await Promise.resolve();
    const { owner, follower, clock } = this.#options;
    const { table } = step;
    const key = formatTableName(table.source);
    const log = this.#options.log.child({ table: key });
    const source = how.observed.tables.find((one) =>
      sameTable(one.source, table.source),
    )?.sourceShape;
    if (!source) throw new Error(`no shape of ${key}`);
    const options: CopyRunOptions = {
      mirror,
      table,
      source,
      sameMajor: majorVersion(how.observed.source) === majorVersion(how.observed.destination),
      owner,
      follower,
      log,
      clock,
      signal: how.signal,
      windows: () => (waitsForWindows(step) ? this.#windows : []),
      onStep: (copyStep) => this.#onStep(key, copyStep, log),
      onProgress: (progress) => this.#onProgress(key, progress),
      onWaiting: (waiting) => {
        const wasWaiting = this.#runs.get(key)?.view.waitsFor !== undefined;
        this.#update(key, waiting);
        // Its place may be free now.
        if (!wasWaiting) this.#options.onLookAgain();
      },
    };
    const isRetry = this.#options.failures.get(key) !== undefined;
    const words = { step: step.kind, what: describeStep(step).text };
    log[isRetry ? 'debug' : 'info'](words, 'step begun');
    if (step.kind === 'verify-table') {
      await runVerify(options);
      return;
    }
    if (step.kind === 'replay-table') await runReplay(options);
    else {
      const { strategy, generation } = step;
      const { excludeColumns } = table;
      const { id, startedAt } = how;
      await runCopy(options, { id, strategy, generation, excludeColumns, startedAt });
    }
    log.info(words, 'table is live');
  }

  #onStep(key: string, step: CopyStep, log: Log): void {
    // A try that follows a failed one takes the same steps again.
    const isRetry = this.#options.failures.get(key) !== undefined;
    log[isRetry ? 'debug' : 'info']({ step }, 'copy step');
    const run = this.#runs.get(key);
    if (run === undefined) return;
    const { waitsFor: _waitsFor, tries: _tries, ...view } = run.view;
    run.view = { ...view, step };
  }

  #onProgress(key: string, { rows, committedRows, bytes, estimatedRows }: CopyProgress): void {
    const { clock, meter, owner } = this.#options;
    this.#update(key, { rowsCopied: rows, bytesCopied: bytes, rowsTotal: estimatedRows });
    const run = this.#runs.get(key);
    if (run === undefined) return;
    run.recentRows = withCount(run.recentRows, { atMs: clock.monotonicMs(), rows });
    meter?.rowsCopied(owner.mirror, key, Math.max(0, committedRows - run.committedRows));
    run.committedRows = committedRows;
  }

  #update(key: string, change: Partial<RunView>): void {
    const run = this.#runs.get(key);
    if (run) run.view = { ...run.view, ...change };
  }

  /** A run that was told to stop leaves its state as it is; any other failure is the table's own. */
  async #failed(table: MirrorTable, signal: AbortSignal, thrown: unknown): Promise<void> {
    if (signal.aborted) return;
    const key = formatTableName(table.source);
    const error = classify(thrown);
    // No trouble of the table's: the next pass finds that the mirror is another's.
    if (error.code === 'NotOwner') return;
    const failure = this.#options.failures.add(key, error);
    // The next pass tells of it, if it is news.
    this.#options.log.debug({ table: key, err: error, code: error.code }, 'copy failed');
    // The stream may be what failed: then the state stays as it was, and that is a state to go on from.
    await this.#recordFailure(table, failure).catch((thrownAgain: unknown) =>
      this.#options.log.debug({ table: key, err: thrownAgain }, 'the failure was not recorded'),
    );
  }

  async #recordFailure(table: MirrorTable, failure: TableFailure): Promise<void> {
    const { follower, owner } = this.#options;
    await follower.atBoundary(async (session) => {
      const record = follower.recordOf(table.source);
      if (!record || record.state.phase === 'Live') return { result: undefined };
      const state = nextTableState(record.state, { type: 'failed', failure });
      await writeTableState(session, owner, record.id, { state });
      return { result: undefined, changed: [{ ...record, state }] };
    });
  }
}

function isSameAim(
  a: Extract<Step, { kind: 'copy-table' }>,
  b: Extract<Step, { kind: 'copy-table' }>,
): boolean {
  return a.strategy === b.strategy && isDeepStrictEqual(a.generation, b.generation);
}

/** What ends a swap does in any case, with what it replaces. */
function waitsForWindows(step: CopyStepOfPlan): boolean {
  return step.kind !== 'copy-table' || step.strategy === 'swap' || step.disturbs;
}

function sameColumns(a: readonly string[], b: readonly string[]): boolean {
  return isDeepStrictEqual(new Set(a), new Set(b));
}
