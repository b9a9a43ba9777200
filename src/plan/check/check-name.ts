/**
 * What `bunnydb check` looks at, in its order. A refusal of the planner bears the name of one of them,
 * so that what passes is what `run` does not refuse.
 */

export type Side = 'source' | 'destination' | 'both';

interface CheckKind {
  readonly side: Side;
  /** Judged for each table, and not before those of a lower stage have passed for it. */
  readonly stage?: Stage;
  /** What is so when it passes. */
  readonly passes: string;
}

/** A table that is not there has no rights; one that cannot be read is not copied. As planMirror has it. */
export type Stage = 'there' | 'fit' | 'copied' | 'alike';

export const STAGES: readonly Stage[] = ['there', 'fit', 'copied', 'alike'];

export const CHECKS = {
  'source-connection': { side: 'source', passes: 'the source answers' },
  'source-version': { side: 'source', passes: 'PostgreSQL 14 or newer' },
  'source-primary': { side: 'source', passes: 'the source takes writes' },
  'wal-level': { side: 'source', passes: 'wal_level is logical' },
  'replication-right': { side: 'source', passes: 'the role may replicate' },
  'free-slot': { side: 'source', passes: 'there is a replication slot' },
  'free-walsender': { side: 'source', passes: 'there is a walsender' },
  'wal-retention': { side: 'source', passes: 'the WAL that a slot may keep is limited' },
  publication: { side: 'source', passes: 'the publication is there, or can be made' },
  'source-tables': { side: 'source', stage: 'there', passes: 'ordinary, logged tables' },
  'table-owner': { side: 'source', stage: 'fit', passes: 'published, or may be' },
  'select-right': { side: 'source', stage: 'fit', passes: 'every column may be read' },
  'source-row-security': { side: 'source', stage: 'fit', passes: 'row security hides no row' },
  'replica-identity': { side: 'source', stage: 'fit', passes: 'changes name their rows' },
  'published-whole': {
    side: 'source',
    stage: 'fit',
    passes: 'no filter or list of the publication leaves anything out',
  },
  'destination-connection': { side: 'destination', passes: 'the destination answers' },
  'destination-version': { side: 'destination', passes: 'PostgreSQL 14 or newer' },
  'destination-primary': { side: 'destination', passes: 'the destination takes writes' },
  ledger: { side: 'destination', passes: 'the ledger is there, or can be made' },
  'replica-role': { side: 'destination', passes: 'session_replication_role can be set' },
  'create-tables': { side: 'destination', passes: 'missing tables can be made' },
  'write-tables': {
    side: 'destination',
    stage: 'fit',
    passes: 'tables that are there can be written',
  },
  'destination-row-security': {
    side: 'destination',
    stage: 'fit',
    passes: 'row security does not apply',
  },
  encoding: { side: 'both', passes: 'every text fits' },
  slot: { side: 'both', passes: 'the slot has what was not applied yet, or is free to be made' },
  loop: { side: 'both', stage: 'fit', passes: 'no table is written by what reads it' },
  'excluded-columns': { side: 'both', stage: 'fit', passes: 'excluded columns can be left out' },
  types: { side: 'both', stage: 'fit', passes: 'types and extensions are there, or can be made' },
  objects: {
    side: 'both',
    stage: 'fit',
    passes: 'functions, collations and operators that tables need are there',
  },
  copy: { side: 'both', stage: 'copied', passes: 'nothing is in the way of a copy' },
  shape: { side: 'both', stage: 'alike', passes: 'tables that are there fit their source' },
} as const satisfies Record<string, CheckKind>;

export type CheckName = keyof typeof CHECKS;
