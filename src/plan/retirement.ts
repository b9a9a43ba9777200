/**
 * Which rows of the ledger are let go of. One whose table has left the file goes; one whose table is to be
 * elsewhere from now on goes only when that table is not refused there: a mistyped destination that is taken
 * back has cost nothing.
 */
import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { ObservedLedger } from '../core/observed.ts';
import { formatTableName, sameTable, type TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { Notice, Refusal, Step } from './plan.ts';
import { refuse } from './refuse.ts';
import { isRecordOf } from './table-case.ts';

export interface Retirement {
  readonly steps: readonly Step[];
  /** Of tables that are to come where a row stays. */
  readonly refusals: readonly Refusal[];
  /** Of rows that stay though the file has another place for their tables. */
  readonly notices: readonly Notice[];
}

/** `refused`: the tables of the file that are, for their own sake. */
export function planRetirement(
  mirror: Mirror,
  { tables: records }: ObservedLedger,
  refused: readonly MirrorTable[],
): Retirement {
  const unnamed = records.filter((one) => !mirror.tables.some((table) => isRecordOf(one, table)));
  const waiting = new Map<MirrorTable, TableRecord>();
  const staying = (): TableRecord[] =>
    unnamed.filter((record) => {
      const table = tableOf(mirror, record);
      return table !== undefined && (refused.includes(table) || waiting.has(table));
    });
  // Each that stays may keep another one out, whose own row then stays too.
  let blocked: MirrorTable | undefined;
  do {
    const stay = staying();
    const rowAt = ({ destination }: MirrorTable): TableRecord | undefined =>
      stay.find((record) => sameTable(record.destination, destination));
    blocked = mirror.tables.find(
      (table) => !refused.includes(table) && !waiting.has(table) && rowAt(table) !== undefined,
    );
    const row = blocked && rowAt(blocked);
    if (blocked !== undefined && row !== undefined) waiting.set(blocked, row);
  } while (blocked !== undefined);
  const kept = staying();
  return {
    steps: unnamed
      .filter((record) => !kept.includes(record))
      .map((record): Step => ({
        kind: 'retire-table',
        record,
        // One that another source table fills from now on stays.
        drop: mirror.deletionPolicy === 'Delete' && !isDestination(mirror, record.destination),
      })),
    refusals: [...waiting].map(([table, record]) => takenRefusal(table, record)),
    notices: kept.map((record) => keptNotice(record, tableOf(mirror, record))),
  };
}

function tableOf({ tables }: Mirror, record: TableRecord): MirrorTable | undefined {
  return tables.find(({ source }) => sameTable(source, record.source));
}

function isDestination({ tables }: Mirror, name: TableName): boolean {
  return tables.some(({ destination }) => sameTable(destination, name));
}

function takenRefusal(table: MirrorTable, record: TableRecord): Refusal {
  const source = formatTableName(record.source);
  return refuse(
    table,
    'DestinationTaken',
    `${formatTableName(record.destination)} is still where ${source} is mirrored, and the new place of that is refused`,
    `See what is said of ${source}: when that can go, this one takes its place.`,
  );
}

function keptNotice({ source, destination }: TableRecord, table: MirrorTable | undefined): Notice {
  const to = table === undefined ? 'another place' : formatTableName(table.destination);
  const message = `${formatTableName(destination)}: ${formatTableName(source)} stays mirrored there, as it is refused at ${to}`;
  return { table, reason: 'LeftInPlace', message };
}
