import { MirrorError } from '../core/errors.ts';
import type { ObservedPublication } from '../core/observed.ts';
import { formatTableName, sameTable, type TableName } from '../core/table-name.ts';
import { observePublication, observePublicationSettings } from '../observe/publication.ts';
import type { Step } from '../plan/plan.ts';
import { isComplete } from '../plan/published.ts';
import type { Session } from '../postgres/session.ts';
import {
  addToPublicationSql,
  createPublicationSql,
  dropFromPublicationSql,
  dropPublicationSql,
  lockOutWritersSql,
  setPublicationSql,
} from '../sql/publication.ts';
import type { ExecuteContext } from './context.ts';
import type { Outcome } from './outcome.ts';

type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

/** How long writers of a table may have to queue behind us, and we behind them, at one try. */
const WRITERS_LOCK_TIMEOUT_MS = 1_000;

/** Makes the managed publication; one that is there meanwhile gets the tables it lacks. */
export async function createPublication(
  ctx: ExecuteContext,
  { kind, tables }: StepOf<'create-publication'>,
): Promise<Outcome> {
  const { name } = ctx.mirror.publication;
  const present = await observePublication(ctx.source, name);
  if (present === undefined) {
    await ctx.source.query(createPublicationSql(name, tables));
    return { step: kind, changed: true, message: `publication ${name}` };
  }
  const altered = await alterPublication(ctx, { kind: 'alter-publication', add: tables, drop: [] });
  return { ...altered, step: kind };
}

/** Adds and drops what still has to be, and sets what is published. */
export async function alterPublication(
  { source, mirror }: ExecuteContext,
  { kind, add, drop }: StepOf<'alter-publication'>,
): Promise<Outcome> {
  const { name } = mirror.publication;
  const present = await presentPublication(source, name);
  const missing = add.filter((table) => !includesTable(present.tables, table));
  const surplus = drop.filter((table) => includesTable(present.tables, table));
  // Set again it would be another version of it, as if somebody had altered it.
  if (!isComplete(present)) await source.query(setPublicationSql(name));
  if (surplus.length > 0) await source.query(dropFromPublicationSql(name, surplus));
  if (missing.length > 0) await source.query(addToPublicationSql(name, missing));
  return { step: kind, changed: true, message: `publication ${name}` };
}

/**
 * The table joins in a transaction that keeps its writers out: of a transaction that had written it
 * before, the rest would not be published, and on servers older than May 2025 not even what comes
 * after it (TRAPS 27). Throws LockTimeout while such a transaction is open.
 */
export async function publishTable(
  { source, mirror }: ExecuteContext,
  { kind, table }: StepOf<'publish-table'>,
): Promise<Outcome> {
  const { name } = mirror.publication;
  const { tables } = await presentPublication(source, name);
  const changed = !includesTable(tables, table.source);
  if (changed)
    await source.transaction(async () => {
      await source.query(`set local lock_timeout = ${WRITERS_LOCK_TIMEOUT_MS}`);
      await lockOutWriters(source, table.source);
      await source.query(addToPublicationSql(name, [table.source]));
    });
  return {
    step: kind,
    table: table.destination,
    changed,
    message: `publication ${name} with ${formatTableName(table.source)}`,
  };
}

/** One of ours that nobody reads any more. Idempotent. */
export async function dropPublication(
  { source }: Pick<ExecuteContext, 'source'>,
  { kind, name }: StepOf<'drop-publication'>,
): Promise<Outcome> {
  const changed = (await observePublicationSettings(source, name)) !== undefined;
  if (changed) await source.query(dropPublicationSql(name));
  return { step: kind, changed, message: `publication ${name}` };
}

async function lockOutWriters(source: Session, table: TableName): Promise<void> {
  try {
    await source.query(lockOutWritersSql(table));
  } catch (error) {
    if (!(error instanceof MirrorError) || error.code !== 'LockTimeout') throw error;
    throw new MirrorError(
      'LockTimeout',
      `a transaction that writes ${formatTableName(table)} is open on the source: it cannot join the publication yet`,
      { cause: error },
    );
  }
}

async function presentPublication(source: Session, name: string): Promise<ObservedPublication> {
  const present = await observePublication(source, name);
  if (present !== undefined) return present;
  throw new MirrorError('TableMissing', `publication ${name} is gone from the source`, {
    hint: 'It is made again at the next pass.',
  });
}

function includesTable(members: readonly TableName[], table: TableName): boolean {
  return members.some((member) => sameTable(member, table));
}
