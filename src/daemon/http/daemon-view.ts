/** What the daemon knows at one moment, for those who only look on: probes and metrics. Plain data. */
import type { Snapshot } from '../../spec/snapshot.ts';
import type { Status } from '../../status/status.ts';

export interface DaemonView {
  /** Undefined until the directory was read for the first time. */
  readonly directory: DirectoryView | undefined;
  readonly mirrors: readonly LoopView[];
}

export interface DirectoryView {
  readonly lastGoodLook: Date;
  readonly validFiles: number;
  readonly invalidFiles: number;
}

export interface LoopView {
  readonly name: string;
  readonly isSuspended: boolean;
  /** This daemon has the mirror; another one may, or nobody. */
  readonly isOwner: boolean;
  /** At least one pass has ended, whatever became of it; a standby's too. */
  readonly hasPassed: boolean;
  /** Undefined before the first is computed. */
  readonly status: Status | undefined;
  /** What each spool took at the last look, in bytes, by formatTableName(source); none for a table without one. */
  readonly spoolBytes: ReadonlyMap<string, number>;
}

/** A file that cannot be read is an invalid one. */
export function countFiles({
  files,
  diagnostics,
}: Snapshot): Pick<DirectoryView, 'validFiles' | 'invalidFiles'> {
  const errors = diagnostics.filter(({ severity }) => severity === 'error');
  const invalid = new Set(errors.map(({ file }) => file));
  const validFiles = files.filter(({ path }) => !invalid.has(path)).length;
  return { validFiles, invalidFiles: invalid.size };
}
