import { MirrorError } from '../core/errors.ts';
import { formatTableName, sameTable, type TableName } from '../core/table-name.ts';
import { observePublication } from '../observe/publication.ts';
import type { Step } from '../plan/plan.ts';
import {
  addToPublicationSql,
  createPublicationSql,
  dropFromPublicationSql,
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
  if (present !== undefined)
    return {
      ...(await alterPublication(ctx, { kind: 'alter-publication', add: tables, drop: [] })),
      step: kind,
    };
  await ctx.source.query(createPublicationSql(name, tables));
  return { step: kind, changed: true, message: `publication ${name}` };
}

/**
 * Adds and drops what still has to be. When the slot is there already each table joins in a
 * transaction of its own that keeps its writers out: of a transaction that had written the table
 * before, the rest would not be published, and on servers before May 2025 not even what comes after it (TRAPS 27).
 * Throws LockTimeout, naming the tables that could not join; the others have.
 */
export async function alterPublication(
  ctx: ExecuteContext,
  { kind, add, drop }: StepOf<'alter-publication'>,
): Promise<Outcome> {
  const { source, mirror, observed } = ctx;
  const { name } = mirror.publication;
  const present = await observePublication(source, name);
  if (present === undefined)
    throw new MirrorError('TableMissing', `publication ${name} is gone from the source`, {
      hint: 'It is made again at the next pass.',
    });
  const isMember = (table: TableName): boolean =>
    present.tables.some((member) => sameTable(member, table));
  const missing = add.filter((table) => !isMember(table));
  const surplus = drop.filter(isMember);
  await source.query(setPublicationSql(name));
  if (surplus.length > 0) await source.query(dropFromPublicationSql(name, surplus));
  if (observed.slot === undefined && missing.length > 0)
    await source.query(addToPublicationSql(name, missing));
  else await addBetweenWriters(ctx, missing);
  return { step: kind, changed: true, message: `publication ${name}` };
}

async function addBetweenWriters(
  { source, mirror }: ExecuteContext,
  tables: readonly TableName[],
): Promise<void> {
  const busy: string[] = [];
  let cause: unknown;
  for (const table of tables) {
    try {
      await source.transaction(async () => {
        await source.query(`set local lock_timeout = ${WRITERS_LOCK_TIMEOUT_MS}`);
        await source.query(lockOutWritersSql(table));
        await source.query(addToPublicationSql(mirror.publication.name, [table]));
      });
    } catch (error) {
      if (!(error instanceof MirrorError) || error.code !== 'LockTimeout') throw error;
      busy.push(formatTableName(table));
      cause = error;
    }
  }
  if (busy.length > 0)
    throw new MirrorError(
      'LockTimeout',
      `transactions that write ${busy.join(', ')} are open on the source: not in the publication yet`,
      { cause },
    );
}
