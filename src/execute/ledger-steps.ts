/** Steps that only write the ledger. Each is idempotent. */
import { formatTableName } from '../core/table-name.ts';
import type { Step } from '../plan/plan.ts';
import {
  migrateLedger,
  registerMirror,
  registerTable,
  takeEpoch,
  type Owner,
} from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';
import type { Mirror } from '../core/mirror.ts';
import type { Observed } from '../core/observed.ts';
import type { ExecuteContext } from './context.ts';
import type { Outcome } from './outcome.ts';

/** Makes or migrates the ledger's schema. */
export async function migrate(destination: Session): Promise<Outcome> {
  await migrateLedger(destination);
  return { step: 'migrate-ledger', changed: true, message: 'ledger schema bunnydb' };
}

/** Writes the intent to have a slot, and takes the new row over. */
export async function register(
  destination: Session,
  mirror: Mirror,
  observed: Observed,
): Promise<{ owner: Owner | undefined; outcome: Outcome }> {
  await registerMirror(destination, {
    name: mirror.name,
    epoch: 0n,
    slot: mirror.slot,
    publication: mirror.publication.name,
    sourceSystemIdentifier: observed.source.systemIdentifier,
    sourceDatabase: observed.source.database,
  });
  const epoch = await takeEpoch(destination, mirror.name);
  return {
    owner: epoch === undefined ? undefined : { mirror: mirror.name, epoch },
    outcome: { step: 'register-mirror', changed: true, message: `mirror ${mirror.name}` },
  };
}

/** Adds a table to the ledger, Pending. */
export async function addTable(
  { destination, owner }: ExecuteContext,
  { table }: Extract<Step, { kind: 'register-table' }>,
): Promise<Outcome> {
  await registerTable(destination, owner, table);
  return {
    step: 'register-table',
    table: table.destination,
    changed: true,
    message: formatTableName(table.source),
  };
}
