import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { Observed, ObservedPublication, PublishedTable } from '../core/observed.ts';
import { formatTableName, sameTable, type TableName } from '../core/table-name.ts';
import type { Notice, Refusal, Step } from './plan.ts';
import { isComplete, OPERATIONS, publishes } from './published.ts';
import type { SourceCase } from './preflight-source.ts';
import { refuse, underCheck } from './refuse.ts';

/** Why a publication that is somebody else's will not do; a managed one is made to fit. */
export function preflightPublication(
  mirror: Pick<Mirror, 'publication'>,
  publication: ObservedPublication | undefined,
): Refusal[] {
  return underCheck('publication', publicationRefusals(mirror, publication));
}

function publicationRefusals(
  mirror: Pick<Mirror, 'publication'>,
  publication: ObservedPublication | undefined,
): Refusal[] {
  const { name, managed } = mirror.publication;
  if (managed) return [];
  if (publication === undefined)
    return [
      refuse(
        undefined,
        'TableMissing',
        `publication ${name} does not exist on the source`,
        'Create the publication, or leave `publication` out of the mirror file: then one is made.',
      ),
    ];
  const silent = OPERATIONS.filter((operation) => !publication.operations.includes(operation));
  return silent.length === 0
    ? []
    : [
        refuse(
          undefined,
          'NotSupported',
          `publication ${name} does not publish ${silent.join(', ')}`,
          `On the source: ALTER PUBLICATION ${name} SET (publish = '${OPERATIONS.join(', ')}').`,
        ),
      ];
}

/** Why one table's changes would not, or not all, come through the publication. */
export function preflightPublished(
  tableCase: SourceCase,
  mirror: Pick<Mirror, 'publication'>,
  publication: ObservedPublication | undefined,
): Refusal[] {
  return underCheck('published-whole', publishedRefusals(tableCase, mirror, publication));
}

function publishedRefusals(
  tableCase: SourceCase,
  mirror: Pick<Mirror, 'publication'>,
  publication: ObservedPublication | undefined,
): Refusal[] {
  const { table, observed } = tableCase;
  const { name, managed } = mirror.publication;
  if (publication === undefined) return [];
  const source = formatTableName(table.source);
  const partial = preflightPartial(tableCase, name, publication);
  if (managed || partial.length > 0) return partial;
  if (!publishes(publication, table.source))
    return [
      refuse(
        table,
        'TableMissing',
        `publication ${name} does not publish ${source}`,
        `On the source, by the publication's owner: ALTER PUBLICATION ${name} ADD TABLE ${source}.`,
      ),
    ];
  if (observed.sourceShape?.kind === 'partitioned' && !publication.viaPartitionRoot)
    return [
      refuse(
        table,
        'NotSupported',
        `publication ${name} publishes the partitions of ${source} under their own names`,
        `On the source: ALTER PUBLICATION ${name} SET (publish_via_partition_root = true). What else was altered with it cannot be told: every table is copied again after that.`,
      ),
    ];
  return [];
}

/** What a filter or a list leaves out would be missing here, and look as if it were all. */
function preflightPartial(
  { table, desired }: SourceCase,
  name: string,
  publication: ObservedPublication,
): Refusal[] {
  const member = publication.partial.find((candidate) => sameTable(candidate.table, table.source));
  if (member === undefined) return [];
  const source = formatTableName(table.source);
  const hint = `On the source: ALTER PUBLICATION ${name} DROP TABLE ${source}, then ADD TABLE ${source} without it.`;
  if (member.rowFilter)
    return [
      refuse(table, 'NotSupported', `publication ${name} has a row filter for ${source}`, hint),
    ];
  const silent = (desired?.columns ?? [])
    .filter((column) => column.generated === 'no')
    .map((column) => column.name)
    .filter((column) => member.columns?.includes(column) === false);
  return silent.length === 0
    ? []
    : [
        refuse(
          table,
          'NotSupported',
          `publication ${name} does not publish ${silent.join(', ')} of ${source}`,
          `${hint} Or name them in excludeColumns.`,
        ),
      ];
}

/**
 * The steps that make a managed publication publish `accepted` and nothing that the file does not
 * name. A refused table stays as it is, in or out. Where the slot is there a table joins by itself,
 * for that may have to wait for its writers.
 */
export function planPublication(
  mirror: Mirror,
  { publication, slot, ledger }: Observed,
  accepted: readonly MirrorTable[],
): Step[] {
  if (!mirror.publication.managed || publication?.allTables === true) return [];
  const wanted = accepted.map((table) => table.source);
  if (publication === undefined) return [{ kind: 'create-publication', tables: wanted }];
  const missing = accepted.filter((table) => !publishes(publication, table.source));
  const add = slot === undefined ? missing.map((table) => table.source) : [];
  const isNamed = (name: TableName): boolean =>
    mirror.tables.some((table) => sameTable(table.source, name));
  // Renamed at the source it is still ours: out of the publication, what is written to it would be lost.
  const isOurs = ({ oid }: PublishedTable): boolean =>
    oid !== undefined &&
    ledger.tables.some((record) => record.sourceOid === oid && isNamed(record.source));
  const drop = publication.tables.filter((member) => !isNamed(member) && !isOurs(member));
  return [
    ...(add.length === 0 && drop.length === 0 && isComplete(publication)
      ? []
      : [{ kind: 'alter-publication', add, drop } as const]),
    ...(slot === undefined ? [] : missing.map((table): Step => ({ kind: 'publish-table', table }))),
  ];
}

/** Tables whose changes are sent for nothing. */
export function publicationNotices(mirror: Mirror, { publication }: Observed): Notice[] {
  if (mirror.publication.managed || publication === undefined || publication.allTables) return [];
  const extra = publication.tables.filter(
    (member) => !mirror.tables.some((table) => sameTable(table.source, member)),
  );
  return extra.length === 0
    ? []
    : [
        {
          table: undefined,
          reason: 'ExtraTable',
          message: `publication ${mirror.publication.name} also publishes ${extra.map(formatTableName).join(', ')}, which the mirror does not name`,
        },
      ];
}
