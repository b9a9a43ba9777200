/** The swap itself: in one transaction the shadow takes the table's place, with everything that belongs to it. */
import { isDeepStrictEqual } from 'node:util';
import type { Side } from '../core/belongings.ts';
import { checkpoint } from '../core/checkpoint.ts';
import { driverCode, MirrorError } from '../core/errors.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import { readBothSides } from '../observe/belongings.ts';
import { readSwapObstacles } from '../observe/swap-obstacles.ts';
import { saveForeignKey, type Owner } from '../postgres/ledger.ts';
import type { Row, Session } from '../postgres/session.ts';
import { type LeftOut, oldOf, shadowOf } from '../sql/shadow.ts';
import {
  type LockList,
  SELECT_LOCK_LIST,
  SELECT_SETTINGS,
  setPlansSql,
  setTimeoutsSql,
} from '../sql/swap-lock.ts';
import { isOutgrown, keptForeignKeys, type Swap, swapSql } from '../sql/swap.ts';
import {
  inLockOrder,
  letVacuumGiveWay,
  lockAll,
  LOCK_TIMEOUT_MS,
  namingBlockers,
} from './lock-tables.ts';
import { completeShadow, missingParts } from './shadow.ts';

/** What a try needs and has no time to find out. */
export interface SwapPlan {
  readonly locks: LockList;
  readonly leftOut: LeftOut;
}

/**
 * Outside any boundary, on a session that is not the stream's: the shadow gets what the live table got
 * since it was built, and a vacuum of the server's own gives way. Throws SwapObstructed for what came up
 * while the rows were copied, LockTimeout when another kind of maintenance holds the table.
 */
export async function prepareSwap(session: Session, record: TableRecord): Promise<SwapPlan> {
  await refuseObstacles(session, record.destination);
  const leftOut = await completeShadow(session, record);
  const locks = await readLockList(session, record);
  await letVacuumGiveWay(session, locks);
  return { locks, leftOut };
}

/** Not all of them make the swap itself fail: a table that inherits would quietly do so no longer. */
async function refuseObstacles(session: Session, table: TableName): Promise<void> {
  const found = (await readSwapObstacles(session, [table])).get(formatTableName(table)) ?? [];
  const sentences = found
    .filter(({ columns }) => columns === undefined)
    .map(({ object, reason }) => `${object} ${reason}`);
  if (sentences.length > 0)
    throw new MirrorError('SwapObstructed', `${formatTableName(table)}: ${sentences.join('; ')}`);
}

async function readLockList(session: Session, record: TableRecord): Promise<LockList> {
  const { schema, name } = record.destination;
  const rows = await session.query(SELECT_LOCK_LIST, [schema, name]);
  const names = (kind: 't' | 'f'): TableName[] =>
    rows.filter((row) => row['view'] === kind).map(relationName);
  // A vacuum of the shadow, which was just filled, is as much in the way as one of the table.
  return { views: names('t'), tables: inLockOrder([...names('f'), shadowOf(record)]) };
}

function relationName(row: Row): TableName {
  return { schema: row['schema'] ?? '', name: row['name'] ?? '' };
}

/**
 * In the caller's transaction. Afterwards the shadow is the table, and the old one waits in our schema
 * for dropShadow; the foreign keys are there, NOT VALID, and in the ledger for the plan to validate. Throws
 * LockTimeout with who is in the way, SwapObstructed with what cannot be carried over, SchemaMismatch when
 * the live table got a column meanwhile; the caller's transaction must then be rolled back.
 */
export async function swapTables(
  session: Session,
  owner: Owner,
  record: TableRecord,
  plan: SwapPlan,
): Promise<void> {
  const before = await readSettings(session);
  const swap = await namingBlockers(session, plan.locks, async () =>
    lockAndRead(session, owner, record, plan),
  );
  try {
    await session.run(
      [...swapSql(swap, before.role), ...setTimeoutsSql(before), setPlansSql(before.plans)].join(
        ';\n',
      ),
    );
  } catch (error) {
    throw obstruction(record, error);
  }
  checkpoint('swapped', record.source);
}

