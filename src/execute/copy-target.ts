/** The shape of what a copy fills: the table itself, or a shadow that will take its place. */
import { MirrorError } from '../core/errors.ts';
import type { Mend } from '../core/mend.ts';
import { formatTableName } from '../core/table-name.ts';
import { isSwapping, type TableRecord } from '../core/table-state.ts';
import { observeDestinationShape } from '../observe/shapes.ts';
import { desiredShape } from '../plan/desired-shape.ts';
import { droppedColumns } from '../plan/exclusions.ts';
import { mayMend, NO_MEND, planMend } from '../plan/mend.ts';
import { needingParts } from '../plan/needing-parts.ts';
import type { Session } from '../postgres/session.ts';
import { quoteTable } from '../sql/quote.ts';
import { buildIndexes, buildKeys } from './constraints.ts';
import { buildShadow } from './shadow.ts';
import { targetOf, type CopyRunOptions } from './table-run.ts';

/** What gives the target the source's shape while it is empty. Throws TableMissing. */
export async function mendOf(
  { mirror, table, source }: CopyRunOptions,
  session: Session,
  record: TableRecord,
): Promise<Mend> {
  const actual = await observeDestinationShape(session, record.destination);
  if (actual === undefined)
    throw new MirrorError(
      'TableMissing',
      `destination table ${formatTableName(record.destination)} does not exist`,
    );
  return mayMend(record.observed, table.generation)
    ? planMend(desiredShape(mirror, table, source), actual, {
        dropped: droppedColumns(mirror, table, record, actual),
        needing: needingParts(table, source, actual),
      })
    : NO_MEND;
}

/** Keys and indexes, once the rows are there. */
export async function finishTarget(
  { mirror, table, source, log }: CopyRunOptions,
  session: Session,
  { record, mend }: { readonly record: TableRecord; readonly mend: Mend },
): Promise<void> {
  const destination = targetOf(record);
  if (isSwapping(record)) await buildShadow(session, record, mend);
  const context = { mirror, destination: session, log };
  await buildKeys(context, { ...table, destination }, source);
  if (mirror.replicateIndexes) await buildIndexes(context, { ...table, destination }, source);
  // Fresh statistics, or the replay's first plans would scan the table for each change.
  await session.query(`analyze ${quoteTable(destination)}`);
}
