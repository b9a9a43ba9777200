/** What a copy fills: the table itself, emptied, or a shadow that will take its place. */
import { MirrorError } from '../core/errors.ts';
import type { Mend } from '../core/mend.ts';
import { formatTableName } from '../core/table-name.ts';
import { isSwapping, type TableRecord } from '../core/table-state.ts';
import { observeDestinationShape } from '../observe/shapes.ts';
import { desiredShape } from '../plan/desired-shape.ts';
import { droppedColumns } from '../plan/exclusions.ts';
import { mayMend, NO_MEND, planMend } from '../plan/mend.ts';
import type { Session } from '../postgres/session.ts';
import { quoteTable } from '../sql/quote.ts';
import { buildIndexes, buildKeys } from './constraints.ts';
import { emptyTable } from './empty-table.ts';
import { untilLocked } from './lock-tables.ts';
import { buildShadow, createShadow } from './shadow.ts';
import { targetOf, type CopyRunOptions } from './table-run.ts';

/** Empty, and in the source's shape. Returns what that changes. Idempotent: what an earlier try left goes. */
export async function emptyTarget(
  options: CopyRunOptions,
  session: Session,
  record: TableRecord,
): Promise<Mend> {
  const { mirror, table, source, owner } = options;
  const actual = await observeDestinationShape(session, record.destination);
  if (actual === undefined)
    throw new MirrorError(
      'TableMissing',
      `destination table ${formatTableName(record.destination)} does not exist`,
    );
  const mend = mayMend(record.observed, table.generation)
    ? planMend(
        desiredShape(mirror, table, source),
        actual,
        droppedColumns(mirror, table, record, actual),
      )
    : NO_MEND;
  if (isSwapping(record)) await createShadow(session, owner, record, mend);
  else await untilLocked(options, async () => emptyTable(session, owner, record, mend));
  return mend;
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
