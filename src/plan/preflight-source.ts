/** What is asked of the source before anything is done: its server, its role, its tables. */
import type { Mirror } from '../core/mirror.ts';
import type { Observed, ObservedServer, ObservedTable, TableShape } from '../core/observed.ts';
import { ownerOfReservedSchema } from '../core/reserved-schema.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import { quoteIdent, quoteTable } from '../sql/quote.ts';
import type { Refusal } from './plan.ts';
import { refuse, underCheck } from './refuse.ts';
import { preflightVersion } from './server-version.ts';
import type { TableCase } from './table-case.ts';

/** From here on an UPDATE is refused whose replica identity is not published whole. */
const FIRST_VERSION_THAT_CHECKS = 180_000;

/** What of a mirror the source's side is judged by. */
export type SourceRules = Pick<Mirror, 'publication'>;

/** What of a look the source's side is judged by. */
export type SourceLook = Pick<Observed, 'source' | 'publication'>;

/** One table of the file as it is at the source. */
export interface SourceCase extends Pick<TableCase, 'table' | 'desired'> {
  readonly observed: Pick<ObservedTable, 'sourceShape'>;
}

/** What keeps every table from being followed. */
export function preflightSource(
  mirror: SourceRules,
  { source, publication }: SourceLook,
): Refusal[] {
  const { role } = source;
  const wal =
    source.walLevel === 'logical'
      ? []
      : [refuse(undefined, 'WalLevelNotLogical', `wal_level of the source is ${source.walLevel}`)];
  const replication = role.replication
    ? []
    : [
        refuse(
          undefined,
          'PermissionDenied',
          `role ${role.name} lacks REPLICATION on the source`,
          `On the source: ALTER ROLE ${quoteIdent(role.name)} REPLICATION;`,
        ),
      ];
  const create =
    mirror.publication.managed && publication === undefined && !source.canCreate
      ? [
          refuse(
            undefined,
            'PermissionDenied',
            `role ${role.name} may not CREATE in database ${source.database}, which a publication needs`,
            `On the source: GRANT CREATE ON DATABASE ${quoteIdent(source.database)} TO ${quoteIdent(role.name)};`,
          ),
        ]
      : [];
  return [
    ...underCheck('source-version', preflightVersion('source', source)),
    ...underCheck('wal-level', wal),
    ...underCheck('replication-right', replication),
    ...underCheck('publication', create),
  ];
}

/** What keeps a table of the source from being mirrored, whatever the destination is. */
export function preflightSourceTable(
  one: SourceCase,
  mirror: SourceRules,
  look: SourceLook,
): Refusal[] {
  const unfit = preflightRelation(one);
  const shape = one.observed.sourceShape;
  if (unfit.length > 0 || shape === undefined) return unfit;
  return [
    ...preflightRights(one, shape, mirror, look),
    ...preflightIdentity(one, shape, look.source),
  ];
}

/** Why a relation cannot be mirrored by anybody; such a one is not looked at any further. */
export function preflightRelation({ table, observed }: SourceCase): Refusal[] {
  return underCheck('source-tables', relationRefusals(table, observed.sourceShape));
}

function relationRefusals(table: TableCase['table'], shape: TableShape | undefined): Refusal[] {
  const name = formatTableName(table.source);
  const owner = ownerOfReservedSchema(table.source.schema);
  if (owner !== undefined)
    return [
      refuse(
        table,
        'TableNotMirrorable',
        `${name} is in a schema which is ${owner}`,
        'Remove it from the mirror file.',
      ),
    ];
  if (shape === undefined)
    return [refuse(table, 'TableMissing', `table ${name} does not exist on the source`)];
  if (shape.kind !== 'table' && shape.kind !== 'partitioned')
    return [refuse(table, 'TableNotMirrorable', `${name} is a ${shape.kind}`)];
  if (!shape.unlogged) return [];
  return [
    refuse(
      table,
      'TableNotMirrorable',
      `${name} is unlogged or temporary: its changes are in no log`,
      `On the source: ALTER TABLE ${quoteTable(table.source)} SET LOGGED; or remove it from the mirror file.`,
    ),
  ];
}

/** What keeps our role from reading or publishing a table. */
export function preflightRights(
  { table }: SourceCase,
  shape: TableShape,
  mirror: SourceRules,
  look: SourceLook,
): Refusal[] {
  const name = formatTableName(table.source);
  const { role } = look.source;
  const select = shape.readable
    ? []
    : [
        refuse(
          table,
          'PermissionDenied',
          `role ${role.name} may not SELECT every column of ${name}`,
          `On the source: GRANT USAGE ON SCHEMA ${quoteIdent(table.source.schema)} TO ${quoteIdent(role.name)}; GRANT SELECT ON ${quoteTable(table.source)} TO ${quoteIdent(role.name)};`,
        ),
      ];
  const rowSecurity = shape.rowSecurity
    ? [
        refuse(
          table,
          'PermissionDenied',
          `row security hides rows of ${name} from role ${role.name}`,
          `On the source: ALTER ROLE ${quoteIdent(role.name)} BYPASSRLS;`,
        ),
      ]
    : [];
  return [
    ...underCheck('select-right', select),
    ...underCheck('source-row-security', rowSecurity),
    ...underCheck('table-owner', ownerRefusals(table, shape, mirror, look)),
  ];
}

function ownerRefusals(
  table: TableCase['table'],
  shape: TableShape,
  { publication: { name: publicationName, managed } }: SourceRules,
  { source, publication }: SourceLook,
): Refusal[] {
  const published =
    publication?.allTables === true ||
    publication?.tables.some((member) => sameTable(member, table.source)) === true;
  if (!managed || published || shape.owned) return [];
  const role = source.role.name;
  return [
    refuse(
      table,
      'PermissionDenied',
      `role ${role} does not own ${formatTableName(table.source)}, so it may not add it to publication ${publicationName}`,
      `On the source: GRANT ${quoteIdent(shape.owner)} TO ${quoteIdent(role)}; or let the owner make a publication and name it in the mirror file.`,
    ),
  ];
}

/** Why a change of a row could not say which row it is, or would fail for being published. */
export function preflightIdentity(
  { table }: Pick<SourceCase, 'table'>,
  shape: TableShape,
  source: ObservedServer,
): Refusal[] {
  const { replicaIdentity } = shape;
  const usable = replicaIdentity.kind !== 'nothing' && replicaIdentity.columns.length > 0;
  return underCheck('replica-identity', [
    ...(usable
      ? []
      : [
          refuse(
            table,
            'NoReplicaIdentity',
            `${formatTableName(table.source)} has no usable replica identity`,
            `Give the table a primary key, or on the source: ALTER TABLE ${quoteTable(table.source)} REPLICA IDENTITY FULL; published as it is, its own UPDATE and DELETE would fail.`,
          ),
        ]),
    ...unpublishedIdentity(table, shape, source),
  ]);
}

/**
 * From PostgreSQL 18 a published table whose identity holds a generated column that is not published
 * cannot be updated any more, by its own application (42P10).
 */
function unpublishedIdentity(
  table: TableCase['table'],
  { replicaIdentity, columns }: TableShape,
  source: ObservedServer,
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
