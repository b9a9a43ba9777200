/**
 * What is wrong between mirrors: two that write one table, tables whose changes would go round for ever,
 * and the publication of another one. Both sides of the first two are refused, since which came first cannot be told from files: the one that
 * runs already goes on with its last good spec.
 */
import type { Connection, Mirror } from '../core/mirror.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { MirrorDocument } from './document.ts';
import type { Finding, YamlFile } from './yaml-file.ts';

/** A mirror that is right by itself, with the file it is from. */
export interface Candidate {
  readonly file: YamlFile;
  readonly document: MirrorDocument;
  readonly mirror: Mirror;
}

export interface Conflict {
  readonly candidate: Candidate;
  readonly finding: Finding;
}

/** One row of a table list, as an arrow between two tables of two servers. */
interface Arrow {
  readonly candidate: Candidate;
  readonly index: number;
  readonly from: string;
  readonly to: string;
}

/** Every conflict among these mirrors, each reported at all the ends that can be at fault. */
export function findConflicts(candidates: readonly Candidate[]): Conflict[] {
  const arrows = candidates.flatMap((candidate) =>
    candidate.mirror.tables.map((table, index) => ({
      candidate,
      index,
      from: tableAt(candidate.mirror.source, table.source),
      to: tableAt(candidate.mirror.destination, table.destination),
    })),
  );
  return [
    ...findSharedDestinations(arrows),
    ...findLoops(arrows),
    ...findTakenPublications(candidates),
  ];
}

/** What a mirror manages is altered and dropped with it. A server has many addresses, a database one name. */
function findTakenPublications(candidates: readonly Candidate[]): Conflict[] {
  const keyOf = ({ publication, source }: Mirror): string =>
    JSON.stringify([publication.name, source.database]);
  const managed = candidates.filter(({ mirror }) => mirror.publication.managed);
  const owners = new Map(managed.map((candidate) => [keyOf(candidate.mirror), candidate]));
  return candidates.flatMap((candidate) => {
    const { publication } = candidate.mirror;
    const owner = publication.managed ? undefined : owners.get(keyOf(candidate.mirror));
    if (owner === undefined) return [];
    const finding: Finding = {
      code: 'PublicationConflict',
      path: ['spec', 'publication'],
      message: `${publication.name} is the publication that mirror ${owner.mirror.name} makes and drops (${owner.file.path})`,
      hint: 'name one that a DBA owns, or leave the field out',
    };
    return [{ candidate, finding }];
  });
}

function findSharedDestinations(arrows: readonly Arrow[]): Conflict[] {
  return [...groupBy(arrows, ({ to }) => to).values()].flatMap((group) =>
    group.flatMap((arrow) => {
      const other = group.find(({ candidate }) => candidate !== arrow.candidate);
      return other === undefined ? [] : [sharedDestination(arrow, other)];
    }),
  );
}

function sharedDestination(arrow: Arrow, other: Arrow): Conflict {
  const text = formatTableName(tableOf(arrow).destination);
  return conflict(arrow, {
    code: 'DestinationConflict',
    message: `${text} is written by mirror ${other.candidate.mirror.name} too (${whereIs(other)})`,
    hint: 'one of the two must leave the table out or write another one',
  });
}

function findLoops(arrows: readonly Arrow[]): Conflict[] {
  const arrowsFrom = groupBy(arrows, ({ from }) => from);
  return arrows.filter((arrow) => leadsBack(arrow, arrowsFrom)).map(loop);
}

function leadsBack(arrow: Arrow, arrowsFrom: ReadonlyMap<string, readonly Arrow[]>): boolean {
  const seen = new Set([arrow.to]);
  // A Set takes new members while it is walked, so this goes on to all that can be reached.
  for (const place of seen) {
    if (place === arrow.from) return true;
    for (const next of arrowsFrom.get(place) ?? []) seen.add(next.to);
  }
  return false;
}

function loop(arrow: Arrow): Conflict {
  const text = formatTableName(tableOf(arrow).source);
  const message =
    arrow.from === arrow.to
      ? `${text} would be mirrored onto itself`
      : `changes of ${text} would come back to it and go round for ever`;
  return conflict(arrow, {
    code: 'Loop',
    message,
    hint: 'source and destination must be different tables, also by way of other mirrors',
  });
}

function conflict({ candidate, index }: Arrow, finding: Omit<Finding, 'path'>): Conflict {
  return { candidate, finding: { ...finding, path: tablePath(candidate, index) } };
}

function whereIs({ candidate, index }: Arrow): string {
  return `${candidate.file.path}:${candidate.file.place(tablePath(candidate, index)).line}`;
}

/** Where the destination is written, or what it is taken from. */
function tablePath({ document }: Candidate, index: number): Finding['path'] {
  const side = document.spec.tables[index]?.destination === undefined ? 'source' : 'destination';
  return ['spec', 'tables', index, side];
}

function tableOf({ candidate, index }: Arrow): Mirror['tables'][number] {
  const table = candidate.mirror.tables[index];
  if (table === undefined) throw new Error('an arrow points into its own mirror');
  return table;
}

/** Equal for one table of one database, however its server is written. */
export function tableAt(connection: Connection, table: TableName): string {
  const { database } = connection;
  return JSON.stringify([serverOf(connection), database, table.schema, table.name]);
}

/** Equal for two spellings of one address; one server may still have several addresses. */
export function serverOf({ host, port }: Connection): string {
  const lower = host.toLowerCase().replace(/\.$/, '');
  const server = ['localhost', '127.0.0.1', '::1'].includes(lower) ? 'localhost' : lower;
  return JSON.stringify([server, port]);
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
