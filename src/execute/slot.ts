import { driverCode, MirrorError } from '../core/errors.ts';
import { formatLsn, parseLsn, type Lsn } from '../core/lsn.ts';
import { releasedState } from '../core/table-state.ts';
import { observePublicationSettings } from '../observe/publication.ts';
import { observeSlot } from '../observe/slot.ts';
import { describeStep } from '../plan/describe.ts';
import type { Step } from '../plan/plan.ts';
import { isOtherCluster } from '../plan/source-change.ts';
import {
  forgetSlot,
  recordOrigin,
  recordSlot,
  writeSource,
  writeTableState,
} from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import type { ExecuteContext } from './context.ts';
import type { Outcome } from './outcome.ts';

type StepOf<K extends Step['kind']> = Extract<Step, { kind: K }>;

/** One try to make the slot; the reconciler tries again. Bounds it on the server, so that no orphan stays behind. */
const SLOT_LOCK_TIMEOUT_MS = 5_000;
/** lock_not_available */
const LOCK_NOT_AVAILABLE = '55P03';

const CREATE_SLOT = /* sql */ `
select lsn::text as lsn from pg_create_logical_replication_slot($1, 'pgoutput')`;

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
 * no slot behind then; SlotBusy when the slot to adopt is not finished yet.
 */
export async function createSlot(
  ctx: ExecuteContext,
  { kind, adopt }: StepOf<'create-slot'>,
): Promise<Outcome> {
  const { source, destination, mirror, observed, owner } = ctx;
  const present = await observeSlot(source, mirror.slot);
  if (present !== undefined && !adopt)
    throw new MirrorError('SlotUnknown', `slot ${mirror.slot} appeared on the source meanwhile`);
  if (present !== undefined && present.confirmedFlushLsn === undefined)
    throw new MirrorError('SlotBusy', `slot ${mirror.slot} is being made by another session`);
  // Before the slot: from there on every change of it counts.
  const publication = await observePublicationSettings(source, mirror.publication.name);
  const start =
    present?.confirmedFlushLsn ?? (await makeSlot(source, mirror.slot, observed.source.database));
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

async function makeSlot(source: Session, slot: string, database: string): Promise<Lsn> {
  try {
    return await source.transaction(async () => {
      await source.query(`set local lock_timeout = ${SLOT_LOCK_TIMEOUT_MS}`);
      const [row] = await source.query(CREATE_SLOT, [slot]);
      return parseLsn(row?.['lsn'] ?? '');
    });
  } catch (error) {
    if (!(error instanceof MirrorError) || driverCode(error.cause) !== LOCK_NOT_AVAILABLE)
      throw error;
    // Until it is finished a slot is ephemeral and goes with the error; look, rather than believe.
    if ((await observeSlot(source, slot)) !== undefined)
      await source.query(DROP_SLOT, [slot, database]);
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
 * in between it is missing, and so still lost. Throws SlotBusy while it is read.
 */
export async function resetSlot(
  { source, destination, mirror, observed, owner, log }: ExecuteContext,
  { kind, reason, left }: StepOf<'reset-slot'>,
): Promise<Outcome> {
  const { slot } = mirror;
  const former = observed.ledger.mirror;
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
