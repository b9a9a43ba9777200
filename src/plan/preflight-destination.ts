/** What is asked of the destination before anything is done: its server, its role, tables that are there. */
import type { Observed, ObservedTable } from '../core/observed.ts';
import { ownerOfReservedSchema } from '../core/reserved-schema.ts';
import { formatTableName } from '../core/table-name.ts';
import { quoteIdent, quoteTable } from '../sql/quote.ts';
import type { Refusal } from './plan.ts';
import { refuse, underCheck } from './refuse.ts';
import { preflightVersion } from './server-version.ts';
import type { TableCase } from './table-case.ts';

/** What of a look the destination's side is judged by. */
export type DestinationLook = Pick<Observed, 'destination' | 'ledger'>;

/** One table of the file as it is at the destination. */
export interface DestinationCase extends Pick<TableCase, 'table'> {
  readonly observed: Pick<ObservedTable, 'destinationShape'>;
}

/** What keeps every table from being written. */
export function preflightDestination({ destination, ledger }: DestinationLook): Refusal[] {
  const { role, database } = destination;
  const create =
    ledger.version === 0 && ledger.foreign !== true && !destination.canCreate
      ? [
          refuse(
            undefined,
            'PermissionDenied',
            `role ${role.name} may not CREATE in database ${database}, which the schema bunnydb needs`,
            `On the destination: GRANT CREATE ON DATABASE ${quoteIdent(database)} TO ${quoteIdent(role.name)};`,
          ),
        ]
      : [];
  const foreign = ledger.foreign
    ? [
        refuse(
          undefined,
          'NameTaken',
          `database ${database} has a schema bunnydb that is not bunnydb's: there are other things in it, and no ledger`,
          'Rename that schema at the destination, or name another destination database: the ledger has no other name.',
        ),
      ]
    : [];
  return [
    ...underCheck('destination-version', preflightVersion('destination', destination)),
    ...underCheck('ledger', [...create, ...foreign]),
  ];
}

/** What keeps our role from writing a table that is there. */
export function preflightTarget(
  { table, observed }: DestinationCase,
  { destination: { role } }: DestinationLook,
): Refusal[] {
  const reserved = reservedRefusals(table);
  if (reserved.length > 0) return reserved;
  const actual = observed.destinationShape;
  if (actual === undefined) return [];
  const name = formatTableName(table.destination);
  if (actual.kind !== 'table' && actual.kind !== 'partitioned')
    return underCheck('write-tables', [
      refuse(
        table,
        'SchemaMismatch',
        `${name} is a ${actual.kind === 'other' ? 'composite type' : actual.kind} at the destination`,
      ),
    ]);
  if (!actual.readable)
    return underCheck('write-tables', [
      refuse(
        table,
        'PermissionDenied',
        `role ${role.name} may not write ${name} at the destination`,
        `On the destination: GRANT USAGE ON SCHEMA ${quoteIdent(table.destination.schema)} TO ${quoteIdent(role.name)}; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ${quoteTable(table.destination)} TO ${quoteIdent(role.name)};`,
      ),
    ]);
  if (!actual.rowSecurity) return [];
  return underCheck('destination-row-security', [
    refuse(
      table,
      'PermissionDenied',
      `row security applies to role ${role.name} on ${name} at the destination`,
      `On the destination: ALTER ROLE ${quoteIdent(role.name)} BYPASSRLS;`,
    ),
  ]);
}

/** Files are refused for it too; a copy into the ledger would empty it, and every mirror of the database starts from nothing. */
function reservedRefusals(table: DestinationCase['table']): Refusal[] {
  const owner = ownerOfReservedSchema(table.destination.schema);
  if (owner === undefined) return [];
  return underCheck('write-tables', [
    refuse(
      table,
      'InvalidSpec',
      `${formatTableName(table.destination)} is in a schema which is ${owner}: nothing is mirrored into it`,
      'Name a destination in a schema of your own.',
    ),
  ]);
}
