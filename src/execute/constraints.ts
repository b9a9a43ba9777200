import type { MirrorTable } from '../core/mirror.ts';
import type { ConstraintShape, IndexShape, TableShape } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import { observeDestinationShape } from '../observe/shapes.ts';
import { desiredShape } from '../plan/desired-shape.ts';
import { keyDrift, type KeyDrift } from '../plan/drift.ts';
import type { Step } from '../plan/plan.ts';
import type { Session } from '../postgres/session.ts';
import {
  addConstraintSql,
  addConstraintUsingIndexSql,
  createIndexSql,
  dropIndexConcurrentlySql,
  numberedName,
} from '../sql/key-ddl.ts';
import { quoteTable } from '../sql/quote.ts';
import type { ExecuteContext } from './context.ts';
import type { Outcome } from './outcome.ts';

type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

/** What a copy needs to build keys after its rows. */
export type BuildContext = Pick<ExecuteContext, 'mirror' | 'destination' | 'log'>;

/**
 * Primary key, unique and exclusion constraints that the destination table lacks, compared by
 * definition; and, where indexes are not mirrored, the one that is the replica identity. Not
 * concurrently: the caller's copy has the table for itself. Idempotent. `source` is the source's shape.
 */
export async function buildKeys(
  ctx: BuildContext,
  table: MirrorTable,
  source: TableShape,
): Promise<void> {
  const { destination, mirror, log } = ctx;
  const { constraints } = await missingParts(ctx, table, source);
  for (const missing of constraints) {
    const constraint = await underFreeName(destination, table.destination, missing);
    await destination.query(addConstraintSql(table.destination, constraint));
    log.debug({ constraint: constraint.name }, 'constraint added');
  }
  if (!mirror.replicateIndexes) await buildIndexes(ctx, table, source);
}

/** The indexes that no constraint owns and the destination table lacks. As buildKeys otherwise. */
export async function buildIndexes(
  ctx: BuildContext,
  table: MirrorTable,
  source: TableShape,
): Promise<void> {
  const { destination, log } = ctx;
  for (const missing of (await missingParts(ctx, table, source)).indexes) {
    const index = await underFreeName(destination, table.destination, missing);
    await dropInvalidIndex(destination, table.destination, index.name);
    await destination.query(createIndexSql(table.destination, index, { concurrently: false }));
    log.debug({ index: index.name }, 'index created');
  }
}

async function missingParts(
  { mirror, destination, log }: BuildContext,
  table: MirrorTable,
  source: TableShape,
): Promise<KeyDrift> {
  const actual = await observeDestinationShape(destination, table.destination);
  if (actual === undefined)
    throw new Error(`${formatTableName(table.destination)} is gone from the destination`);
  const drift = keyDrift(desiredShape(mirror, table, source), actual);
  if (drift.differing.length > 0)
    log.warn({ names: drift.differing }, 'defined otherwise than at the source, left as they are');
  return drift;
}

/**
 * A key of a Live table: its index CONCURRENTLY, so that the stream goes on, then the constraint from
 * it under a short lock. Where an index cannot become the constraint, or the table is partitioned, at once.
 */
export async function createConstraint(
  { destination }: ExecuteContext,
  { kind, table, constraint }: StepOf<'create-constraint'>,
): Promise<Outcome> {
  const name = table.destination;
  const actual = await observeDestinationShape(destination, name);
  const changed = actual !== undefined && !hasPart(actual, constraint);
  if (changed) {
    const named = await underFreeName(destination, name, constraint);
    await addConstraint(destination, actual, named);
  }
  return {
    step: kind,
    table: name,
    changed,
    message: `${constraint.kind} ${constraint.name} on ${formatTableName(name)}`,
  };
}

