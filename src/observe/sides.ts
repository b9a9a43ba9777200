/** One side of a mirror by itself, as far as it can be looked at without the other. Reads only. */
import { MirrorError } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import { formatTableName } from '../core/table-name.ts';
import type {
  DestinationFacts,
  DestinationRights,
  SourceFacts,
  SourceRoom,
} from '../plan/check/check-look.ts';
import { readLedger } from '../postgres/ledger.ts';
import { writeAsReplica } from '../postgres/replica-role.ts';
import type { Session } from '../postgres/session.ts';
import { observePublication } from './publication.ts';
import { flag, number, text } from './read.ts';
import { observeServer } from './server.ts';
import { observeShapes } from './shapes.ts';
import { observeSlot } from './slot.ts';

/** Throws what a session throws. */
export async function lookAtSource(mirror: Mirror, session: Session): Promise<SourceFacts> {
  const wanted = mirror.tables.map(({ source: name, excludeColumns }) => ({
    name,
    excludeColumns,
  }));
  const shapes = await observeShapes(session, wanted, 'source');
  return {
    server: await observeServer(session),
    publication: await observePublication(session, mirror.publication.name),
    slot: await observeSlot(session, mirror.slot),
    shapes: mirror.tables.map((table) => shapes.get(formatTableName(table.source))),
    room: await observeRoom(session),
  };
}

/** Everybody may count walsenders, also where their other columns are hidden. */
const SELECT_ROOM = /* sql */ `
select pg_is_in_recovery() as in_recovery,
  current_setting('max_slot_wal_keep_size') as keep_size,
  current_setting('max_replication_slots') as max_slots,
  (select count(*) from pg_replication_slots) as slots,
  current_setting('max_wal_senders') as max_senders,
  (select count(*) from pg_stat_replication) as senders`;

async function observeRoom(session: Session): Promise<SourceRoom> {
  const [row = {}] = await session.query(SELECT_ROOM);
  return {
    slots: { used: number(row, 'slots'), max: number(row, 'max_slots') },
    walSenders: { used: number(row, 'senders'), max: number(row, 'max_senders') },
    maxSlotWalKeepSize: text(row, 'keep_size'),
    inRecovery: flag(row, 'in_recovery'),
  };
}

/** Throws LedgerTooNew and what a session throws. The session is left writing as a replica where it may. */
export async function lookAtDestination(
  mirror: Mirror,
  session: Session,
): Promise<DestinationFacts> {
  const targets = mirror.tables.map((table) => ({ name: table.destination }));
  const shapes = await observeShapes(session, targets, 'destination');
  return {
    server: await observeServer(session),
    ledger: await readLedger(session, mirror.name),
    shapes: mirror.tables.map((table) => shapes.get(formatTableName(table.destination))),
    rights: await observeRights(session, [
      ...new Set(mirror.tables.map(({ destination }) => destination.schema)),
    ]),
  };
}

const SELECT_LEDGER_RIGHTS = /* sql */ `
select pg_is_in_recovery() as in_recovery,
  n.oid is not null as has_ledger,
  n.oid is not null and (
    pg_has_role(n.nspowner, 'usage')
    or has_schema_privilege(n.oid, 'usage') and has_schema_privilege(n.oid, 'create')
      and not exists (
        select from pg_class c
        where c.relnamespace = n.oid and c.relkind = 'r'
          and not (
            has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
            and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete')
          )
      )
  ) as writable
from (select) one
left join pg_namespace n on n.nspname = 'bunnydb'`;

const SELECT_SCHEMA_RIGHTS = /* sql */ `
select n.nspname::text as name, has_schema_privilege(n.oid, 'usage')
  and has_schema_privilege(n.oid, 'create') as can_create
from json_array_elements_text($1::json) w (name)
join pg_namespace n on n.nspname = w.name`;

async function observeRights(
  session: Session,
  schemas: readonly string[],
): Promise<DestinationRights> {
  const [row = {}] = await session.query(SELECT_LEDGER_RIGHTS);
  const rights = await session.query(SELECT_SCHEMA_RIGHTS, [JSON.stringify(schemas)]);
  return {
    inRecovery: flag(row, 'in_recovery'),
    ledger: !flag(row, 'has_ledger') ? 'absent' : flag(row, 'writable') ? 'writable' : 'denied',
    schemas: new Map(rights.map((one) => [text(one, 'name'), flag(one, 'can_create')])),
    replicaRole: await mayWriteAsReplica(session),
  };
}

/** Asked by doing it, as the daemon does: it holds for this session alone. */
async function mayWriteAsReplica(session: Session): Promise<boolean> {
  try {
    await writeAsReplica(session);
    return true;
  } catch (error) {
    if (error instanceof MirrorError && error.code === 'ReplicationRoleDenied') return false;
    throw error;
  }
}