/** Leaves the timeouts and the kind of plans as it needs them. */
async function lockAndRead(
  session: Session,
  owner: Owner,
  record: TableRecord,
  plan: SwapPlan,
): Promise<Swap> {
  const limits = setTimeoutsSql({ lock: LOCK_TIMEOUT_MS, statement: 0 });
  await session.run([...limits, setPlansSql('force_generic_plan')].join(';\n'));
  const foreseen = await readSwap(session, record, plan);
  for (const key of keptForeignKeys(foreseen))
    if (key.validated || isOutgrown(key, foreseen))
      await saveForeignKey(session, owner, { ...key, table: key.references });
  await lockAll(session, plan.locks).catch((error: MirrorError) => {
    throw driverCode(error.cause) === UNDEFINED_TABLE ? lookAgain(error.message, error) : error;
  });
  // From here on readers wait: one look, one batch.
  const swap = await readSwap(session, record, plan);
  if (!isDeepStrictEqual(keptForeignKeys(swap), keptForeignKeys(foreseen)))
    throw lookAgain(`foreign keys of ${formatTableName(record.destination)} changed`);
  return swap;
}

interface Settings {
  readonly lock: string;
  readonly statement: string;
  readonly plans: string;
  readonly role: string;
}

async function readSettings(session: Session): Promise<Settings> {
  const [row] = await session.query(SELECT_SETTINGS);
  if (!row) throw new Error('no settings');
  return row as unknown as Settings;
}

/** Throws what refuses it. */
async function readSwap(session: Session, record: TableRecord, plan: SwapPlan): Promise<Swap> {
  const { live, shadow } = await readBothSides(session, record.destination, shadowOf(record));
  if (live === undefined || shadow === undefined) {
    const gone = live === undefined ? record.destination : shadowOf(record);
    throw new MirrorError('TableMissing', `${formatTableName(gone)} is gone`, {
      hint: 'The copy starts again.',
    });
  }
  refuseDifference(live, shadow, plan.leftOut);
  return { live, shadow, old: oldOf(record), leftOut: plan.leftOut };
}

/** Nothing that came after prepareSwap looked may be lost. */
function refuseDifference(live: Side, shadow: Side, leftOut: LeftOut): void {
  const name = formatTableName(live.table);
  const columns = new Set(shadow.parts.columns.map((column) => column.name));
  const column = live.parts.columns.find((candidate) => !columns.has(candidate.name));
  if (column !== undefined)
    throw new MirrorError(
      'SchemaMismatch',
      `${name} got column ${column.name} while it was copied`,
      {
        hint: 'The copy starts again, with the column.',
      },
    );
  const { checks, keys, indexes, statistics } = missingParts(live.parts, shadow.parts, leftOut);
  const [missing] = [
    ...[...checks, ...keys, ...indexes].map((part) => part.name),
    ...statistics.map((part) => formatTableName(part.name)),
  ];
  if (missing !== undefined) throw lookAgain(`${name} got ${missing} at this very moment`);
}

/** The plan is out of date: the next try makes another. */
function lookAgain(message: string, cause?: unknown): MirrorError {
  return new MirrorError('LockTimeout', message, {
    cause,
    hint: 'It changed while the swap was made ready; it is tried again.',
  });
}

const UNDEFINED_TABLE = '42P01';
/** Errors that say that some object stands in the way, by the beginning of their SQLSTATE. */
const OBSTACLE_CLASSES = ['0A', '2B', '42', '55'];

/** What depends on the old table is named in the error's detail, which holds no row. */
function obstruction(record: TableRecord, error: unknown): unknown {
  if (!(error instanceof MirrorError)) return error;
  const code = driverCode(error.cause) ?? '';
  if (error.code === 'LockTimeout' || error.code === 'PermissionDenied') return error;
  if (!OBSTACLE_CLASSES.includes(code.slice(0, 2))) return error;
  const detail = code === '2BP01' ? detailOf(error.cause) : undefined;
  const message = (detail ?? error.message).replaceAll(/\s*\n\s*/g, '; ');
  return new MirrorError('SwapObstructed', `${formatTableName(record.destination)}: ${message}`, {
    cause: error.cause,
  });
}

/** Of dependent_objects_still_exist: what depends, a line each. */
export function detailOf(cause: unknown): string | undefined {
  return cause instanceof Error && 'detail' in cause && typeof cause.detail === 'string'
    ? cause.detail
    : undefined;
}
