/**
 * The stream of one mirror: receive, apply whole transactions, record progress in the same destination
 * transaction, confirm only what is durable. Everything that must happen between two transactions
 * (start to spool a table, hand it over) is done here, at a commit boundary, on request.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../core/clock.ts';
import { classify, MirrorError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { maxLsn, parseLsn, type Lsn } from '../core/lsn.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { StreamedMirror } from '../plan/exclusions.ts';
import { advanceProgress, type Owner } from '../postgres/ledger.ts';
import type { ExpectedSource } from '../postgres/replication.ts';
import { writeAsReplica } from '../postgres/replica-role.ts';
import { openSession, type Session } from '../postgres/session.ts';
import { Applier, type Applied } from './applier.ts';
import type { TransactionPart } from './assemble.ts';
import { Boundaries, type BoundaryWork } from './boundaries.ts';
import { Cuts, type Meeting } from './cuts.ts';
import type { BatchLimits } from './inbox.ts';
import { Receiver } from './receive.ts';
import { RecentTransactions } from './recent-transactions.ts';
import { isWrittenOtherwise, leaveOut, targetFor } from './route-target.ts';
import { Router } from './router.ts';
import type { ApplyTarget } from './target.ts';
import { parseVisibility, type Visibility } from './visibility.ts';

export interface FollowOptions {
  readonly mirror: StreamedMirror;
  readonly owner: Owner;
  /** The ledger's applied LSN: where to go on. */
  readonly from: Lsn;
  /** Whom the ledger's LSN is of. */
  readonly source?: ExpectedSource;
  readonly tables: readonly TableRecord[];
  readonly log: Log;
  readonly clock: Clock;
  /** Called after the commit that made a table Failed. */
  readonly onTableFailed: (record: TableRecord) => void;
}

/** How far the stream is. */
export interface FollowProgress {
  readonly appliedLsn: Lsn;
  readonly lagBytes: number;
  readonly lagSeconds: number;
  /** Seconds since the source was last heard, when that is too long ago; undefined while it answers. */
  readonly silentSeconds: number | undefined;
  readonly appliedTransactions: number;
  readonly appliedChanges: number;
}

/** Received bytes in one destination transaction of many source transactions. */
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
/** A quiet mirror in a busy cluster moves on this often, so that the source can remove its WAL. */
const IDLE_PROGRESS_MS = 10_000;
/** Or as soon as this much WAL would be kept for nothing. */
const IDLE_PROGRESS_BYTES = 16n * 1024n * 1024n;
const CONFIRM_INTERVAL_MS = 1_000;
/** How long changes wait for a snapshot that sees all that is applied; it is one round trip but for a slow standby. */
const MAX_HOLD_MS = 200;
const HOLD_POLL_MS = 5;

export class Follower {
  /** Settles once: resolved after stop(), rejected with a MirrorError when the stream broke. */
  readonly done: Promise<void>;
  readonly #options: FollowOptions;
  readonly #session: Session;
  readonly #router: Router;
  readonly #receiver: Receiver;
  readonly #boundaries = new Boundaries(() => this.#wake());
  readonly #applier: Applier;
  readonly #recent = new RecentTransactions();
  readonly #cuts: Cuts;
  readonly #stopping = new AbortController();
  readonly #opening: Promise<void>;
  #mirror: StreamedMirror;
  #appliedLsn: Lsn;
  #idleWrittenMs: number;
  /** When the transaction that is being applied, or the oldest of its batch, was committed at the source. */
  #applyingSinceMs: number | undefined;
  #appliedTransactions = 0;
  #appliedChanges = 0;
  #wake: () => void = () => undefined;

  private constructor(options: FollowOptions, session: Session, router: Router) {
    this.#options = options;
    this.#mirror = options.mirror;
    this.#session = session;
    this.#router = router;
    this.#cuts = new Cuts(router);
    const { owner, log, clock } = options;
    const targetOf = async (record: TableRecord): Promise<ApplyTarget | undefined> =>
      this.#targetFor(record);
    this.#applier = new Applier({ session, router, owner, log, clock, targetOf });
    this.#appliedLsn = options.from;
    this.#idleWrittenMs = options.clock.monotonicMs();
    this.#receiver = new Receiver(() => this.#wake(), options.clock);
    this.#opening = this.#receiver.open(options.mirror, options.from, options.source);
    this.done = this.#run();
    this.done.catch(() => undefined);
  }

  /** Opens the writer's session; returns when the source streams from `from`. Throws MirrorError. */
  static async start(options: FollowOptions): Promise<Follower> {
    const { mirror } = options;
    const session = await openSession(mirror.destination, { mirror: mirror.name, role: 'writer' });
    try {
      await writeAsReplica(session);
      const router = new Router();
      await session.transaction(async () => {
        for (const record of options.tables) {
          const known = await leaveOut(session, options, record);
          router.set(known, await targetFor(session, mirror, known));
        }
      });
      const follower = new Follower(options, session, router);
      await follower.#opening;
      return follower;
    } catch (error) {
      await session.close();
      throw classify(error);
    }
  }

