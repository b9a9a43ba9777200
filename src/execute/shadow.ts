/** The shadow of a swap: a table like the live one, in a schema of its own, filled while the live one is read. */
import type { TableParts, Trigger } from '../core/belongings.ts';
import { checkpoint } from '../core/checkpoint.ts';
import { MirrorError } from '../core/errors.ts';
import type { Mend } from '../core/mend.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import { readBothSides } from '../observe/belongings.ts';
import { readTableParts } from '../observe/table-parts.ts';
import { fenceTable, type Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import { addChecksSql, mendSql } from '../sql/mend.ts';
import {
  addIndexSql,
  addCheckSql,
  addKeySql,
  addStatisticsSql,
  addTriggerSql,
  chooseIndexesSql,
  createShadowSql,
  createSwapSchemaSql,
  dropSwappedSql,
  isSwapSchema,
  type LeftOut,
  leftOutIn,
  oldOf,
  renameSequencesSql,
  SELECT_SWAP_SCHEMAS,
  shadowOf,
  shadowStatistics,
  tuneSql,
} from '../sql/shadow.ts';
import { provideSequences } from './schema.ts';

/**
 * Drops what an earlier run left, then makes the shadow: empty, in the source's shape, without keys and
 * indexes. Idempotent; one transaction. Returns its name. Throws SwapObstructed when a schema of that
 * name is not ours.
 */
export async function createShadow(
  session: Session,
  owner: Owner,
  record: TableRecord,
  mend: Mend,
): Promise<TableName> {
  const [live, shadow] = [record.destination, shadowOf(record)];
  const leftOut = { constraints: mend.droppedConstraints, indexes: mend.droppedIndexes };
  await session.transaction(async () => {
    await dropBoth(session, owner, record);
    const parts = await partsOf(session, live);
    for (const statement of [
      ...createSwapSchemaSql(shadow.schema, leftOut),
      ...createSwapSchemaSql(oldOf(record).schema),
      createShadowSql(shadow, live, parts),
    ])
      await session.query(statement);
    await provideSequences(session, live, mend.sequences);
    const made = await partsOf(session, shadow);
    for (const statement of [
      ...renameSequencesSql(made.sequences, parts.sequences),
      // What goes with the live table's place goes then, with all that the server knows of it.
      ...mendSql(shadow, { ...mend, dropped: [] }),
      ...tuneSql(shadow, parts),
      ...parts.checks
        .filter(({ name, validated }) => validated && !leftOut.constraints.includes(name))
        .map((check) => addCheckSql(shadow, check)),
      ...addChecksSql(shadow, mend),
      ...(await fillingTriggers(session, live, shadow)).flatMap((trigger) =>
        addTriggerSql(shadow, trigger),
      ),
    ])
      await session.query(statement);
  });
  return shadow;
}

async function fillingTriggers(
  session: Session,
  live: TableName,
  shadow: TableName,
): Promise<Trigger[]> {
  const sides = await readBothSides(session, live, shadow);
  return sides.live?.belongings.triggers.filter(({ fills }) => fills) ?? [];
}

/**
 * After the rows: constraints, indexes and statistics of the live table, under their names, but for what
 * mend drops. Those that exist only at the destination too. Idempotent: builds what is missing. ANALYZE
 * is the caller's, when every index is there.
 */
export async function buildShadow(
  session: Session,
  record: TableRecord,
  mend: Mend,
): Promise<void> {
  await buildMissing(session, record, {
    constraints: mend.droppedConstraints,
    indexes: mend.droppedIndexes,
  });
}

/** The same for a shadow that was built in an earlier life of this process. Returns what it was built without. */
export async function completeShadow(session: Session, record: TableRecord): Promise<LeftOut> {
  const { schema } = shadowOf(record);
  const comment = (await ownSchemas(session, [schema])).get(schema);
  if (comment === undefined)
    throw new MirrorError(
      'TableMissing',
      `the shadow ${formatTableName(shadowOf(record))} is gone`,
      {
        hint: 'The copy starts again.',
      },
    );
  const leftOut = leftOutIn(comment);
  await buildMissing(session, record, leftOut);
  return leftOut;
}

async function buildMissing(
  session: Session,
  record: TableRecord,
  leftOut: LeftOut,
): Promise<void> {
  const shadow = shadowOf(record);
  const live = await partsOf(session, record.destination);
  const present = await partsOf(session, shadow);
  const missing = missingParts(live, present, leftOut);
  for (const statement of [
    ...missing.keys.map((key) => addKeySql(shadow, key)),
    ...missing.indexes.flatMap((index) => addIndexSql(shadow, index)),
    ...missing.checks.map((check) => addCheckSql(shadow, check)),
    ...missing.statistics.flatMap((statistics) => addStatisticsSql(shadow, statistics)),
    ...chooseIndexesSql(shadow, live, present, leftOut),
  ])
    await session.query(statement);
}

type Missing = Pick<TableParts, 'checks' | 'keys' | 'indexes' | 'statistics'>;

/** What the live table has and its shadow has not, of what it shall have. */
export function missingParts(live: TableParts, shadow: TableParts, leftOut: LeftOut): Missing {
  const has = (parts: readonly { readonly name: string }[], name: string): boolean =>
    parts.some((part) => part.name === name);
  const twins = new Set(shadow.statistics.map(({ name }) => name.name));
  return {
    checks: live.checks.filter(
      ({ name }) => !leftOut.constraints.includes(name) && !has(shadow.checks, name),
    ),
    keys: live.keys.filter(
      ({ name }) => !leftOut.constraints.includes(name) && !has(shadow.keys, name),
    ),
    indexes: live.indexes.filter(
      ({ name }) => !leftOut.indexes.includes(name) && !has(shadow.indexes, name),
    ),
    statistics: live.statistics.filter(
      (statistics) => !twins.has(shadowStatistics('', statistics).name),
    ),
  };
}

/**
 * The shadow, the old table and both schemas, whichever are there. Idempotent, never CASCADE. Throws
 * SwapObstructed when a schema of that name is not ours, NotOwner when it is the next daemon's.
 */
export async function dropShadow(
  session: Session,
  owner: Owner,
  record: TableRecord,
): Promise<void> {
  const dropped = await session.transaction(async () => dropBoth(session, owner, record));
  if (dropped) checkpoint('old-dropped', record.source);
}

/** The same in the caller's transaction. Returns whether anything was there. */
export async function dropBoth(
  session: Session,
  owner: Owner,
  record: TableRecord,
): Promise<boolean> {
  await fenceTable(session, owner, record.id);
  const tables = [shadowOf(record), oldOf(record)];
  const present = await ownSchemas(
    session,
    tables.map(({ schema }) => schema),
  );
  for (const table of tables.filter(({ schema }) => present.has(schema)))
    for (const statement of dropSwappedSql(table)) await session.query(statement);
  return present.size > 0;
}

/** Those of these schemas that exist, with their comments. */
async function ownSchemas(
  session: Session,
  schemas: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await session.query(SELECT_SWAP_SCHEMAS, [`{${schemas.join(',')}}`]);
  return new Map(
    rows.map((row) => {
      const [schema, comment] = [row['schema'] ?? '', row['comment'] ?? ''];
      if (!isSwapSchema(comment))
        throw new MirrorError('SwapObstructed', `schema ${schema} exists, and we did not make it`);
      return [schema, comment];
    }),
  );
}

async function partsOf(session: Session, table: TableName): Promise<TableParts> {
  const parts = await readTableParts(session, table);
  if (parts === undefined)
    throw new MirrorError(
      'TableMissing',
      `destination table ${formatTableName(table)} does not exist, or is no ordinary table`,
    );
  return parts;
}
