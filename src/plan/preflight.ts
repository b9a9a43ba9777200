/** What keeps a mirror or one of its tables from going on, before anything is done about it. */
import type { Mirror } from '../core/mirror.ts';
import type { Observed } from '../core/observed.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import { partitionRefusals } from './partition-key.ts';
import type { Refusal } from './plan.ts';
import { preflightDestination, preflightTarget } from './preflight-destination.ts';
import { preflightExclusions } from './preflight-exclusions.ts';
import {
  preflightIdentity,
  preflightRelation,
  preflightRights,
  preflightSource,
} from './preflight-source.ts';
import { refuse, underCheck } from './refuse.ts';
import { majorVersion } from './server-version.ts';
import { identityChange } from './source-change.ts';
import type { TableCase } from './table-case.ts';

/** From here on a table can have virtual generated columns. */
const VIRTUAL_COLUMNS_VERSION = 180_000;

/** What keeps the whole mirror from running: servers and roles. */
export function preflightMirror(mirror: Mirror, observed: Observed): Refusal[] {
  return [...preflightSource(mirror, observed), ...preflightDestination(observed)];
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
  const unfit = preflightRelation(tableCase);
  const shape = tableCase.observed.sourceShape;
  if (unfit.length > 0 || shape === undefined) return unfit;
  const types = [...typeRefusals(tableCase, mirror), ...virtualColumns(tableCase, observed)];
  return [
    ...underCheck('loop', loopRefusals(tableCase, mirror, observed)),
    ...preflightRights(tableCase, shape, mirror, observed),
    ...preflightIdentity(tableCase, shape, observed.source),
    ...preflightExclusions(tableCase, shape),
    ...underCheck('types', types),
    ...preflightTarget(tableCase, observed),
    ...underCheck('create-tables', takenName(tableCase)),
    ...underCheck('write-tables', partitionRefusals(tableCase, observed.destination)),
  ];
}

/** A table has a type of its name too, and a name among those of indexes. */
function takenName({ table, observed: { nameTakenBy } }: TableCase): Refusal[] {
  if (nameTakenBy === undefined) return [];
  return [
    refuse(
      table,
      'NameTaken',
      `${formatTableName(table.destination)} cannot be made at the destination: ${nameTakenBy} has its name`,
      'Rename or drop that at the destination, or name another destination for the table.',
    ),
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

/** Where the table has to be made with a kind of column that its server does not know. */
function virtualColumns(
  { table, observed: look, desired }: TableCase,
  { destination }: Observed,
): Refusal[] {
  const actual = look.destinationShape;
  const virtual = desired?.columns.find(
    (column) =>
      column.generated === 'virtual' &&
      (actual?.columns.find(({ name }) => name === column.name)?.generated ?? 'no') === 'no',
  );
  return virtual === undefined || destination.version >= VIRTUAL_COLUMNS_VERSION
    ? []
    : [
        refuse(
          table,
          'SchemaMismatch',
          `column ${virtual.name} is a virtual generated column, which PostgreSQL ${majorVersion(destination)} does not have`,
          'Name it in excludeColumns, or create the destination table with a stored one.',
        ),
      ];
}
