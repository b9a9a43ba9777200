/**
 * What a step locks of other people's tables while it is carried out, as execute/ does it. For whoever
 * decides when to commit a change. Locks on what is bunnydb's own (the ledger, a shadow) keep nobody waiting.
 */
import { formatTableName, type TableName } from '../core/table-name.ts';
import { unreachable } from '../core/unreachable.ts';
import type { Step } from './plan.ts';
import type { PutAside } from './put-aside.ts';

/** As PostgreSQL names them, but for ROW EXCLUSIVE of the rows that are written: writers take that everywhere. */
export type LockMode =
  | 'ACCESS SHARE'
  | 'ROW SHARE'
  | 'SHARE UPDATE EXCLUSIVE'
  | 'SHARE'
  | 'SHARE ROW EXCLUSIVE'
  | 'ACCESS EXCLUSIVE';

export interface Lock {
  readonly side: 'source' | 'destination';
  /** `public.orders`, or which tables in words. */
  readonly on: string;
  /** Undefined: it waits for others, and keeps nobody waiting. */
  readonly mode: LockMode | undefined;
  /** When and for how long, and who waits meanwhile. */
  readonly effect: string;
}

/** In the order in which they are taken; empty for a step that keeps nobody waiting and waits for nobody. */
export function locksOf(step: Step): readonly Lock[] {
  switch (step.kind) {
    case 'create-publication':
      return step.tables.length === 0 ? [] : [publicationLock(step.tables)];
    case 'alter-publication': {
      const changed = [...step.add, ...step.drop];
      return changed.length === 0 ? [] : [publicationLock(changed)];
    }
    case 'publish-table':
      return [
        {
          side: 'source',
          on: formatTableName(step.table.source),
          mode: 'SHARE ROW EXCLUSIVE',
          effect: 'for a moment; readers go on, writers wait; each try waits 1 s at most',
        },
      ];
    case 'create-slot':
      return step.adopt ? [] : [SLOT_WAIT];
    case 'copy-table':
      return copyLocks(step);
    case 'replay-table':
      return step.endsSwap ? [swapLock(formatTableName(step.table.destination))] : [];
    case 'verify-table':
      return [
        readWhile(step.table.source, 'both sides are compared'),
        readWhile(step.table.destination, 'both sides are compared', 'destination'),
      ];
    case 'create-constraint':
      return constraintLocks(step);
    case 'create-index':
      return [buildLock(formatTableName(step.table.destination))];
    case 'add-foreign-key':
      return foreignKeyLocks(step.table.destination, step.references, step.foreignKey.validated);
    case 'restore-foreign-key':
      return foreignKeyLocks(
        step.saved.owner,
        step.saved.table,
        !step.saved.definition.endsWith(' NOT VALID'),
      );
    case 'validate-foreign-key':
      return validationLocks(formatTableName(step.owner), 'the table that it references');
    case 'retire-table':
      return step.drop ? [dropLock(step.record.destination)] : [];
    case 'drop-table':
      return [dropLock(step.record.destination)];
    case 'migrate-ledger':
    case 'register-mirror':
    case 'accept-spec':
    case 'release-slot':
    case 'drop-publication':
    case 'forget-mirror':
    case 'reset-slot':
    case 'record-source':
    case 'create-schema':
    case 'create-type':
    case 'create-sequence':
    case 'create-table':
    case 'register-table':
    case 'cancel-copy':
    case 'drop-shadow':
    case 'adopt-table':
      return [];
    default:
      return unreachable(step);
  }
}

/** One line, without the step: `locks SHARE on public.users (destination): …`. */
export function describeLock({ side, on, mode, effect }: Lock): string {
  return mode === undefined
    ? `waits for ${on} (${side}): ${effect}`
    : `locks ${mode} on ${on} (${side}): ${effect}`;
}

/** A session's own lock_timeout. */
const WAITS_5_S = 'each try waits 5 s at most';

const SLOT_WAIT: Lock = {
  side: 'source',
  on: 'every transaction that has written and is open',
  mode: undefined,
  effect: 'nobody waits for it; tried again every 5 s or later',
};

function publicationLock(tables: readonly TableName[]): Lock {
  return {
    side: 'source',
    on: tables.map(formatTableName).join(', '),
    mode: 'SHARE UPDATE EXCLUSIVE',
    effect: 'for a moment; readers and writers go on, VACUUM and ALTER TABLE wait',
  };
}

function readWhile(table: TableName, what: string, side: Lock['side'] = 'source'): Lock {
  return {
    side,
    on: formatTableName(table),
    mode: 'ACCESS SHARE',
    effect: `while ${what}; readers and writers go on, an ALTER TABLE waits, and others behind it`,
  };
}