  /** From the next commit boundary on the file's newer columns and limits count. Connections stay as they are. */
  async update(mirror: StreamedMirror): Promise<void> {
    const before = this.#mirror;
    if (isDeepStrictEqual(mirror, before)) return;
    try {
      await this.atBoundary(async () => {
        this.#mirror = mirror;
        const all = this.#router.records();
        const changed = all.filter((record) => isWrittenOtherwise(before, mirror, record));
        return { result: undefined, changed };
      });
    } catch (error) {
      this.#mirror = before;
      throw error;
    }
  }

  /** Ends at a safe point: a transaction that is not committed yet is rolled back and comes again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.done.catch(() => undefined);
  }

  /**
   * Runs `work` between two source transactions, in a destination transaction of its own on the
   * stream's session. Tables it returns are routed by their new state from the next change on.
   * Rejects, with nothing changed, when the work throws or the stream ends first.
   */
  async atBoundary<T>(work: BoundaryWork<T>): Promise<T> {
    return this.#boundaries.request(work);
  }

  /**
   * Brings a source snapshot and the destination's table together: once the stream has applied exactly
   * what the snapshot sees of the table, both are compared, while the stream goes on. Undefined when this
   * snapshot could not be met: take another. Rejects when a part of the meeting does, or the stream ends.
   */
  async meetSnapshot<T>(meeting: Meeting<T>): Promise<T | undefined> {
    const { mark } = this.#recent;
    const approach = this.#cuts.open(meeting);
    try {
      const aim = async (): Promise<boolean> => {
        const taken = await meeting.take();
        const seen = { visibility: parseVisibility(taken.visible), lsn: parseLsn(taken.lsn) };
        return !this.#recent.hasUnseenBy(seen.visibility, mark) && approach.cut.aim(seen);
      };
      const isAhead = await this.atBoundary(async () => ({ result: await this.#hold(aim) }));
      if (!isAhead) return undefined;
      await meeting.hurry();
      return (await approach.met) ? await meeting.compare() : undefined;
    } catch (error) {
      if (approach.gaveWay) return undefined;
      throw error;
    } finally {
      this.#cuts.remove(approach);
    }
  }

  /** What was applied until now, for hasAppliedUnseenBy. Taken inside a boundary's work it is exact. */
  appliedMark(): number {
    return this.#recent.mark;
  }

  /** True when a transaction that was applied up to the mark is not in the snapshot yet (TRAPS 23): take another one. */
  hasAppliedUnseenBy(visibility: Visibility, mark: number): boolean {
    return this.#recent.hasUnseenBy(visibility, mark);
  }

  /** Transactions that an earlier stream of this mirror may have applied. Idempotent. */
  rememberApplied(xids: readonly number[]): void {
    for (const xid of xids) this.#recent.add(xid);
  }

  /** For those who wait for its progress. */
  throwIfEnded(): void {
    this.#boundaries.throwIfClosed();
  }

  /** A table as it is routed now. */
  recordOf(source: TableName): TableRecord | undefined {
    return this.#router.get(source)?.record;
  }

  records(): TableRecord[] {
    return this.#router.records();
  }

  progress(): FollowProgress {
    const { oldestWaitingMs, knownLsn, isDrained, silentSeconds } = this.#receiver;
    const oldestMs = this.#applyingSinceMs ?? oldestWaitingMs;
    const isCaughtUp = isDrained && oldestMs === undefined;
    const behind = isCaughtUp ? 0n : maxLsn(knownLsn, this.#appliedLsn) - this.#appliedLsn;
    const lagMs = oldestMs === undefined ? 0 : this.#options.clock.now().getTime() - oldestMs;
    return {
      appliedLsn: this.#appliedLsn,
      lagBytes: Number(behind),
      // What was committed there since then is not known: at worst it began with the silence.
      lagSeconds: Math.max(0, lagMs / 1000, silentSeconds ?? 0),
      silentSeconds,
      appliedTransactions: this.#appliedTransactions,
      appliedChanges: this.#appliedChanges,
    };
  }

  async #run(): Promise<void> {
    const confirming = setInterval(
      () => this.#receiver.confirm(this.#appliedLsn),
      CONFIRM_INTERVAL_MS,
    );
    try {
      await this.#opening;
      while (!this.#stopping.signal.aborted) await this.#turn();
      this.#receiver.confirm(this.#appliedLsn);
    } catch (error) {
      throw this.#stopping.signal.aborted
        ? new MirrorError('ConnectionFailed', 'the stream was stopped')
        : classify(error);
    } finally {
      clearInterval(confirming);
      const ended = new MirrorError('ConnectionFailed', 'the stream has ended');
      this.#boundaries.close(ended);
      this.#cuts.close(ended);
      await Promise.all([this.#receiver.close(), this.#session.close()]);
    }
  }

  async #turn(): Promise<void> {
    this.#receiver.throwIfBroken();
    if (this.#boundaries.hasWork) await this.#boundary();
    else if (this.#cuts.isDue(this.#upcoming, this.#appliedLsn))
      await this.#cuts.settle(this.#upcoming, this.#appliedLsn);
    else if (!this.#receiver.inbox.isEmpty) await this.#applyNext();
    else if (this.#idleProgress() !== undefined) await this.#advanceIdle();
    else await this.#nextEvent();
  }

  /** Wakes for a message, a request, the end, or in time for idle progress. */
  async #nextEvent(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, CONFIRM_INTERVAL_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      // What came before #wake was set must not be slept over.
      if (this.#hasWork()) this.#wake();
    });
    this.#wake = () => undefined;
  }

  #hasWork(): boolean {
    return (
      this.#boundaries.hasWork ||
      !this.#receiver.inbox.isEmpty ||
      this.#receiver.isBroken ||
      this.#stopping.signal.aborted
    );
  }

  async #boundary(): Promise<void> {
    await this.#boundaries.runNext(
      this.#session,
      async (changed) => {
        const { owner, log } = this.#options;
        const routed: [TableRecord, ApplyTarget | undefined][] = [];
        for (const record of changed) {
          const known = await leaveOut(this.#session, { mirror: this.#mirror, owner, log }, record);
          routed.push([known, await this.#targetFor(known)]);
        }
        return () => {
          for (const [record, target] of routed) this.#router.set(record, target);
        };
      },
      (removed) => this.#router.remove(removed),
    );
  }

  /** Tries again for a moment while nothing is applied: what waits for a standby is soon seen. */
  async #hold(attempt: () => Promise<boolean>): Promise<boolean> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + MAX_HOLD_MS;
    for (;;) {
      if (await attempt()) return true;
      if (clock.monotonicMs() >= endMs) return false;
      await clock.sleep(HOLD_POLL_MS, this.#stopping.signal);
    }
  }

  async #targetFor(record: TableRecord): Promise<ApplyTarget | undefined> {
    return targetFor(this.#session, this.#mirror, record);
  }

  /** The next transaction to apply, or its first part. */
  get #upcoming(): TransactionPart | undefined {
    const { oldest } = this.#receiver.inbox;
    // Applied before a restart: the ledger decides, not the slot (TRAPS 16).
    return oldest !== undefined && oldest.commitLsn < this.#appliedLsn ? undefined : oldest;
  }

  async #applyNext(): Promise<void> {
    const { inbox } = this.#receiver;
    const head = this.#upcoming;
    if (head === undefined) {
      inbox.takeOne();
      return;
    }
    this.#applyingSinceMs = head.commitTimeMs;
    const endsBefore = (part: TransactionPart): boolean => this.#cuts.isDue(part, this.#appliedLsn);
    const batch = head.final ? inbox.takeWhole(this.#batchLimits(), endsBefore) : [head];
    this.#applied(
      head.final
        ? await this.#applier.applyWhole(batch)
        : await this.#applier.applyLarge(async () => this.#nextPart()),
    );
    this.#cuts.noteApplied(batch);
    this.#applyingSinceMs = undefined;
  }

  #batchLimits(): BatchLimits {
    return { changes: this.#mirror.cdc.maxBatchSize, bytes: MAX_BATCH_BYTES };
  }

  async #nextPart(): Promise<TransactionPart> {
    for (;;) {
      this.#receiver.throwIfBroken();
      this.#stopping.signal.throwIfAborted();
      const part = this.#receiver.inbox.takeOne();
      if (part !== undefined) return part;
      await this.#nextPartEvent();
    }
  }

  async #nextPartEvent(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (!this.#receiver.inbox.isEmpty || this.#receiver.isBroken || this.#stopping.signal.aborted)
        resolve();
    });
    this.#wake = () => undefined;
  }

  #applied({ endLsn, xids, changes, troubled }: Applied): void {
    this.#appliedLsn = maxLsn(this.#appliedLsn, endLsn);
    this.#idleWrittenMs = this.#options.clock.monotonicMs();
    this.#appliedTransactions += xids.length;
    this.#appliedChanges += changes;
    for (const xid of xids) this.#recent.add(xid);
    this.#receiver.confirm(this.#appliedLsn);
    for (const record of troubled) {
      const table = formatTableName(record.source);
      this.#options.log.warn({ table, state: record.state }, 'table failed or diverged');
      this.#options.onTableFailed(record);
    }
  }

  /** How far a quiet stream may move on: everything received is durable and no transaction is open (TRAPS 14). */
  #idleProgress(): Lsn | undefined {
    const { isDrained, serverLsn } = this.#receiver;
    if (!isDrained || serverLsn <= this.#appliedLsn) return undefined;
    const isDue =
      serverLsn - this.#appliedLsn >= IDLE_PROGRESS_BYTES ||
      this.#options.clock.monotonicMs() - this.#idleWrittenMs >= IDLE_PROGRESS_MS;
    return isDue ? serverLsn : undefined;
  }

  async #advanceIdle(): Promise<void> {
    const lsn = this.#idleProgress();
    if (lsn === undefined) return;
    await advanceProgress(this.#session, this.#options.owner, lsn);
    this.#applied({ endLsn: lsn, xids: [], changes: 0, troubled: [] });
  }
}
