import type { ErrorCode } from '../../core/errors.ts';
import type { MirrorTable } from '../../core/mirror.ts';
import type { CheckName } from './check-name.ts';

export interface Check {
  readonly name: CheckName;
  /** `note`: to know; `skip`: it could not be looked at, for what failed before it. */
  readonly result: 'pass' | 'note' | 'warn' | 'fail' | 'skip';
  /** Undefined: about the whole mirror, or about all of its tables. */
  readonly table: MirrorTable | undefined;
  readonly message: string;
  readonly code?: ErrorCode;
  /** The SQL to run or the edit to make. */
  readonly fix?: string;
}

/** Something that is not simply as it ought to be. */
export type Finding = Omit<Check, 'result'> & { readonly result: 'note' | 'warn' | 'fail' };