/** The stream's, before the copy: what is left out is not written from the moment that the file is read. */
function relaxLocks({ table, relaxes }: Extract<Step, { kind: 'copy-table' }>): readonly Lock[] {
  if (relaxes.length === 0) return [];
  return [
    {
      side: 'destination',
      on: formatTableName(table.destination),
      mode: 'ACCESS EXCLUSIVE',
      effect: `as soon as the file is read, in a maintenance window or not, for a moment: ${relaxes.join(', ')} may be NULL from then on; one try, which waits 200 ms at most`,
    },
  ];
}

function copyLocks(step: Extract<Step, { kind: 'copy-table' }>): readonly Lock[] {
  const { table, strategy, reason, foreignKeys = [] } = step;
  const name = formatTableName(table.destination);
  const first = [...relaxLocks(step), readWhile(table.source, 'its rows are read')];
  if (strategy === 'swap') return [...first, swapLock(name), ...foreignKeys.flatMap(checkLocks)];
  return [
    ...first,
    {
      side: 'destination',
      on: `${name} and the tables with foreign keys to it`,
      mode: 'ACCESS EXCLUSIVE',
      effect: `at its start, to empty it; ${EACH_TRY}`,
    },
    {
      side: 'destination',
      on: name,
      mode: 'ACCESS EXCLUSIVE',
      effect:
        reason === 'first'
          ? 'after the rows, while its keys are built; readers and writers wait'
          : 'after the rows, while keys are built that it lacks, if any; readers and writers wait',
    },
    ...foreignKeys.flatMap(backLocks),
  ];
}

/** When the table is Live: NOT VALID, which is short, and then as it was. */
function backLocks(key: PutAside): Lock[] {
  const { owner, references, name, validated } = key;
  const effect = `when it is Live, to put foreign key ${name} back`;
  return [shortKeyLock(owner, references, effect), ...(validated ? checkLocks(key) : [])];
}

function checkLocks({ owner, references, name }: PutAside): Lock[] {
  const when = `when it is Live, while the rows are checked by foreign key ${name}`;
  return validationLocks(formatTableName(owner), formatTableName(references), when);
}

const EACH_TRY = 'each try waits 200 ms at most, then lets all others pass';

function swapLock(name: string): Lock {
  return {
    side: 'destination',
    on: `${name}, both ends of its foreign keys, and the views, policies and rules that read it`,
    mode: 'ACCESS EXCLUSIVE',
    effect: `at its end, to change places; ${EACH_TRY}`,
  };
}

function constraintLocks({
  table,
  constraint,
}: Extract<Step, { kind: 'create-constraint' }>): readonly Lock[] {
  const on = formatTableName(table.destination);
  const short =
    constraint.kind === 'primary key'
      ? 'for a moment, when its index is there (while its rows are read, where a column of it is not NOT NULL); readers and writers wait'
      : 'for a moment, when its index is there; readers and writers wait';
  return constraint.indexDefinition === undefined
    ? [
        {
          side: 'destination',
          on,
          mode: 'ACCESS EXCLUSIVE',
          effect: 'while it is built; readers and writers wait',
        },
      ]
    : [
        buildLock(on),
        { side: 'destination', on, mode: 'ACCESS EXCLUSIVE', effect: `${short}; ${WAITS_5_S}` },
      ];
}

function buildLock(on: string): Lock {
  return {
    side: 'destination',
    on,
    mode: 'SHARE UPDATE EXCLUSIVE',
    effect:
      'while its index is built CONCURRENTLY; readers and writers go on, and it waits for their open transactions (on a partitioned table SHARE: writers wait)',
  };
}

/** NOT VALID first, then the rows are read. */
function foreignKeyLocks(owner: TableName, references: TableName, validate: boolean): Lock[] {
  const [own, other] = [formatTableName(owner), formatTableName(references)];
  return [
    shortKeyLock(
      owner,
      references,
      'for a moment (of a partitioned table while its rows are checked)',
    ),
    ...(validate ? validationLocks(own, other) : []),
  ];
}

function shortKeyLock(owner: TableName, references: TableName, when: string): Lock {
  const [own, other] = [formatTableName(owner), formatTableName(references)];
  return {
    side: 'destination',
    on: own === other ? own : `${own} and ${other}`,
    mode: 'SHARE ROW EXCLUSIVE',
    effect: `${when}; readers go on, writers wait; ${WAITS_5_S}`,
  };
}

function validationLocks(
  owner: string,
  references: string,
  when = 'while its rows are checked',
): Lock[] {
  const effect = `${when}; readers and writers go on`;
  return [
    { side: 'destination', on: owner, mode: 'SHARE UPDATE EXCLUSIVE', effect },
    { side: 'destination', on: references, mode: 'ROW SHARE', effect },
  ];
}

function dropLock(table: TableName): Lock {
  return {
    side: 'destination',
    on: `${formatTableName(table)} and the tables that it references`,
    mode: 'ACCESS EXCLUSIVE',
    effect: `for a moment; ${EACH_TRY}`,
  };
}
