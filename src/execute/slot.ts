import { driverCode, MirrorError } from '../core/errors.ts';
import { formatLsn, parseLsn, type Lsn } from '../core/lsn.ts';
import { releasedState } from '../core/table-state.ts';
import type { ObservedSlot } from '../core/observed.ts';
import { observePublicationSettings } from '../observe/publication.ts';
import { observeSlot } from '../observe/slot.ts';
import { describeStep } from '../plan/describe.ts';
import type { Step } from '../plan/plan.ts';
import { unknownSlot } from '../plan/slot.ts';
import { isOtherCluster } from '../plan/source-change.ts';
import {
  forgetSlot,
  readSlotMark,
  recordOrigin,
  recordSlot,
  writeSource,
  writeTableState,
} from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import type { ExecuteContext } from './context.ts';
import type { Outcome } from './outcome.ts';
import { CREATE_SLOT, isOwnSlot } from './slot-mark.ts';

type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

/** One try to make the slot; the reconciler tries again. Bounds it on the server, so that no orphan stays behind. */
const SLOT_LOCK_TIMEOUT_MS = 5_000;
/** lock_not_available */
const LOCK_NOT_AVAILABLE = '55P03';
/** duplicate_object */
const DUPLICATE_OBJECT = '42710';

/** Nothing when there is none that we could have made. */
export const DROP_SLOT = /* sql */ `
select pg_drop_replication_slot(slot_name)
from pg_replication_slots
where slot_name = $1 and plugin = 'pgoutput' and database = $2`;

/**
 * A prepared transaction holds its xid without any session. Of sessions of other roles an ordinary role
 * sees neither state nor age, but that they are there.
 */
const SELECT_OLDEST_WRITER = /* sql */ `
select who, role, application, state, age_seconds::text
from (
  select 'pid ' || a.pid as who,
    coalesce(a.usename::text, '') as role,
    coalesce(a.application_name, '') as application,
    coalesce(a.state, '') as state,
    extract(epoch from clock_timestamp() - a.xact_start)::bigint as age_seconds,
    age(a.backend_xid) as xid_age
  from pg_stat_activity a
  where a.backend_xid is not null and a.pid <> pg_backend_pid()
  union all
  select 'prepared transaction ' || p.gid, p.owner::text, '', 'prepared',
    extract(epoch from clock_timestamp() - p.prepared)::bigint, age(p.transaction)
  from pg_prepared_xacts p
) writer
order by xid_age desc
limit 1`;

/**
 * Makes the slot on a plain session and records where it begins. Creating one waits for every
 * transaction that has written (TRAPS 21). Throws SlotWaiting, naming the oldest of them, and leaves
 * no slot behind then; SlotBusy when the slot to adopt is not finished yet, SlotUnknown when it is not ours.
 */
export async function createSlot(
  ctx: ExecuteContext,
  { kind, adopt }: StepOf<'create-slot'>,
): Promise<Outcome> {
  const { source, destination, mirror, observed, owner } = ctx;
  const present = await observeSlot(source, mirror.slot);
  if (present !== undefined && !adopt) throw appearedMeanwhile(mirror.slot);
  if (present !== undefined) await assertOwn(ctx, present);
  // Before the slot: from there on every change of it counts.
  const publication = await observePublicationSettings(source, mirror.publication.name);
  const start = present?.confirmedFlushLsn ?? (await makeSlot(ctx));
  await recordSlot(destination, owner, {
    lsn: start,
    timeline: observed.source.timeline,
    publication: publication?.identity,
  });
  return {
    step: kind,
    changed: true,
    message: `slot ${mirror.slot} from ${formatLsn(start)}`,
  };
}

/** Throws SlotUnknown: it is never taken over. */
async function assertOwn(ctx: ExecuteContext, present: ObservedSlot): Promise<void> {
  const { mirror, observed } = ctx;
  const record = observed.ledger.mirror;
  if (record !== undefined && (await isOwnSlot(ctx, present, { record, look: observed }))) return;
  const problem = "is there, and was not made by this destination's mirror";
  throw unknownSlot(mirror, problem, present.database).error;
}

