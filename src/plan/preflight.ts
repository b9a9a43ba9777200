import type { ErrorCode } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import type { Observed, ObservedServer, TableShape } from '../core/observed.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import type { Refusal } from './plan.ts';
import { refuse } from './refuse.ts';
import { identityChange } from './source-change.ts';
import type { TableCase } from './table-case.ts';

const OLDEST_VERSION = 140_000;
/** From here on a table can have virtual generated columns. */
const VIRTUAL_COLUMNS_VERSION = 180_000;

/** What keeps the whole mirror from running: servers and roles. */
export function preflightMirror(mirror: Mirror, observed: Observed): Refusal[] {
  const { source, destination, ledger } = observed;
  const refusals: Refusal[] = [];
  const refuseMirror = (code: ErrorCode, message: string, hint?: string): void => {
    refusals.push(refuse(undefined, code, message, hint));
  };
  for (const [side, server] of Object.entries({ source, destination }))
    if (server.version < OLDEST_VERSION)
      refuseMirror('ServerTooOld', `the ${side} is PostgreSQL ${majorVersion(server)}`);
  if (source.walLevel !== 'logical')
    refuseMirror('WalLevelNotLogical', `wal_level of the source is ${source.walLevel}`);
  if (!source.role.replication)
    refuseMirror(
      'PermissionDenied',
      `role ${source.role.name} lacks REPLICATION on the source`,
      `On the source: ALTER ROLE ${source.role.name} REPLICATION.`,
    );
  if (mirror.publication.managed && observed.publication === undefined && !source.canCreate)
    refuseMirror(
      'PermissionDenied',
      `role ${source.role.name} may not CREATE in database ${source.database}, which a publication needs`,
    );
  if (ledger.version === 0 && !destination.canCreate)
    refuseMirror(
      'PermissionDenied',
      `role ${destination.role.name} may not CREATE in database ${destination.database}, which the schema bunnydb needs`,
    );
  return refusals;
}

/** What was copied came from one cluster and one database; with others the ledger means nothing. */
export function identityRefusals({
  source,
  ledger,
}: Pick<Observed, 'source' | 'ledger'>): Refusal[] {
  const change = ledger.mirror && identityChange({ source }, ledger.mirror);
  return change === undefined ? [] : [refuse(undefined, change.code, change.message)];
}

/** What keeps one table from being mirrored, with the source's side first. */
export function preflightTable(
  tableCase: TableCase,
  mirror: Mirror,
  observed: Observed,
): Refusal[] {
  const { table } = tableCase;
  const shape = tableCase.observed.sourceShape;
  const name = formatTableName(table.source);
  if (shape === undefined)
    return [refuse(table, 'TableMissing', `table ${name} does not exist on the source`)];
  if (shape.kind !== 'table' && shape.kind !== 'partitioned')
    return [refuse(table, 'TableNotMirrorable', `${name} is a ${shape.kind}`)];
  if (shape.unlogged)
    return [
      refuse(
        table,
        'TableNotMirrorable',
        `${name} is unlogged or temporary: its changes are in no log`,
      ),
    ];
  return [
    ...loopRefusals(tableCase, mirror, observed),
    ...sourceRightRefusals(tableCase, shape, mirror, observed),
    ...identityOfRows(tableCase, shape),
    ...unpublishedIdentity(tableCase, shape, observed),
    ...unknownExclusions(tableCase, shape),
    ...typeRefusals(tableCase, mirror),
    ...destinationRefusals(tableCase, observed),
  ];
}

/** A table that is written by the mirror that reads it would be copied for ever. */
function loopRefusals(
  { table }: TableCase,
  mirror: Mirror,
  { source, destination }: Observed,
): Refusal[] {
  const sameDatabase =
    source.systemIdentifier !== '' &&
    source.systemIdentifier === destination.systemIdentifier &&
    source.database === destination.database;
  const loops = mirror.tables.some((other) => sameTable(other.source, table.destination));
  return sameDatabase && loops
    ? [
        refuse(
          table,
          'NotSupported',
          `${formatTableName(table.destination)} is a source of this mirror in the same database`,
          'Name another destination database, or another destination table.',
        ),
      ]
    : [];
}

function sourceRightRefusals(
  { table }: TableCase,
  shape: TableShape,
  mirror: Mirror,
  { source, publication }: Observed,
): Refusal[] {
  const name = formatTableName(table.source);
  const role = source.role.name;
  const refusals: Refusal[] = [];
  if (!shape.readable)
    refusals.push(
      refuse(table, 'PermissionDenied', `role ${role} may not SELECT every column of ${name}`),
    );
  if (shape.rowSecurity)
    refusals.push(
      refuse(
        table,
        'PermissionDenied',
        `row security hides rows of ${name} from role ${role}`,
        `On the source: ALTER ROLE ${role} BYPASSRLS.`,
      ),
    );
  const published =
    publication?.allTables === true ||
    publication?.tables.some((member) => sameTable(member, table.source)) === true;
  if (mirror.publication.managed && !published && !shape.owned)
    refusals.push(
      refuse(
        table,
        'PermissionDenied',
        `role ${role} does not own ${name}, so it may not add it to publication ${mirror.publication.name}`,
        'Make the role a member of the owner, or let the owner make a publication and name it in the mirror file.',
      ),
    );
  return refusals;
}

