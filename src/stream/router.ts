/** The tables of one mirror as the stream sees them now. Changed only at commit boundaries, by follow.ts. */
import { append } from '../core/multi-map.ts';
import { formatTableName, sameTable, type TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import { unspooledColumns } from '../plan/exclusions.ts';
import type { TransactionPart, Change } from './assemble.ts';
import type { Relation } from './decode.ts';
import type { RowChange } from './fold.ts';
import { routeOf, type Route } from './route.ts';
import type { SpoolEntry } from './spool.ts';
import type { ApplyTarget } from './target.ts';

export interface RoutedTable {
  readonly record: TableRecord;
  readonly route: Route;
  /** There when the route is live and the table exists. */
  readonly target: ApplyTarget | undefined;
  /** Columns whose values do not go into its spool. */
  readonly unspooled: readonly string[];
}

/** A stretch of a batch in which tables do not depend on each other. */
export type Segment =
  | { readonly tag: 'rows'; readonly tables: Map<RoutedTable, RowChange[]> }
  | { readonly tag: 'truncate'; readonly tables: readonly RoutedTable[] };

/** What a batch does, sorted by table and route. */
export interface Work {
  /** For live tables, in order. */
  readonly segments: readonly Segment[];
  /** For tables whose changes are kept for later. */
  readonly spool: readonly SpoolEntry[];
  /** What is in `segments`, table by table: for a batch in which one of them fails. */
  readonly live: ReadonlyMap<RoutedTable, readonly SpoolEntry[]>;
}

export class Router {
  readonly #tables = new Map<string, RoutedTable>();
  /** By the oid that was copied: a table that is renamed goes on, another under its old name is not it. */
  readonly #byOid = new Map<number, RoutedTable>();

  set(record: TableRecord, target: ApplyTarget | undefined): void {
    this.remove(record.source);
    const unspooled = unspooledColumns(record);
    const table = { record, route: routeOf(record.state), target, unspooled };
    this.#tables.set(formatTableName(record.source), table);
    if (record.sourceOid !== undefined) this.#byOid.set(record.sourceOid, table);
  }

  remove(source: TableName): void {
    const oid = this.get(source)?.record.sourceOid;
    if (oid !== undefined) this.#byOid.delete(oid);
    this.#tables.delete(formatTableName(source));
  }

  get(source: TableName): RoutedTable | undefined {
    return this.#tables.get(formatTableName(source));
  }

  records(): TableRecord[] {
    return [...this.#tables.values()].map(({ record }) => record);
  }

  /** Sorts whole transactions, or one part of a large one. Tables we do not know are not ours. */
  distribute(parts: readonly TransactionPart[]): Work {
    const work = {
      segments: new Array<Segment>(),
      spool: new Array<SpoolEntry>(),
      live: new Map<RoutedTable, SpoolEntry[]>(),
    };
    const tableOf = this.#lookup();
    for (const part of parts) {
      const entries = new Map<RoutedTable, Change[]>();
      for (const change of part.changes) {
        if (change.tag === 'truncate') addTruncate(work.segments, entries, change, tableOf);
        else addRow(work.segments, entries, change, tableOf(change.relation));
      }
      for (const [table, changes] of entries) {
        const entry = toEntry(table, part, changes);
        if (table.route.spool) work.spool.push(entry);
        if (table.route.live) append(work.live, table, entry);
      }
    }
    return work;
  }

  /**
   * What a transaction does to one table. Of a large one only the first part is there: it is taken to
   * change the table.
   */
  effectOf(part: TransactionPart, source: TableName): { touches: boolean; truncates: boolean } {
    const isIt = (relation: Relation): boolean => {
      const found = this.#find(relation);
      return found !== undefined && sameTable(found.record.source, source);
    };
    const truncates = part.changes.some(
      (change) => change.tag === 'truncate' && change.relations.some(isIt),
    );
    const isWhole = part.first && part.final;
    const changes = new Set(
      part.changes.flatMap((change) => (change.tag === 'truncate' ? [] : [change.relation])),
    );
    return { touches: truncates || !isWhole || [...changes].some(isIt), truncates };
  }

  #find(relation: Relation): RoutedTable | undefined {
    const known = this.#byOid.get(relation.id);
    if (known) return known;
    const named = this.get(relation);
    return named?.record.sourceOid === undefined ? named : undefined;
  }

  /** Tables whose changes go anywhere, looked up by name once for each description and not for each row. */
  #lookup(): TableOf {
    const known = new Map<Relation, RoutedTable | undefined>();
    return (relation) => {
      if (known.has(relation)) return known.get(relation);
      const found = this.#find(relation);
      const table = found && (found.route.live || found.route.spool) ? found : undefined;
      known.set(relation, table);
      return table;
    };
  }
}

type TableOf = (relation: Relation) => RoutedTable | undefined;
type Entries = Map<RoutedTable, Change[]>;

function addRow(
  segments: Segment[],
  entries: Entries,
  change: RowChange,
  table: RoutedTable | undefined,
): void {
  if (table === undefined) return;
  append(entries, table, change);
  if (!table.route.live) return;
  let last = segments.at(-1);
  if (last?.tag !== 'rows') {
    last = { tag: 'rows', tables: new Map() };
    segments.push(last);
  }
  append(last.tables, table, change);
}

function addTruncate(
  segments: Segment[],
  entries: Entries,
  change: Extract<Change, { tag: 'truncate' }>,
  tableOf: TableOf,
): void {
  const live: RoutedTable[] = [];
  for (const relation of change.relations) {
    const table = tableOf(relation);
    if (table === undefined) continue;
    // Each table's spool has its own part of it.
    append(entries, table, { ...change, relations: [relation] });
    if (table.route.live) live.push(table);
  }
  if (live.length > 0) segments.push({ tag: 'truncate', tables: live });
}

function toEntry(
  { record, unspooled }: RoutedTable,
  { xid, commitLsn }: TransactionPart,
  changes: readonly Change[],
): SpoolEntry {
  return { tableId: record.id, xid, commitLsn, changes, without: unspooled };
}
