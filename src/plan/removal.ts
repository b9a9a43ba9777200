/** What a removed mirror leaves to be undone. Pure, as planMirror. */
import { MirrorError } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import type {
  MirrorRecord,
  Observed,
  ObservedLedger,
  ObservedPublication,
} from '../core/observed.ts';
import { sameTable, type TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import { LEDGER_MIGRATIONS } from '../sql/ledger.ts';
import { cleanSourceSql } from '../sql/publication.ts';
import { isSomebodyElses } from './own-slot.ts';
import type { Plan, Refusal, Step } from './plan.ts';
import { identityRefusals } from './preflight.ts';
import { refuse } from './refuse.ts';

export type RemovalStep = Extract<
  Step,
  {
    kind:
      | 'migrate-ledger'
      | 'release-slot'
      | 'drop-publication'
      | 'restore-foreign-key'
      | 'drop-table'
      | 'forget-mirror';
  }
>;

/** What the decision needs: no table is looked at. */
export interface RemovalLook extends Pick<Observed, 'source' | 'slot' | 'ledger'> {
  readonly publication: Omit<ObservedPublication, 'tables' | 'partial'> | undefined;
}

export interface RemovalPlan extends Plan {
  readonly steps: readonly RemovalStep[];
}

/**
 * The source first, where a slot that nobody reads fills the disk; then what keeps others from working
 * at the destination; the ledger last, for by it the rest is found again. Empty when all is undone. What
 * has our names and is not in the ledger is somebody else's.
 */
export function planRemoval(mirror: Mirror, look: RemovalLook): RemovalPlan {
  const { ledger, publication } = look;
  const record = ledger.mirror;
  const nothing = { mirror: mirror.name, steps: [], refusals: [], notices: [] };
  if (record === undefined) return { ...nothing, refusals: leftSlot(mirror, look) };
  const refusals = identityRefusals(look);
  if (refusals.length > 0)
    return {
      ...nothing,
      refusals: refusals.map(({ table, error }) => ({
        table,
        error: withWayOut(error, mirror, record),
      })),
    };
  const left = record.slotState === 'created' ? 'ours' : leftThere(look, record);
  return {
    ...nothing,
    steps: [
      ...(ledger.version < LEDGER_MIGRATIONS.length
        ? [{ kind: 'migrate-ledger', fromVersion: ledger.version } as const]
        : []),
      ...(left === 'ours' ? [{ kind: 'release-slot' } as const] : []),
      // Whose the slot is reads the publication of its name, too.
      ...(left !== 'strange' &&
      ownsPublication(mirror, record) &&
      mayBeThere(mirror, record, publication)
        ? [{ kind: 'drop-publication', name: record.publication } as const]
        : []),
      ...planForeignKeys(mirror, ledger),
      ...(mirror.deletionPolicy === 'Delete'
        ? ledger.tables.map((table): RemovalStep => ({ kind: 'drop-table', record: table }))
        : []),
      { kind: 'forget-mirror' },
    ],
  };
}

/**
 * Of a mirror that this destination does not know: its file may have named another one when the slot was
 * made. Somebody else's is none of ours to drop, and one that is read keeps no WAL for nobody.
 */
function leftSlot(mirror: Mirror, look: RemovalLook): Refusal[] {
  const { slot } = look;
  if (slot === undefined || slot.active || !isOurs(slot, look)) return [];
  return [
    refuse(
      undefined,
      'SlotUnknown',
      `slot ${mirror.slot} is still on the source and nobody reads it, but this destination knows no mirror ${mirror.name}`,
      'Did the file name another destination before? Put it back as it was, then remove it. ' +
        `If nobody needs the slot, in database ${look.source.database}: ${join(unrecordedSql(mirror))} ` +
        `If it is somebody else's, delete ${appliedFile(mirror)}.`,
    ),
  ];
}

/** A slot of another plugin or database is none that we could have made. */
function isOurs(slot: Observed['slot'], { source }: RemovalLook): boolean {
  return slot?.plugin === 'pgoutput' && slot.database === source.database;
}

/** What a slot is that an interrupted try or release may have left, as far as a look tells. */
function leftThere(look: RemovalLook, record: MirrorRecord): 'ours' | 'strange' | 'none' {
  const { slot } = look;
  if (slot === undefined || !isOurs(slot, look)) return 'none';
  return isSomebodyElses(slot, record, look) ? 'strange' : 'ours';
}

/** A managed one has the slot's name; a file may give that name to somebody else's. */
function ownsPublication({ slot, publication }: Mirror, record: MirrorRecord): boolean {
  const isNamed = publication.name === record.publication;
  return record.publication === slot && (!isNamed || publication.managed);
}

/** The look is at the one that the file names. */
function mayBeThere(
  mirror: Mirror,
  record: MirrorRecord,
  publication: RemovalLook['publication'],
): boolean {
  return publication !== undefined || record.publication !== mirror.publication.name;
}

/** Those that a truncate took from tables that stay: also where the table they point at is to be dropped, which they then forbid. */
function planForeignKeys(
  { tables, deletionPolicy }: Mirror,
  ledger: ObservedLedger,
): RemovalStep[] {
  const goes = (table: TableName): boolean =>
    deletionPolicy === 'Delete' &&
    ledger.tables.some(({ destination }) => sameTable(destination, table));
  return ledger.savedForeignKeys
    .filter(({ owner }) => !goes(owner))
    .map((saved) => ({
      kind: 'restore-foreign-key',
      table: tables.find(({ destination }) => sameTable(destination, saved.table)),
      saved,
    }));
}

/** Tables that have some of their source's rows, or none, where they should have all. */
export function halfCopied(records: readonly TableRecord[]): TableRecord[] {
  return records.filter(
    ({ state }) => 'run' in state && state.run !== undefined && state.run.strategy === 'truncate',
  );
}

/** What to run at the source, in the database that was copied, when nobody can wait for us to do it. */
export function byHandSql(mirror: Mirror, record: MirrorRecord): string[] {
  return cleanSourceSql(
    record.slot,
    ownsPublication(mirror, record) ? record.publication : undefined,
  );
}

/** An error of the source while the mirror is removed, with what a human can do about it. */
export function withWayOut(error: MirrorError, mirror: Mirror, record: MirrorRecord): MirrorError {
  return withHint(
    error,
    `It is tried again. By hand, at the source in database ${record.sourceDatabase}: ${join(byHandSql(mirror, record))} ` +
      `If that source is gone for ever, delete ${appliedFile(mirror)}.`,
  );
}

/** Of the destination. What its ledger says is not known then: only a human can tell what the mirror made. */
export function withWayOutUnknown(error: MirrorError, mirror: Mirror): MirrorError {
  return withHint(
    error,
    `It is tried again. If that destination is gone for ever: what this mirror made at the source goes, in database ${mirror.source.database}, by ${join(unrecordedSql(mirror))} ` +
      `Then delete ${appliedFile(mirror)}.`,
  );
}

/** The last word on a mirror that its destination does not know, while its source cannot be asked. */
export function leftUnasked(mirror: Mirror): string {
  return (
    `the destination knows no mirror ${mirror.name}, and the source cannot be asked: nothing is undone. A slot that is still there keeps WAL; ` +
    `it goes, in database ${mirror.source.database}, by ${join(unrecordedSql(mirror))}`
  );
}

/** By the file alone. */
function unrecordedSql({ slot, publication }: Mirror): string[] {
  return cleanSourceSql(slot, publication.managed ? publication.name : undefined);
}

function withHint({ code, message, cause }: MirrorError, hint: string): MirrorError {
  return new MirrorError(code, message, { cause, hint });
}

function join(statements: readonly string[]): string {
  return statements.map((statement) => `${statement};`).join(' ');
}

function appliedFile({ name }: Mirror): string {
  return `.applied/${name}.yaml in the status directory`;
}
