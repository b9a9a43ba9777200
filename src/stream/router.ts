/** The tables of one mirror as the stream sees them now. Changed only at commit boundaries, by follow.ts. */
import { append } from '../core/multi-map.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { TransactionPart, Change } from './assemble.ts';
import type { RowChange } from './fold.ts';
import { routeOf, type Route } from './route.ts';
import type { SpoolEntry } from './spool.ts';
import type { ApplyTarget } from './target.ts';

export interface RoutedTable {
  readonly record: TableRecord;
  readonly route: Route;
  /** There when the route is live. */
  readonly target: ApplyTarget | undefined;
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

  set(record: TableRecord, target: ApplyTarget | undefined): void {
    this.#tables.set(formatTableName(record.source), {
      record,
      route: routeOf(record.state),
      target,
    });
  }

  remove(source: TableName): void {
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
    const segments: Segment[] = [];
    const spool: SpoolEntry[] = [];
    const live = new Map<RoutedTable, SpoolEntry[]>();
    for (const part of parts) {
      const entries = new Map<RoutedTable, Change[]>();
      for (const change of part.changes) {
        const tables = this.#tablesOf(change);
        addToSegments(
          segments,
          change,
          tables.filter(({ route }) => route.live),
        );
        for (const table of tables) append(entries, table, change);
      }
      for (const [table, changes] of entries) {
        const entry = toEntry(table, part, changes);
        if (table.route.spool) spool.push(entry);
        if (table.route.live) append(live, table, entry);
      }
    }
    return { segments, spool, live };
  }

  #tablesOf(change: Change): RoutedTable[] {
    const relations = change.tag === 'truncate' ? change.relations : [change.relation];
    return relations.flatMap((relation) => {
      const table = this.get(relation);
      return table && (table.route.live || table.route.spool) ? [table] : [];
    });
  }
}

function addToSegments(segments: Segment[], change: Change, tables: readonly RoutedTable[]): void {
  const [table] = tables;
  if (table === undefined) return;
  if (change.tag === 'truncate') {
    segments.push({ tag: 'truncate', tables });
    return;
  }
  let last = segments.at(-1);
  if (last?.tag !== 'rows') {
    last = { tag: 'rows', tables: new Map() };
    segments.push(last);
  }
  append(last.tables, table, change);
}

function toEntry(
  table: RoutedTable,
  part: TransactionPart,
  changes: readonly Change[],
): SpoolEntry {
  return {
    tableId: table.record.id,
    source: table.record.source,
    xid: part.xid,
    commitLsn: part.commitLsn,
    changes,
  };
}
