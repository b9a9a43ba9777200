/** Rows of the ledger as records. */
import { MirrorError } from '../core/errors.ts';
import { parseLsn } from '../core/lsn.ts';
import type { Mirror } from '../core/mirror.ts';
import type { MirrorRecord, PublicationIdentity, SavedForeignKey } from '../core/observed.ts';
import type { FilledTable, TablePhase, TableRecord, TableState } from '../core/table-state.ts';
import type { Verification } from '../core/verification.ts';
import type { Row } from './session.ts';

export function toMirrorRecord(row: Row): MirrorRecord {
  const specHash = row['spec_hash'] ?? undefined;
  const spec = row['spec'] ?? undefined;
  const timeline = row['source_timeline'] ?? undefined;
  const publication = row['publication_identity'] ?? undefined;
  return {
    ...(specHash === undefined ? {} : { specHash }),
    ...(spec === undefined ? {} : { spec: JSON.parse(spec) as Partial<Mirror> }),
    ...(timeline === undefined ? {} : { sourceTimeline: Number(timeline) }),
    ...(publication === undefined
      ? {}
      : { publicationIdentity: JSON.parse(publication) as PublicationIdentity }),
    name: text(row, 'name'),
    slot: text(row, 'slot'),
    publication: text(row, 'publication'),
    slotState: text(row, 'slot_state') as MirrorRecord['slotState'],
    sourceSystemIdentifier: text(row, 'source_system_identifier'),
    sourceDatabase: text(row, 'source_database'),
    appliedLsn: parseLsn(text(row, 'applied_lsn')),
    epoch: BigInt(text(row, 'epoch')),
  };
}

export function toTableRecord(row: Row): TableRecord {
  const tableGeneration = row['observed_table_generation'];
  const sourceOid = row['source_oid'];
  const excluded = row['excluded_columns'] ?? undefined;
  const stale = row['stale_columns'] ?? undefined;
  const memberships = row['memberships'] ?? undefined;
  const filled = row['filled'] ?? undefined;
  const verification = row['verification'] ?? undefined;
  const verifyRequestedAt = row['verify_requested_at'] ?? undefined;
  return {
    id: text(row, 'id'),
    source: { schema: text(row, 'source_schema'), name: text(row, 'source_name') },
    destination: { schema: text(row, 'destination_schema'), name: text(row, 'destination_name') },
    ...(sourceOid === null || sourceOid === undefined ? {} : { sourceOid: Number(sourceOid) }),
    observed:
      tableGeneration === null || tableGeneration === undefined
        ? undefined
        : {
            table: Number(tableGeneration),
            mirror: Number(text(row, 'observed_mirror_generation')),
          },
    ...(excluded === undefined ? {} : { excludeColumns: JSON.parse(excluded) as string[] }),
    ...(memberships === undefined ? {} : { memberships: JSON.parse(memberships) as string[] }),
    ...(filled === undefined ? {} : { filled: JSON.parse(filled) as FilledTable }),
    ...(stale === undefined ? {} : { staleColumns: JSON.parse(stale) as string[] }),
    state: toTableState(row),
    ...(verification === undefined
      ? {}
      : { verification: JSON.parse(verification) as Verification }),
    ...(verifyRequestedAt === undefined ? {} : { verifyRequestedAt }),
  };
}

const PHASES: readonly string[] = [
  'Pending',
  'Copying',
  'CatchingUp',
  'Live',
  'Failed',
] satisfies TablePhase[];

function toTableState(row: Row): TableState {
  const state = JSON.parse(text(row, 'state')) as TableState | null;
  if (state !== null && PHASES.includes(state.phase)) return state;
  const table = `${text(row, 'source_schema')}.${text(row, 'source_name')}`;
  throw new MirrorError(
    'LedgerTooNew',
    `the ledger's state of ${table} is none that this program knows`,
    {
      hint: 'A newer bunnydb wrote it, and that version is to be run; or somebody edited it by hand: bunnydb.tables, column state, in the destination.',
    },
  );
}

export function toSavedForeignKey(row: Row): SavedForeignKey {
  return {
    id: text(row, 'id'),
    table: { schema: text(row, 'table_schema'), name: text(row, 'table_name') },
    owner: { schema: text(row, 'owner_schema'), name: text(row, 'owner_name') },
    name: text(row, 'name'),
    definition: text(row, 'definition'),
  };
}

/** Throws on null: that is a bug. */
export function text(row: Row, column: string): string {
  const value = row[column];
  if (value === null || value === undefined) throw new Error(`ledger: ${column} is null`);
  return value;
}
