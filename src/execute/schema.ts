import type { ObservedType } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import { observeDestinationShape } from '../observe/shapes.ts';
import { observeTypesByName } from '../observe/type-definitions.ts';
import { desiredShape, mapSequence } from '../plan/desired-shape.ts';
import type { Step } from '../plan/plan.ts';
import type { Session } from '../postgres/session.ts';
import { createSchemaSql, createSequenceSql, createTableSql, ownSequenceSql } from '../sql/ddl.ts';
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

/** The table and, in the same transaction, the ownership of its serials' sequences. One that exists is left as it is. */
export async function createTable(
  { destination, mirror }: ExecuteContext,
  { kind, table, source }: StepOf<'create-table'>,
): Promise<Outcome> {
  const name = table.destination;
  const changed = (await observeDestinationShape(destination, name)) === undefined;
  if (changed) {
    const shape = desiredShape(mirror, table, source);
    const serials = shape.sequences.filter((sequence) => sequence.kind === 'serial');
    await destination.transaction(async () => {
      await destination.query(createTableSql(shape));
      for (const sequence of serials)
        if (!(await isOwned(destination, sequence.name)))
          await destination.query(ownSequenceSql(sequence, name));
    });
  }
  return { step: kind, table: name, changed, message: `table ${formatTableName(name)}` };
}

const SELECT_RELATION = /* sql */ `
select 1 as found
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2`;

async function relationExists(session: Session, name: TableName): Promise<boolean> {
  return (await session.query(SELECT_RELATION, [name.schema, name.name])).length > 0;
}

const SELECT_SEQUENCE_OWNER = /* sql */ `
select 1 as found
from pg_depend d
join pg_class c on c.oid = d.objid
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2 and d.classid = 'pg_class'::regclass
  and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0 and d.deptype in ('a', 'i')`;

/** A sequence that was there before may belong to another table: it stays with it. */
async function isOwned(session: Session, name: TableName): Promise<boolean> {
  return (await session.query(SELECT_SEQUENCE_OWNER, [name.schema, name.name])).length > 0;
}
