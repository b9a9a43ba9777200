/** What a status is computed from: the daemon's knowledge of one mirror, as plain data. */
import type { MirrorError } from '../core/errors.ts';
import type { Intent } from '../core/intent.ts';
import type { Lsn } from '../core/lsn.ts';
import type { Mirror, ResyncStrategy } from '../core/mirror.ts';
import type { ObservedSlot } from '../core/observed.ts';
import type { TableFailure, TableRecord } from '../core/table-state.ts';
import type { CopyStep } from '../execute/table-run.ts';
import type { Plan } from '../plan/plan.ts';

export type MirrorState =
  | 'PENDING'
  | 'SNAPSHOTTING'
  | 'RUNNING'
  | 'RESYNCING'
  | 'SUSPENDED'
  | 'FAILED'
  | 'TERMINATING';

/** Everything the daemon knows of one mirror at one moment. */
export interface MirrorView {
  readonly mirror: Mirror;
  /** Of the spec that a pass carried out last, or failed at; undefined before the first. */
  readonly passedSpecHash: string | undefined;
  /** Of the last pass that could look; undefined before the first. */
  readonly plan: Plan | undefined;
  readonly slot: ObservedSlot | undefined;
  /** The ledger's tables, or the stream's newer view of them. */
  readonly records: readonly TableRecord[];
  /** Copies that run or wait, by formatTableName(source). */
  readonly runs: ReadonlyMap<string, RunView>;
  /** What keeps tables from going on, refused or failed, by formatTableName(source). */
  readonly failures: ReadonlyMap<string, TableFailure>;
  readonly stream: StreamView | undefined;
  /** What ended the last pass or the stream; undefined when all is well. */
  readonly failure: MirrorError | undefined;
  /** Of the newest file, while an older spec runs on. */
  readonly problems: Intent['problems'];
  readonly presence: Intent['presence'];
  readonly leaving: Intent['leaving'];
}

export interface StreamView {
  readonly appliedLsn: Lsn;
  readonly lagBytes: number;
  readonly lagSeconds: number;
  /** Seconds since the source was last heard, when that is too long ago; undefined while it answers. */
  readonly silentSeconds?: number | undefined;
}

/** A copy that runs or waits for its turn. */
export interface RunView {
  readonly strategy: ResyncStrategy;
  readonly step: CopyStep;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly rowsCopied: number;
  /** An estimate; grows when it proves too low. */
  readonly rowsTotal: number;
  readonly bytesCopied: number;
  /** Over the last seconds; only while rows are copied. */
  readonly rowsPerSecond?: number;
  /** An estimate, as rowsTotal is. */
  readonly secondsLeft?: number;
  /** One line: who is in the way of this step, while somebody is. */
  readonly waitsFor?: string;
  /** How often this step was tried, when more than once. */
  readonly tries?: number;
}
