/** A mirror as the daemon knows it: its last good spec, and what the looks at its file said since. */
import type { Intent, Presence, SpecProblem } from '../../core/intent.ts';
import type { Mirror, MirrorTable } from '../../core/mirror.ts';
import { tableAt } from '../../spec/conflicts.ts';
import type { WrittenSpec } from '../../spec/written.ts';

export interface KnownMirror {
  /** As its file had it when it was good last. */
  readonly mirror: Mirror;
  /** What that was resolved from. */
  readonly written: WrittenSpec;
  /** Tables that the file does not have any more, while their removal grace runs. */
  readonly leaving: readonly LeavingTable[];
  /** Tables of `mirror` that another mirror still writes. */
  readonly waiting: readonly MirrorTable[];
  readonly presence: Presence;
  /** Of a file that is missing: see LeavingTable. */
  readonly missingSinceMs: number | undefined;
  /**
   * The file said Retain after `mirror` had said Delete, in a spec that was held and never taken up or back:
   * dropped tables do not come again, so the milder of the two counts.
   */
  readonly keepsTables: boolean;
  /** A newer spec that looks cut off. */
  readonly held: HeldSpec | undefined;
  readonly problems: readonly SpecProblem[];
  /** Its slot was made: an immutable field may not change any more just so. */
  readonly isEstablished: boolean;
}

export interface HeldSpec {
  readonly specHash: string;
  /** Monotonic: since when every look found it. */
  readonly sinceMs: number;
  /** Since when they could tell as well that what it leaves out is in no other file: see LeavingTable. */
  readonly wholeSinceMs: number | undefined;
}

export interface LeavingTable {
  readonly table: MirrorTable;
  /** Monotonic: since when every look said so. Undefined: the last look could not tell. */
  readonly sinceMs: number | undefined;
}

/** What is mirrored now: not yet what another one writes, and still what has not left. */
export function tablesOf({ mirror, leaving, waiting }: KnownMirror): MirrorTable[] {
  const own = mirror.tables.filter((table) => !waiting.includes(table));
  return [...own, ...leaving.map(({ table }) => table)];
}

/** What the mirror's loop is told. */
export function intentOf(known: KnownMirror): Intent {
  const { mirror, leaving, presence, problems, keepsTables } = known;
  return {
    mirror: {
      ...mirror,
      ...(keepsTables ? { deletionPolicy: 'Retain' } : {}),
      tables: tablesOf(known),
    },
    leaving: leaving.map(({ table }) => table.source),
    presence,
    problems,
  };
}

/** Equal for two rows that write one table, in whatever mirrors they are. */
export function destinationKey({ destination }: Mirror, table: MirrorTable): string {
  return tableAt(destination, table.destination);
}

/** When each removal grace began that runs now for this mirror, its tables or its newer spec. */
export function runningSince({ missingSinceMs, held, leaving }: KnownMirror): number[] {
  const all = [missingSinceMs, held?.sinceMs, ...leaving.map(({ sinceMs }) => sinceMs)];
  return all.filter((ms) => ms !== undefined);
}
