/**
 * The named boundaries between the steps of a copy. Whoever wants to know where a run is can subscribe
 * to the diagnostics channel; the crash tests do, and kill the process at each of them in turn.
 */
import { channel } from 'node:diagnostics_channel';
import { formatTableName, type TableName } from './table-name.ts';

export const CHECKPOINT_CHANNEL = 'bunnydb:checkpoint';

/** In the order a run passes them. Each is published when what it names is done, and before anything else is. */
export const CHECKPOINTS = [
  /** Committed: from here on changes go to the spool. */
  'spooling',
  /** Truncate, in the same transaction: the table is empty, the inbound foreign keys in the ledger. Swap: there is a shadow. */
  'emptied',
  /** A source snapshot is open. */
  'snapshot-taken',
  /** The first range of rows is committed. */
  'range-copied',
  'rows-copied',
  'keys-built',
  /** Committed: CatchingUp. */
  'catching-up',
  /** One batch of the spool is replayed and committed. */
  'batch-replayed',
  /** Inside the transaction that hands over: the rest is replayed. */
  'rest-replayed',
  /** Swap, inside that transaction: both tables have changed places. */
  'swapped',
  /** Committed: Live. */
  'handed-over',
  /** Swap: the old table is gone. */
  'old-dropped',
  /** A foreign key is back, NOT VALID. */
  'foreign-key-restored',
  /** Both sides were compared; nothing of it is written down yet. */
  'compared',
  'verified',
] as const;

/** The same for the removal of a mirror. */
export const REMOVAL_CHECKPOINTS = [
  /** Committed: the ledger knows no slot any more. */
  'slot-forgotten',
  'slot-released',
  'publication-dropped',
  /** Committed: deletionPolicy is Delete. */
  'table-dropped',
  /** Committed: the ledger knows no such mirror. */
  'mirror-forgotten',
] as const;

export type CopyCheckpoint = (typeof CHECKPOINTS)[number];
export type Checkpoint = CopyCheckpoint | (typeof REMOVAL_CHECKPOINTS)[number];

export interface CheckpointMessage {
  readonly checkpoint: Checkpoint;
  /** formatTableName(source); empty where it is the whole mirror's. */
  readonly table: string;
}

const CHANNEL = channel(CHECKPOINT_CHANNEL);

/** Costs nothing while nobody listens. */
export function checkpoint(name: Checkpoint, source?: TableName): void {
  if (!CHANNEL.hasSubscribers) return;
  const table = source === undefined ? '' : formatTableName(source);
  const message: CheckpointMessage = { checkpoint: name, table };
  CHANNEL.publish(message);
}
