/** Gives a destination table the source's shape where it has another, while it is empty. */
import { DatabaseError } from 'pg';
import { classify, type ErrorCode, MirrorError } from '../core/errors.ts';
import type { Mend } from '../core/mend.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import { isEmptyMend } from '../plan/mend.ts';
import type { Session } from '../postgres/session.ts';
import { addChecksSql, dropColumnsSql, dropPartsSql, mendSql } from '../sql/mend.ts';
import { ownSequences, provideSequences } from './schema.ts';

/**
 * All of it, in the caller's transaction. Foreign keys that point at the table must be gone already.
 * Throws SchemaMismatch when something that depends on the table is in the way: never CASCADE.
 */
export async function mendTable(session: Session, table: TableName, mend: Mend): Promise<void> {
  if (isEmptyMend(mend)) return;
  await provideSequences(session, table, mend.sequences);
  await alterShape(session, table, [
    ...dropPartsSql(table, mend),
    ...dropColumnsSql(table, mend.dropped),
    ...mendSql(table, mend),
    ...addChecksSql(table, mend),
  ]);
  await ownSequences(session, table, mend.sequences);
}

/** Those of sql/mend.ts. Throws SchemaMismatch with what the server said is in the way. */
export async function alterShape(
  session: Session,
  table: TableName,
  statements: readonly string[],
): Promise<void> {
  try {
    for (const statement of statements) await session.query(statement);
  } catch (error) {
    throw inTheWay(table, error);
  }
}

/** What depends on a column or a key is named in the detail alone; these details hold no row. */
const NAMES_DEPENDENTS: ReadonlySet<string | undefined> = new Set(['2BP01', '0A000']);

/** A lock that did not come and a connection that is gone are not about the shape. */
const ABOUT_THE_SHAPE: readonly ErrorCode[] = [
  'Unexpected',
  'SchemaMismatch',
  'ObjectMissing',
  'NameTaken',
];

function inTheWay(table: TableName, thrown: unknown): MirrorError {
  const error = classify(thrown);
  if (!ABOUT_THE_SHAPE.includes(error.code)) return error;
  const { cause } = error;
  const detail =
    cause instanceof DatabaseError && NAMES_DEPENDENTS.has(cause.code) ? cause.detail : undefined;
  const message = [error.message, ...(detail?.split('\n') ?? [])].join('; ');
  return new MirrorError(
    'SchemaMismatch',
    `${formatTableName(table)} cannot be given the source's shape: ${message}`,
    {
      cause,
      hint: 'Drop what depends on the old shape at the destination, or alter the table there by hand.',
    },
  );
}
