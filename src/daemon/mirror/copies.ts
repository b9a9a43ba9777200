/** The copies and comparisons of one mirror that run beside its loop: which, how many at once, which have to stop. */
import { isDeepStrictEqual } from 'node:util';
import type { MaintenanceWindow, Mirror } from '../../core/mirror.ts';
import type { Observed } from '../../core/observed.ts';
import { formatTableName, sameTable } from '../../core/table-name.ts';
import { runOf } from '../../core/table-state.ts';
import { isHeld, type Plan, type Step } from '../../plan/plan.ts';
import type { RunView } from '../../status/view.ts';
import { CopyTask, type CopyTaskContext, type CopyTaskStep } from './copy-task.ts';

export class Copies {
  readonly #context: CopyTaskContext;
  readonly #tasks = new Map<string, CopyTask>();
  #windows: readonly MaintenanceWindow[] = [];

  constructor(context: CopyTaskContext) {
    this.#context = context;
  }

  views(): ReadonlyMap<string, RunView> {
    return new Map([...this.#tasks].map(([key, { view }]) => [key, view]));
  }

  isRunning(key: string): boolean {
    return this.#tasks.has(key);
  }

  /** Starts what the plan wants, as far as the limits and back-offs allow; stops what it wants otherwise. */
  follow(mirror: Mirror, plan: Plan, observed: Observed): void {
    this.#windows = mirror.maintenanceWindows;
    const copies = plan.steps.filter(
      (step) => step.kind === 'copy-table' || step.kind === 'replay-table',
    );
    // Rows that are missing come before the proof that none is.
    const wanted = [...copies, ...plan.steps.filter((step) => step.kind === 'verify-table')];
    for (const [key, task] of this.#tasks) {
      const now = wanted.find(({ table }) => formatTableName(table.source) === key);
      const isListed = mirror.tables.some(({ source }) => formatTableName(source) === key);
      const isOther = now !== undefined && !this.#isSameTask(task, now);
      if (!isListed || isOther || isTakenBack(task, now)) task.stop();
      // It has begun since the look: whether it is still wanted is for the next plan.
      else if (now === undefined && !this.#isAsObserved(task.step, observed))
        this.#context.onLookAgain();
    }
    for (const step of wanted) {
      const key = formatTableName(step.table.source);
      if (this.#busy() >= mirror.snapshot.tablesInParallel) return;
      if (this.#tasks.has(key) || this.#context.failures.waitMs(key) > 0 || isHeld(step)) continue;
      if (this.#isAsObserved(step, observed)) this.#start(key, mirror, step, observed);
      else this.#context.onLookAgain();
    }
  }

  /** Cuts all of them off; returns when they are gone. Their tables are taken up again by a later plan. */
  async stop(): Promise<void> {
    await Promise.all([...this.#tasks.keys()].map(async (key) => this.stopOne(key)));
  }

  /** Cuts one table's off, if there is one; returns when it is gone. */
  async stopOne(key: string): Promise<void> {
    const task = this.#tasks.get(key);
    task?.stop();
    await task?.ended;
  }

  #start(key: string, mirror: Mirror, step: CopyTaskStep, observed: Observed): void {
    const { onLookAgain } = this.#context;
    const windows = (): readonly MaintenanceWindow[] => this.#windows;
    const task = new CopyTask(this.#context, { mirror, step, observed, windows });
    this.#tasks.set(key, task);
    void task.ended.then(() => {
      this.#tasks.delete(key);
      onLookAgain();
    });
  }

  #busy(): number {
    return [...this.#tasks.values()].filter(({ takesPlace }) => takesPlace).length;
  }

  /** A copy for another generation than the file's newest, or of other columns, has to start again. */
  #isSameTask({ step, hasBegun }: CopyTask, wanted: CopyTaskStep): boolean {
    if (step.kind === 'verify-table') return wanted.kind === 'verify-table';
    if (!sameColumns(step.table.excludeColumns, wanted.table.excludeColumns)) return false;
    if (step.kind === 'copy-table' && !hasBegun)
      return wanted.kind === 'copy-table' && isSameAim(step, wanted);
    if (wanted.kind !== 'copy-table') return true;
    // What it is for may have been taken back since it started.
    const record = this.#context.follower.recordOf(step.table.source);
    const begun = step.kind === 'copy-table' ? step.generation : undefined;
    return isDeepStrictEqual((record && runOf(record))?.generation ?? begun, wanted.generation);
  }

  /** A task that ended between the look and now has made the plan's step a thing of the past. */
  #isAsObserved({ table }: CopyTaskStep, observed: Observed): boolean {
    const seen = observed.ledger.tables.find(({ source }) => sameTable(source, table.source));
    const now = this.#context.follower.recordOf(table.source);
    if (seen === undefined || now === undefined) return true;
    // By way of JSON, which is what the ledger keeps: an absent field and an undefined one are the same.
    const [then, kept] = [seen, now].map(
      ({ state, observed: done, verification, excludeColumns, staleColumns }): unknown =>
        JSON.parse(JSON.stringify([state, done, verification, excludeColumns, staleColumns])),
    );
    return isDeepStrictEqual(then, kept);
  }
}

/** It waits to begin, and is not to begin any more, or not now. */
function isTakenBack({ step, hasBegun }: CopyTask, wanted: CopyTaskStep | undefined): boolean {
  if (step.kind !== 'copy-table' || hasBegun) return false;
  return wanted === undefined || isHeld(wanted);
}

function isSameAim(
  a: Extract<Step, { kind: 'copy-table' }>,
  b: Extract<Step, { kind: 'copy-table' }>,
): boolean {
  return a.strategy === b.strategy && isDeepStrictEqual(a.generation, b.generation);
}

function sameColumns(a: readonly string[], b: readonly string[]): boolean {
  return isDeepStrictEqual(new Set(a), new Set(b));
}
