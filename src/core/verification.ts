import type { Generation } from './mirror.ts';

/** What came of comparing both sides of one table at one point of the source's history. */
export interface Verification {
  readonly result: 'Match' | 'Mismatch';
  /** Of the copy that was compared. */
  readonly generation: Generation;
  /** At the source. */
  readonly rows: number;
  readonly destinationRows: number;
  /** The source's position that both sides were compared at. */
  readonly lsn: string;
  /**
   * When the destination was looked at, by its own clock: ISO 8601 in UTC with microseconds, so that it
   * compares as text with the time of a request.
   */
  readonly checkedAt: string;
  /** Mismatch: what differs, with the first differing keys where the table has a key. */
  readonly message?: string;
}

/** True when it was the copy of that generation that was compared. */
export function isOfCopy({ generation }: Verification, observed: Generation | undefined): boolean {
  return generation.table === observed?.table && generation.mirror === observed.mirror;
}
