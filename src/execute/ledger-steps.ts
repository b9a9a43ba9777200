/** Steps that only write the ledger. Each is idempotent. */
import { formatTableName } from '../core/table-name.ts';
import type { Step } from '../plan/plan.ts';
import { isRecordOf } from '../plan/table-case.ts';
import {
  fillExcludedColumns,
  migrateLedger,
  registerMirror,
  registerTable,
  takeEpoch,
  writeSpec,
  type Owner,
} from '../postgres/ledger.ts';
import { firstEpoch } from '../postgres/ledger-removal.ts';
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
    epoch: await firstEpoch(destination),
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

/**
 * The file is what was asked for last. What an older version's copies left out is taken from the file that
 * they were made by: from here on an edit of it is seen.
 */
export async function acceptSpec(
  { destination, owner, mirror, observed }: ExecuteContext,
  { kind }: Extract<Step, { kind: 'accept-spec' }>,
): Promise<Outcome> {
  const { tables: former = mirror.tables } = observed.ledger.mirror?.spec ?? {};
  await destination.transaction(async () => {
    await writeSpec(destination, owner, mirror);
    for (const record of observed.ledger.tables) {
      const table = former.find((candidate) => isRecordOf(record, candidate));
      if (table !== undefined && record.excludeColumns === undefined)
        await fillExcludedColumns(destination, owner, record.id, table.excludeColumns);
    }
  });
  return { step: kind, changed: true, message: mirror.specHash };
}
