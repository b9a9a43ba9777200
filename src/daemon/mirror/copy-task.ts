/** One copy, replay or comparison of a table that runs beside the loop: how far it is, and what became of it. */
import { randomUUID } from 'node:crypto';
import type { CopyProgress } from '../../copy/copy-table.ts';
import type { Clock } from '../../core/clock.ts';
import { classify } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { MaintenanceWindow, Mirror, ResyncStrategy } from '../../core/mirror.ts';
import type { Observed } from '../../core/observed.ts';
import { formatTableName, sameTable } from '../../core/table-name.ts';
import {
  nextTableState,
  runOf,
  type TableFailure,
  type TableRecord,
} from '../../core/table-state.ts';
import { runCopy, runReplay } from '../../execute/copy-run.ts';
import type { CopyRunOptions, CopyStep, Waiting } from '../../execute/table-run.ts';
import { runVerify } from '../../execute/verify.ts';
import { describeStep } from '../../plan/describe.ts';
import type { Step } from '../../plan/plan.ts';
import { majorVersion } from '../../plan/server-version.ts';
import { writeTableState, type Owner } from '../../postgres/ledger.ts';
import { estimate, withCount, type RowCount } from '../../status/rate.ts';
import type { RunView } from '../../status/view.ts';
import type { Follower } from '../../stream/follow.ts';
import type { Failures } from './failures.ts';
import type { Meter } from '../http/meter.ts';

export type CopyTaskStep = Extract<Step, { kind: 'copy-table' | 'replay-table' | 'verify-table' }>;

/** What every task of one mirror works with. */
export interface CopyTaskContext {
  readonly owner: Owner;
  readonly follower: Follower;
  readonly failures: Failures;
  readonly log: Log;
  readonly clock: Clock;
  readonly meter?: Meter | undefined;
  /** Called when a task gives its place to another, and when it has ended: the next pass should come soon. */
  readonly onLookAgain: () => void;
}

/** As the pass has them that started the task. */
export interface CopyTaskInput {
  readonly mirror: Mirror;
  readonly step: CopyTaskStep;
  readonly observed: Observed;
  /** Of the newest file. */
  readonly windows: () => readonly MaintenanceWindow[];
}

export class CopyTask {
  readonly step: CopyTaskStep;
  /** Resolves when nothing of it runs any more, whatever became of it. */
  readonly ended: Promise<void>;
  readonly #context: CopyTaskContext;
  readonly #input: CopyTaskInput;
  readonly #stop = new AbortController();
  readonly #key: string;
  /** Of the copy, in the ledger from its first step on. */
  readonly #id = randomUUID();
  readonly #log: Log;
  #view: RunView;
  /** Of #view.rowsCopied, an estimate, those that are committed. */
  #committedRows = 0;
  #recentRows: readonly RowCount[] = [];

