/** What `bunnydb check` knows of the two sides. Plain data; checks.ts judges it. */
import type { MirrorError } from '../../core/errors.ts';
import type {
  Observed,
  ObservedLedger,
  ObservedPublication,
  ObservedServer,
  ObservedSlot,
  TableShape,
} from '../../core/observed.ts';

/** A side that was looked at, or why it was not. `unreadable`: it took the connection, and not the questions. */
export type Answer<Facts> =
  | { readonly is: 'there'; readonly facts: Facts }
  | { readonly is: 'unreachable' | 'unreadable'; readonly error: MirrorError };

export interface CheckLook {
  readonly source: Answer<SourceFacts>;
  readonly destination: Answer<DestinationFacts>;
  /** What the planner sees; undefined when one of the sides is not there. */
  readonly observed: Observed | MirrorError | undefined;
}

export interface SourceFacts {
  readonly server: ObservedServer;
  readonly publication: ObservedPublication | undefined;
  readonly slot: ObservedSlot | undefined;
  /** In the order of the mirror's tables. */
  readonly shapes: readonly (TableShape | undefined)[];
  readonly room: SourceRoom;
}

/** How much of what a mirror takes is there, over all that use the server. */
export interface SourceRoom {
  readonly slots: Usage;
  readonly walSenders: Usage;
  /** As `show` has it; -1: without limit. */
  readonly maxSlotWalKeepSize: string;
  readonly inRecovery: boolean;
}

export interface Usage {
  readonly used: number;
  readonly max: number;
}

export interface DestinationFacts {
  readonly server: ObservedServer;
  readonly ledger: ObservedLedger;
  /** In the order of the mirror's tables. */
  readonly shapes: readonly (TableShape | undefined)[];
  readonly rights: DestinationRights;
}

export interface DestinationRights {
  readonly inRecovery: boolean;
  /** Whether session_replication_role can be set. */
  readonly replicaRole: boolean;
  readonly ledger: 'absent' | 'writable' | 'denied';
  /** The schemas of the mirror's tables that are there: whether our role may CREATE in them. */
  readonly schemas: ReadonlyMap<string, boolean>;
}