function appearedMeanwhile(slot: string, cause?: unknown): MirrorError {
  return new MirrorError('SlotUnknown', `slot ${slot} appeared on the source meanwhile`, { cause });
}

/** Until it is finished a slot is ephemeral, and goes with what ends the statement. */
async function makeSlot({ source, destination, mirror, owner }: ExecuteContext): Promise<Lsn> {
  const mark = await readSlotMark(destination, owner);
  try {
    return await source.transaction(async () => {
      await source.query(`set local lock_timeout = ${SLOT_LOCK_TIMEOUT_MS}`);
      const [row] = await source.query(CREATE_SLOT, [mirror.slot, mark]);
      return parseLsn(row?.['lsn'] ?? '');
    });
  } catch (error) {
    const code = error instanceof MirrorError ? driverCode(error.cause) : undefined;
    if (code === DUPLICATE_OBJECT) throw appearedMeanwhile(mirror.slot, error);
    if (code !== LOCK_NOT_AVAILABLE) throw error;
    throw new MirrorError('SlotWaiting', await describeBlocker(source), { cause: error });
  }
}

async function describeBlocker(source: Session): Promise<string> {
  const [row] = await source.query(SELECT_OLDEST_WRITER);
  if (!row) return 'a transaction was open that is gone by now';
  const age = row['age_seconds'];
  const details = [
    ...(row['role'] === '' ? [] : [`role ${row['role']}`]),
    ...(row['application'] === '' ? [] : [`application ${row['application']}`]),
    ...(row['state'] === '' ? [] : [row['state'] ?? '']),
    typeof age === 'string'
      ? `open for ${age} s`
      : 'its age is shown to members of pg_read_all_stats',
  ];
  return `the slot waits for ${row['who']} (${details.join(', ')})`;
}

/**
 * Drops what is left of the slot, where it is ours, and forgets it: every table is Pending again, and
 * what comes next is of this source and this publication. Written down when the slot is gone: after a crash
 * in between it is missing, and so still lost. Throws SlotBusy while it is read, SlotUnknown when it is not ours.
 */
export async function resetSlot(
  ctx: ExecuteContext,
  { kind, reason, left }: StepOf<'reset-slot'>,
): Promise<Outcome> {
  const { source, destination, mirror, observed, owner, log } = ctx;
  const { slot } = mirror;
  const former = observed.ledger.mirror;
  if (former?.slotState === 'creating' && !isOtherCluster(former, observed.source)) {
    const present = await observeSlot(source, slot);
    if (present !== undefined) await assertOwn(ctx, present);
  }
  log.warn(
    { slot, reason, ...(left === undefined ? {} : { left }) },
    'the slot is given up, every table will be copied again',
  );
  await destination.transaction(async () => {
    // The source knows nothing of owners: whoever takes over waits for this, or ends it.
    await forgetSlot(destination, owner);
    if (former !== undefined && !isOtherCluster(former, observed.source))
      await source.query(DROP_SLOT, [slot, former.sourceDatabase]);
    await recordOrigin(destination, owner, {
      sourceSystemIdentifier: observed.source.systemIdentifier,
      sourceDatabase: observed.source.database,
      publication: mirror.publication.name,
    });
    for (const record of observed.ledger.tables)
      await writeTableState(destination, owner, record.id, { state: releasedState(record) });
  });
  return { step: kind, changed: true, message: `slot ${slot} ${reason}` };
}

/** The ledger knows the source as it is now; its publication as a step before this one may have left it. */
export async function recordSource(
  { source, destination, mirror, observed, owner }: ExecuteContext,
  step: StepOf<'record-source'>,
): Promise<Outcome> {
  const { systemIdentifier, timeline } = observed.source;
  const publication =
    step.publication && (await observePublicationSettings(source, mirror.publication.name));
  await writeSource(destination, owner, {
    systemIdentifier,
    timeline,
    publication: publication?.identity,
  });
  return { step: step.kind, changed: true, message: describeStep(step).text };
}