  constructor(context: CopyTaskContext, input: CopyTaskInput) {
    const { step } = input;
    this.step = step;
    this.#context = context;
    this.#input = input;
    this.#key = formatTableName(step.table.source);
    this.#log = context.log.child({ table: this.#key });
    this.#view = {
      strategy: this.#strategy(),
      step: step.kind === 'verify-table' ? 'Verifying' : 'Waiting',
      startedAt: context.clock.now().toISOString(),
      rowsCopied: 0,
      rowsTotal: 0,
      bytesCopied: 0,
    };
    this.ended = this.#runToItsEnd();
  }

  get view(): RunView {
    const nowMs = this.#context.clock.monotonicMs();
    return { ...this.#view, ...estimate(this.#view, this.#recentRows, nowMs) };
  }

  /** Cuts it off. Its table is taken up again by a later plan. */
  stop(): void {
    this.#stop.abort();
  }

  /** Whether it keeps others from starting. A shadow that only waits for its table's lock may do so for hours. */
  get takesPlace(): boolean {
    return this.#view.step !== 'HandingOver' || this.#view.waitsFor === undefined;
  }

  /** The ledger has it, or had it. */
  get hasBegun(): boolean {
    if (this.#view.step !== 'Waiting' && this.#view.step !== 'Preparing') return true;
    const record = this.#record();
    return record !== undefined && runOf(record)?.id === this.#id;
  }

  #record(): TableRecord | undefined {
    return this.#context.follower.recordOf(this.step.table.source);
  }

  #strategy(): ResyncStrategy {
    if (this.step.kind === 'copy-table') return this.step.strategy;
    const record = this.#record();
    return (record && runOf(record)?.strategy) ?? 'truncate';
  }

  async #runToItsEnd(): Promise<void> {
    // Whoever made the task must have it before its first step is reported.
    await Promise.resolve();
    try {
      await this.#run();
      this.#context.failures.clear(this.#key);
    } catch (error) {
      await this.#failed(error);
    }
  }

  async #run(): Promise<void> {
    const { step } = this;
    const words = { step: step.kind, what: describeStep(step).text };
    this.#log[this.#isRetry ? 'debug' : 'info'](words, 'step begun');
    const options = this.#options();
    if (step.kind === 'verify-table') {
      await runVerify(options);
      return;
    }
    if (step.kind === 'replay-table') await runReplay(options);
    else {
      const { strategy, generation } = step;
      const { excludeColumns } = step.table;
      const { startedAt } = this.#view;
      await runCopy(options, { id: this.#id, strategy, generation, excludeColumns, startedAt });
    }
    this.#log.info(words, 'table is live');
  }

  #options(): CopyRunOptions {
    const { mirror, step, observed, windows } = this.#input;
    const { owner, follower, clock } = this.#context;
    const { table } = step;
    const look = observed.tables.find((one) => sameTable(one.source, table.source));
    if (!look?.sourceShape) throw new Error(`no shape of ${this.#key}`);
    return {
      mirror,
      table,
      source: look.sourceShape,
      destination: observed.destination,
      sameMajor: majorVersion(observed.source) === majorVersion(observed.destination),
      owner,
      follower,
      log: this.#log,
      clock,
      signal: this.#stop.signal,
      windows: () => (waitsForWindows(step) ? windows() : []),
      onStep: (copyStep) => this.#onStep(copyStep),
      onProgress: (progress) => this.#onProgress(progress),
      onWaiting: (waiting) => this.#onWaiting(waiting),
    };
  }

  /** A try that follows a failed one takes the same steps again. */
  get #isRetry(): boolean {
    return this.#context.failures.get(this.#key) !== undefined;
  }

  #onStep(step: CopyStep): void {
    this.#log[this.#isRetry ? 'debug' : 'info']({ step }, 'copy step');
    const { waitsFor: _waitsFor, tries: _tries, ...view } = this.#view;
    this.#view = { ...view, step };
  }

  #onProgress({ rows, committedRows, bytes, estimatedRows }: CopyProgress): void {
    const { clock, meter, owner } = this.#context;
    this.#view = {
      ...this.#view,
      rowsCopied: rows,
      bytesCopied: bytes,
      rowsTotal: estimatedRows,
    };
    this.#recentRows = withCount(this.#recentRows, { atMs: clock.monotonicMs(), rows });
    meter?.rowsCopied(owner.mirror, this.#key, Math.max(0, committedRows - this.#committedRows));
    this.#committedRows = committedRows;
  }

  #onWaiting(waiting: Waiting): void {
    const wasWaiting = this.#view.waitsFor !== undefined;
    this.#view = { ...this.#view, ...waiting };
    // Its place may be free now.
    if (!wasWaiting) this.#context.onLookAgain();
  }

  /** A task that was told to stop leaves its table's state as it is; any other failure is the table's own. */
  async #failed(thrown: unknown): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const error = classify(thrown);
    // No trouble of the table's: the next pass finds that the mirror is another's.
    if (error.code === 'NotOwner') return;
    const failure = this.#context.failures.add(this.#key, error);
    // The next pass tells of it, if it is news.
    this.#log.debug({ err: error, code: error.code }, 'copy failed');
    // The stream may be what failed: then the state stays as it was, and that is a state to go on from.
    await this.#recordFailure(failure).catch((thrownAgain: unknown) =>
      this.#log.debug({ err: thrownAgain }, 'the failure was not recorded'),
    );
  }

  async #recordFailure(failure: TableFailure): Promise<void> {
    const { follower, owner } = this.#context;
    await follower.atBoundary(async (session) => {
      const record = this.#record();
      if (!record || record.state.phase === 'Live') return { result: undefined };
      const state = nextTableState(record.state, { type: 'failed', failure });
      await writeTableState(session, owner, record.id, { state });
      return { result: undefined, changed: [{ ...record, state }] };
    });
  }
}

/** What ends a swap does in any case, with what it replaces. */
function waitsForWindows(step: CopyTaskStep): boolean {
  return step.kind !== 'copy-table' || step.strategy === 'swap' || step.disturbs;
}
