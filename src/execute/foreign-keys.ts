import { checkpoint } from '../core/checkpoint.ts';
import { driverCode, MirrorError } from '../core/errors.ts';
import type { TableShape } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import { observeDestinationShape } from '../observe/shapes.ts';
import type { Step } from '../plan/plan.ts';
import { forgetForeignKey } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import {
  addForeignKeySql,
  isNotValid,
  restoreForeignKeySql,
  validateForeignKeySql,
} from '../sql/foreign-key-ddl.ts';
import type { ExecuteContext } from './context.ts';
import type { Outcome } from './outcome.ts';

type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

/**
 * NOT VALID first, which needs its locks for a moment only, then VALIDATE beside running writers.
 * Throws ConstraintViolated when rows break it: it is there then and holds for new ones.
 */
export async function addForeignKey(
  { destination }: ExecuteContext,
  { kind, table, foreignKey, references }: StepOf<'add-foreign-key'>,
): Promise<Outcome> {
  const owner = table.destination;
  const actual = await observeDestinationShape(destination, owner);
  const changed = actual !== undefined && !hasForeignKey(actual, foreignKey.name);
  if (changed) {
    const validate = actual.kind === 'partitioned';
    await destination.query(addForeignKeySql(owner, { ...foreignKey, references }, { validate }));
    if (!validate && foreignKey.validated) await validateKey(destination, owner, foreignKey.name);
  }
  return outcome(kind, owner, changed, foreignKey.name);
}

/**
 * Puts back what a truncate dropped, then VALIDATE, if it was valid before. Forgotten only after that:
 * a crash in between, or rows that break it, must not leave it NOT VALID for good without a word.
 */
export async function restoreForeignKey(
  { destination }: Pick<ExecuteContext, 'destination'>,
  { kind, table, saved, atSource }: StepOf<'restore-foreign-key'>,
): Promise<Outcome> {
  const { owner, name, definition, id } = saved;
  const actual = await observeDestinationShape(destination, owner);
  // An owner that is gone took its foreign key along.
  const isMissing = actual !== undefined && !hasForeignKey(actual, name);
  const validate = actual?.kind === 'partitioned';
  if (isMissing) await putBack(destination, { saved, atSource, validate });
  checkpoint('foreign-key-restored', table?.source ?? saved.table);
  if (actual !== undefined && !validate && !isNotValid(definition))
    await validateKey(destination, owner, name);
  await forgetForeignKey(destination, id);
  // Forgotten is a change too: the next look must not wait for its timer.
  return outcome(kind, owner, true, name);
}

interface PutBack extends Pick<StepOf<'restore-foreign-key'>, 'saved' | 'atSource'> {
  readonly validate: boolean;
}

/** A resync may have given the table the source's columns and keys: then only the source's key fits. */
async function putBack(
  destination: Session,
  { saved, atSource, validate }: PutBack,
): Promise<void> {
  const { owner, name, definition } = saved;
  try {
    await destination.query(restoreForeignKeySql(owner, { name, definition }, { validate }));
  } catch (error) {
    const isOutgrown = error instanceof MirrorError && OUTGROWN.has(driverCode(error.cause));
    if (!isOutgrown) throw error;
    if (atSource !== undefined) {
      await destination.query(addForeignKeySql(owner, atSource, { validate }));
      return;
    }
    throw new MirrorError('SchemaMismatch', error.message, {
      cause: error.cause,
      hint: `What the foreign key references is not there any more. Give the table that column or key back, or let go of the foreign key: DELETE FROM bunnydb.saved_foreign_keys WHERE id = ${saved.id} at the destination.`,
    });
  }
}

/** The referenced columns are gone, are no key any more, or have another type. */
const OUTGROWN: ReadonlySet<string | undefined> = new Set(['42703', '42830', '42804']);

/** Reads the rows once; a key that is valid is left as it is. */
export async function validateForeignKey(
  { destination }: ExecuteContext,
  { kind, owner, name }: StepOf<'validate-foreign-key'>,
): Promise<Outcome> {
  await validateKey(destination, owner, name);
  return outcome(kind, owner, true, name);
}

async function validateKey(destination: Session, owner: TableName, name: string): Promise<void> {
  await destination.query(validateForeignKeySql(owner, name));
}

function hasForeignKey(actual: TableShape, name: string): boolean {
  return actual.foreignKeys.some((key) => key.name === name);
}

function outcome(step: Outcome['step'], table: TableName, changed: boolean, name: string): Outcome {
  return { step, table, changed, message: `foreign key ${name} of ${formatTableName(table)}` };
}
