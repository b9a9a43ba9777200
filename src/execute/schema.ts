import type { MirrorTable } from '../core/mirror.ts';
import type { ObservedType, SequenceShape } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import { runOf } from '../core/table-state.ts';
import { observeDestinationShape } from '../observe/shapes.ts';
import { observeTypesByName } from '../observe/type-definitions.ts';
import { desiredShape, mapSequence } from '../plan/desired-shape.ts';
import type { Step } from '../plan/plan.ts';
import { isRecordOf } from '../plan/table-case.ts';
import { writeFilled } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import {
  createSchemaSql,
  createSequenceSql,
  createTableSql,
  giveSequenceSql,
  ownSequenceSql,
} from '../sql/ddl.ts';
import { quoteTable } from '../sql/quote.ts';
import type { ExecuteContext } from './context.ts';
import type { Outcome } from './outcome.ts';

type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

const SELECT_SCHEMA = /* sql */ `select 1 as found from pg_namespace where nspname = $1`;

/** CREATE SCHEMA IF NOT EXISTS alone would ask for the right to create also where nothing is to be created. */
export async function createSchema(
  { destination }: ExecuteContext,
  { kind, schema }: StepOf<'create-schema'>,
): Promise<Outcome> {
  const found = (await destination.query(SELECT_SCHEMA, [schema])).length > 0;
  if (!found) await destination.query(createSchemaSql(schema));
  return { step: kind, changed: !found, message: `schema ${schema}` };
}

/** Creates it, or adds to an enum what it lacks. */
export async function createType(
  { destination }: ExecuteContext,
  { kind, type }: StepOf<'create-type'>,
): Promise<Outcome> {
  const changed = type.state === 'different' || !(await typeExists(destination, type));
  if (changed) for (const statement of type.createSql) await destination.query(statement);
  return { step: kind, changed, message: `${type.kind} ${formatTableName(type.name)}` };
}

async function typeExists(destination: Session, type: ObservedType): Promise<boolean> {
  return (await observeTypesByName(destination, [type.name])).length > 0;
}

/** One that exists is left as it is. */
export async function createSequence(
  { destination }: ExecuteContext,
  { kind, table, sequence }: StepOf<'create-sequence'>,
): Promise<Outcome> {
  const mapped = mapSequence(sequence, table);
  const changed = !(await relationExists(destination, mapped.name));
  if (changed) await destination.query(createSequenceSql(mapped));
  return {
    step: kind,
    table: table.destination,
    changed,
    message: `sequence ${formatTableName(mapped.name)}`,
  };
}

/**
 * The table and, in the same transaction, the ownership of its serials' sequences, and that it is empty
 * where the ledger has its rows. One that exists is left as it is.
 */
export async function createTable(
  ctx: ExecuteContext,
  { kind, table, source }: StepOf<'create-table'>,
): Promise<Outcome> {
  const { destination, mirror } = ctx;
  const name = table.destination;
  const changed = (await observeDestinationShape(destination, name)) === undefined;
  if (changed) {
    const shape = desiredShape(mirror, table, source);
    await destination.transaction(async () => {
      await destination.query(createTableSql(shape));
      await ownSequences(destination, name, shape.sequences);
      await recordEmpty(ctx, table);
    });
  }
  return { step: kind, table: name, changed, message: `table ${formatTableName(name)}` };
}

/** Between this and its copy it must not be taken for the one that was filled. A run has its own. */
async function recordEmpty(
  { destination, observed, owner }: ExecuteContext,
  table: MirrorTable,
): Promise<void> {
  const { systemIdentifier, databaseOid } = observed.destination;
  const record = observed.ledger.tables.find((candidate) => isRecordOf(candidate, table));
  if (record === undefined || record.state.phase === 'Pending' || runOf(record) !== undefined)
    return;
  await writeFilled(destination, owner, record.id, { oid: 0, systemIdentifier, databaseOid });
}

const SELECT_RELATION = /* sql */ `
select 1 as found
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2`;

async function relationExists(session: Session, name: TableName): Promise<boolean> {
  return (await session.query(SELECT_RELATION, [name.schema, name.name])).length > 0;
}

const SELECT_OWNER = /* sql */ `
select pg_get_userbyid(c.relowner)::text as owner
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2`;

/** Makes the sequences that columns of a table that is there will name as default. One that exists is left as it is. */
export async function provideSequences(
  session: Session,
  table: TableName,
  sequences: readonly SequenceShape[],
): Promise<void> {
  const [row] = await session.query(SELECT_OWNER, [table.schema, table.name]);
  for (const sequence of sequences) {
    if (sequence.kind === 'identity' || (await relationExists(session, sequence.name))) continue;
    await session.query(createSequenceSql(sequence));
    // A column can have only a sequence of the table's owner.
    await session.query(giveSequenceSql(sequence, row?.['owner'] ?? ''));
  }
}

/** Internal: an identity's sequence stays with its column. */
const SELECT_OTHER_OWNER = /* sql */ `
select 1 as found
from pg_depend d
join pg_class c on c.oid = d.objid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and d.classid = 'pg_class'::regclass
  and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
  and (d.deptype = 'i' or d.deptype = 'a' and d.refobjid <> to_regclass($3))`;

/** Ties serials' sequences to their columns. One that was there before may belong to another table: it stays with it. */
export async function ownSequences(
  session: Session,
  table: TableName,
  sequences: readonly SequenceShape[],
): Promise<void> {
  for (const sequence of sequences) {
    if (sequence.kind !== 'serial') continue;
    const { schema, name } = sequence.name;
    const others = await session.query(SELECT_OTHER_OWNER, [schema, name, quoteTable(table)]);
    if (others.length === 0) await session.query(ownSequenceSql(sequence, table));
  }
}
