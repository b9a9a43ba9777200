/**
 * Undoes what a removed mirror made, step by step. Each is idempotent and can be derived again after a
 * crash, and none is begun once another daemon has the mirror.
 */
import { checkpoint } from '../core/checkpoint.ts';
import { classify, MirrorError } from '../core/errors.ts';
import type { MirrorRecord, Observed } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { releasedState, type TableRecord } from '../core/table-state.ts';
import { observeSlot } from '../observe/slot.ts';
import type { Step } from '../plan/plan.ts';
import { halfCopied, withWayOut, type RemovalStep } from '../plan/removal.ts';
import {
  deleteTable,
  dropSpool,
  forgetForeignKey,
  markSlotReleased,
  readLedger,
  writeTableState,
} from '../postgres/ledger.ts';
import { fenceMirror, forgetMirror } from '../postgres/ledger-removal.ts';
import type { ExecuteContext } from './context.ts';
import { dropTable, prepareDrop } from './drop-table.ts';
import { restoreForeignKey } from './foreign-keys.ts';
import { migrate } from './ledger-steps.ts';
import type { Outcome } from './outcome.ts';
import { dropPublication } from './publication.ts';
import { dropBoth } from './shadow.ts';
import { DROP_SLOT } from './slot.ts';
import { isOwnSlot } from './slot-mark.ts';

export interface RemovalContext extends Omit<ExecuteContext, 'observed'> {
  /** What the plan was made from, and the ledger's part of it. */
  readonly look: Pick<Observed, 'source'>;
  readonly record: MirrorRecord;
  readonly tables: readonly TableRecord[];
}

type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

/** Carries out one step. Throws MirrorError; the next plan holds what is still to be done. */
export async function executeRemoval(ctx: RemovalContext, step: RemovalStep): Promise<Outcome> {
  switch (step.kind) {
    case 'migrate-ledger':
      return migrate(ctx.destination);
    case 'release-slot':
      return releaseSlot(ctx, step);
    case 'drop-publication':
      return releasePublication(ctx, step);
    case 'restore-foreign-key':
      return restoreForGood(ctx, step);
    case 'drop-table':
      return dropMirrored(ctx, step);
    case 'forget-mirror':
      return forget(ctx, step);
  }
}

/**
 * The ledger forgets the slot first: a file that comes back after a crash in between has the slot made
 * or adopted, and every table copied. One that the ledger does not say was made stays, unless it proves to be
 * ours. Throws SlotBusy while it is read.
 */
async function releaseSlot(
  ctx: RemovalContext,
  { kind }: StepOf<'release-slot'>,
): Promise<Outcome> {
  const { source, destination, mirror, owner, record, tables, log } = ctx;
  if (mirror.deletionPolicy === 'Retain') tellHalfCopied(ctx);
  if (!(await holdsSlot(ctx))) {
    const message = `slot ${record.slot} was not made by this mirror`;
    log.warn({ slot: record.slot }, 'a slot that this mirror did not make is left as it is');
    return { step: kind, changed: false, message };
  }
  await destination.transaction(async () => {
    await markSlotReleased(destination, owner);
    for (const table of tables)
      await writeTableState(destination, owner, table.id, { state: releasedState(table) });
  });
  checkpoint('slot-forgotten');
  await atSource(ctx, async () => source.query(DROP_SLOT, [record.slot, record.sourceDatabase]));
  checkpoint('slot-released');
  return { step: kind, changed: true, message: `slot ${record.slot}` };
}

/** False when there is one of that name that is not ours. */
async function holdsSlot(ctx: RemovalContext): Promise<boolean> {
  const { source, record, look } = ctx;
  if (record.slotState === 'created') return true;
  const slot = await observeSlot(source, record.slot);
  if (slot?.database !== look.source.database) return true;
  return isOwnSlot(ctx, slot, ctx);
}

function tellHalfCopied({ tables, log }: RemovalContext): void {
  const names = halfCopied(tables).map(({ destination }) => formatTableName(destination));
  if (names.length > 0)
    log.warn({ tables: names }, 'tables stay that were not copied to their end');
}

async function releasePublication(
  ctx: RemovalContext,
  step: StepOf<'drop-publication'>,
): Promise<Outcome> {
  if (!(await holdsSlot(ctx)))
    return { step: step.kind, changed: false, message: `publication ${step.name} is read` };
  const outcome = await atSource(ctx, async () => dropPublication(ctx, step));
  checkpoint('publication-dropped');
  return outcome;
}

/** Whoever wants to take the mirror over waits until it is done; when somebody has, nothing is done. */
async function atSource<T>(
  { destination, mirror, owner, record }: RemovalContext,
  work: () => Promise<T>,
): Promise<T> {
  return destination.transaction(async () => {
    await fenceMirror(destination, owner);
    return work().catch((error: unknown) => {
      const isBusy = error instanceof MirrorError && error.code === 'SlotBusy';
      throw isBusy ? error : withWayOut(classify(error), mirror, record);
    });
  });
}

/**
 * One that the rows break stays NOT VALID, and one whose table, column or key is gone is gone with it:
 * nobody will bring them back. No transaction spans its steps: it is the lock that this session holds which
 * keeps others out until the end.
 */
async function restoreForGood(
  ctx: RemovalContext,
  step: StepOf<'restore-foreign-key'>,
): Promise<Outcome> {
  const { destination, owner, log } = ctx;
  await destination.transaction(async () => fenceMirror(destination, owner));
  try {
    return await restoreForeignKey(ctx, step);
  } catch (error) {
    if (!(error instanceof MirrorError) || !HOPELESS.has(error.code)) throw error;
    const { name, owner: table, id } = step.saved;
    const message = `foreign key ${name} of ${formatTableName(table)}`;
    log.warn({ code: error.code, reason: error.message }, `${message} is not what it was`);
    await forgetForeignKey(destination, id);
    return { step: step.kind, table, changed: true, message };
  }
}

const HOPELESS: ReadonlySet<string> = new Set([
  'ConstraintViolated',
  'TableMissing',
  'SchemaMismatch',
]);

/** With what is left of its copies. Foreign keys from other tables of the mirror go too, as their tables do. */
async function dropMirrored(
  { destination, owner, tables }: RemovalContext,
  { kind, record }: StepOf<'drop-table'>,
): Promise<Outcome> {
  const going = tables.map((other) => other.destination);
  const drop = await prepareDrop(destination, record.destination, going);
  await destination.transaction(async () => {
    await dropSpool(destination, record.id);
    await dropBoth(destination, owner, record);
    if (drop !== undefined) await dropTable(destination, drop);
    await deleteTable(destination, owner, record.id);
  });
  checkpoint('table-dropped', record.source);
  const message = `table ${formatTableName(record.destination)}`;
  return { step: kind, table: record.destination, changed: true, message };
}

/** All of it or nothing: a file that comes back finds its tables as they were, or none of them known. */
async function forget(
  { destination, mirror, owner }: RemovalContext,
  { kind }: StepOf<'forget-mirror'>,
): Promise<Outcome> {
  await destination.transaction(async () => {
    await fenceMirror(destination, owner);
    const { tables } = await readLedger(destination, mirror.name);
    for (const table of tables) {
      await dropSpool(destination, table.id);
      await dropBoth(destination, owner, table);
    }
    await forgetMirror(destination, owner);
  });
  checkpoint('mirror-forgotten');
  return { step: kind, changed: true, message: `mirror ${mirror.name}` };
}