async function addConstraint(
  destination: Session,
  actual: TableShape,
  constraint: ConstraintShape,
): Promise<void> {
  const { indexDefinition } = constraint;
  if (indexDefinition === undefined || actual.kind === 'partitioned') {
    await destination.query(addConstraintSql(actual.name, constraint));
    return;
  }
  const sql = addConstraintUsingIndexSql(actual.name, constraint, indexDefinition);
  // An index of that name and definition is what an earlier try built.
  const built = actual.indexes.some(
    (index) =>
      index.valid &&
      index.unique &&
      index.name === constraint.name &&
      index.definition === indexDefinition,
  );
  if (!built)
    await buildConcurrently(destination, actual.name, {
      name: constraint.name,
      sql: sql.createIndex,
    });
  await destination.query(sql.addConstraint);
}

/** An index of a Live table, CONCURRENTLY. */
export async function createIndex(
  { destination }: ExecuteContext,
  { kind, table, index }: StepOf<'create-index'>,
): Promise<Outcome> {
  const name = table.destination;
  const actual = await observeDestinationShape(destination, name);
  const changed = actual !== undefined && !hasPart(actual, index);
  if (changed) {
    const concurrently = actual.kind !== 'partitioned';
    const named = await underFreeName(destination, name, index);
    const sql = createIndexSql(name, named, { concurrently });
    if (concurrently) await buildConcurrently(destination, name, { name: named.name, sql });
    else await destination.query(sql);
  }
  return {
    step: kind,
    table: name,
    changed,
    message: `index ${index.name} on ${formatTableName(name)}`,
  };
}

/** A relation of that name that is no index of the table. */
const SELECT_NAMESAKE = /* sql */ `
select 1 as found
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2
  and not exists (select from pg_index i where i.indexrelid = c.oid and i.indrelid = to_regclass($3))`;

/**
 * An index shares its name with no other relation of its schema, and a table may have come from another
 * one, or under another name. Then it gets a number, as the server's own would.
 */
async function underFreeName<P extends ConstraintShape | IndexShape>(
  session: Session,
  table: TableName,
  part: P,
): Promise<P> {
  for (let number = 0; ; number += 1) {
    const name = number === 0 ? part.name : numberedName(part.name, number);
    const values = [table.schema, name, quoteTable(table)];
    if ((await session.query(SELECT_NAMESAKE, values)).length === 0) return { ...part, name };
  }
}

function hasPart(actual: TableShape, part: ConstraintShape | IndexShape): boolean {
  const desired: TableShape = {
    ...actual,
    constraints: 'kind' in part ? [part] : [],
    indexes: 'kind' in part ? [] : [part],
  };
  const drift = keyDrift(desired, actual);
  return drift.constraints.length + drift.indexes.length + drift.differing.length === 0;
}

/**
 * CONCURRENTLY waits for every transaction that might use the table, which lock_timeout would cut
 * off; it keeps nobody waiting meanwhile. What breaks off leaves an invalid index, which is dropped.
 */
async function buildConcurrently(
  destination: Session,
  table: TableName,
  index: { readonly name: string; readonly sql: string },
): Promise<void> {
  const [row] = await destination.query(`select current_setting('lock_timeout') as lock_timeout`);
  await destination.query('set lock_timeout = 0');
  try {
    await dropInvalidIndex(destination, table, index.name);
    await destination.query(index.sql);
  } catch (error) {
    if (destination.usable) await dropInvalidIndex(destination, table, index.name);
    throw error;
  } finally {
    if (destination.usable)
      await destination.query(`select set_config('lock_timeout', $1, false)`, [
        row?.['lock_timeout'] ?? '0',
      ]);
  }
}

/** Only one that is invalid, on this table, and that nobody is building now. */
const SELECT_INVALID_INDEX = /* sql */ `
select 1 as found
from pg_index i
join pg_class x on x.oid = i.indexrelid
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and x.relname = $3 and not i.indisvalid
  and not exists (select 1 from pg_stat_progress_create_index p where p.index_relid = i.indexrelid)`;

async function dropInvalidIndex(
  destination: Session,
  table: TableName,
  name: string,
): Promise<void> {
  const found = await destination.query(SELECT_INVALID_INDEX, [table.schema, table.name, name]);
  if (found.length > 0) await destination.query(dropIndexConcurrentlySql(table, name));
}