function identityOfRows({ table }: TableCase, { replicaIdentity }: TableShape): Refusal[] {
  if (replicaIdentity.kind !== 'nothing' && replicaIdentity.columns.length > 0)
    return missingIdentityColumns(table, replicaIdentity);
  return [
    refuse(
      table,
      'NoReplicaIdentity',
      `${formatTableName(table.source)} has no usable replica identity`,
    ),
  ];
}

/**
 * From PostgreSQL 18 a published table whose identity holds a generated column that is not published
 * cannot be updated any more, by its own application (42P10).
 */
function unpublishedIdentity(
  { table }: TableCase,
  { replicaIdentity, columns }: TableShape,
  { source }: Observed,
): Refusal[] {
  const generated = columns.find(
    ({ name, generated: kind }) =>
      kind !== 'no' && (replicaIdentity.kind === 'full' || replicaIdentity.columns.includes(name)),
  );
  return source.version < FIRST_VERSION_THAT_CHECKS || generated === undefined
    ? []
    : [
        refuse(
          table,
          'NoReplicaIdentity',
          `the replica identity of ${formatTableName(table.source)} holds the generated column ${generated.name}`,
          'Give the table a primary key and REPLICA IDENTITY DEFAULT: published as it is, its own UPDATE and DELETE would fail.',
        ),
      ];
}

const FIRST_VERSION_THAT_CHECKS = 180_000;

/** Without its key a row cannot be found again at the destination. */
function missingIdentityColumns(
  table: TableCase['table'],
  identity: TableShape['replicaIdentity'],
): Refusal[] {
  const excluded = identity.columns.filter((column) => table.excludeColumns.includes(column));
  return identity.kind === 'full' || excluded.length === 0
    ? []
    : [
        refuse(
          table,
          'InvalidSpec',
          `excludeColumns of ${formatTableName(table.source)} names ${excluded.join(', ')}, which identifies its rows`,
          'Take it out of excludeColumns.',
        ),
      ];
}

/** A misspelt name would let through what was to stay away. One that was left out before may be gone from the source. */
function unknownExclusions({ table, record }: TableCase, shape: TableShape): Refusal[] {
  if (record?.observed !== undefined && record.excludeColumns === undefined) return [];
  const run = record !== undefined && 'run' in record.state ? record.state.run : undefined;
  const names = new Set([
    ...shape.columns.map((column) => column.name),
    ...(record?.excludeColumns ?? []),
    ...(run?.excludeColumns ?? []),
  ]);
  const unknown = table.excludeColumns.filter((column) => !names.has(column));
  return unknown.length === 0
    ? []
    : [
        refuse(
          table,
          'InvalidSpec',
          `excludeColumns of ${formatTableName(table.source)} names ${unknown.join(', ')}, which it does not have`,
          'Correct the name; case counts.',
        ),
      ];
}

/** Types that we cannot make alike, or may not. */
function typeRefusals({ table, observed: look }: TableCase, mirror: Mirror): Refusal[] {
  return look.types
    .filter(
      (type) =>
        type.createSql.length === 0 ||
        (type.state === 'different' && mirror.schemaChanges === 'Stop'),
    )
    .map((type) =>
      refuse(
        table,
        'SchemaMismatch',
        `type ${formatTableName(type.name)} ${type.problem ?? 'is missing'}`,
        'Make the type at the destination like the source.',
      ),
    );
}

function destinationRefusals(
  { table, observed: look, desired }: TableCase,
  { destination }: Observed,
): Refusal[] {
  const name = formatTableName(table.destination);
  const refusals: Refusal[] = [];
  const actual = look.destinationShape;
  const virtual = desired?.columns.find(
    (column) =>
      column.generated === 'virtual' &&
      (actual?.columns.find(({ name }) => name === column.name)?.generated ?? 'no') === 'no',
  );
  if (virtual !== undefined && destination.version < VIRTUAL_COLUMNS_VERSION)
    refusals.push(
      refuse(
        table,
        'SchemaMismatch',
        `column ${virtual.name} is a virtual generated column, which PostgreSQL ${majorVersion(destination)} does not have`,
        'Name it in excludeColumns, or create the destination table with a stored one.',
      ),
    );
  if (actual === undefined) return refusals;
  if (actual.kind !== 'table' && actual.kind !== 'partitioned')
    refusals.push(
      refuse(table, 'SchemaMismatch', `${name} is a ${actual.kind} at the destination`),
    );
  else if (!actual.readable)
    refusals.push(
      refuse(
        table,
        'PermissionDenied',
        `role ${destination.role.name} may not write ${name} at the destination`,
      ),
    );
  else if (actual.rowSecurity)
    refusals.push(
      refuse(
        table,
        'PermissionDenied',
        `row security applies to role ${destination.role.name} on ${name} at the destination`,
      ),
    );
  return refusals;
}

function majorVersion(server: ObservedServer): number {
  return Math.floor(server.version / 10_000);
}
