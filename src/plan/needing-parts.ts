/**
 * What of a destination table needs a column that is left out: rows come with NULL or the default there, and
 * each would be the same to a UNIQUE and break a CHECK. Pure.
 */
import type { ConstraintShape, ForeignKeyShape, IndexShape, TableShape } from '../core/observed.ts';
import { quoteIdent } from '../sql/quote.ts';
import type { Exclusions } from './exclusions.ts';

export interface NeedingPart {
  readonly kind: 'constraint' | 'index';
  readonly name: string;
  /** Those that are left out, of all that it reads. */
  readonly columns: readonly string[];
  /** The source has it too: without its columns the mirrored table does not. */
  readonly ofSource: boolean;
  /** NULL in the column is all it takes to satisfy it. */
  readonly isContent: boolean;
}

/** Keys that tell rows apart are the identity's matter, and indexes that are not unique take anything. */
export function needingParts(
  file: Exclusions,
  source: TableShape,
  actual: TableShape,
): NeedingPart[] {
  const left = actual.columns.filter(({ name, touches }) =>
    [name, ...touches].some((column) => file.excludeColumns.includes(column)),
  );
  const names = left.map(({ name }) => name);
  const empty = left
    .filter((column) => column.defaultExpression === undefined && column.identity === 'no')
    .map(({ name }) => name);
  const part = (
    kind: NeedingPart['kind'],
    { name, touches }: { readonly name: string; readonly touches: readonly string[] },
    how: Pick<NeedingPart, 'ofSource' | 'isContent'>,
  ): NeedingPart[] => {
    const columns = touches.filter((column) => names.includes(column));
    return columns.length === 0 ? [] : [{ kind, name, columns, ...how }];
  };
  return [
    // First, for it depends on what it references, which may be of the same table.
    ...actual.foreignKeys.flatMap((key) =>
      part(
        'constraint',
        { name: key.name, touches: key.columns },
        { ofSource: hasForeignKey(source, key), isContent: hasAny(key.columns, empty) },
      ),
    ),
    ...actual.constraints
      .filter(({ kind }) => kind !== 'primary key')
      .flatMap((one) =>
        part('constraint', one, {
          ofSource: hasConstraint(source, one),
          isContent: one.kind === 'unique' && keepsNullsApart(one) && hasAny(one.columns, empty),
        }),
      ),
    ...actual.indexes
      .filter(({ unique }) => unique)
      .flatMap((one) =>
        part('index', one, {
          ofSource: hasIndex(source, one),
          isContent: keepsNullsApart(one) && hasAny(plainColumns(one, empty), empty),
        }),
      ),
  ];
}

function hasAny(columns: readonly string[], others: readonly string[]): boolean {
  return columns.some((column) => others.includes(column));
}

/** Not so with NULLS NOT DISTINCT, from PostgreSQL 15 on. */
function keepsNullsApart({ definition }: { readonly definition: string }): boolean {
  return !definition.includes('NULLS NOT DISTINCT');
}

/** Of those columns the ones that the index has as they are: what an expression makes of NULL is not known. */
function plainColumns({ definition }: IndexShape, columns: readonly string[]): string[] {
  const [, list = ''] = /^USING \w+ \(([^()]*)\)/.exec(definition) ?? [];
  const items = list.split(', ').map((item) => item.trim());
  const isThere = (name: string): boolean =>
    items.some((item) =>
      [name, quoteIdent(name)].some((text) => item === text || item.startsWith(`${text} `)),
    );
  return columns.filter(isThere);
}

function hasForeignKey({ foreignKeys }: TableShape, key: ForeignKeyShape): boolean {
  return foreignKeys.some(
    ({ name, columns, definition }) =>
      name === key.name || (definition === key.definition && columns.join() === key.columns.join()),
  );
}

function hasConstraint(source: TableShape, one: ConstraintShape): boolean {
  return (
    source.constraints.some(
      ({ name, kind, definition }) =>
        kind === one.kind && (name === one.name || definition === one.definition),
    ) ||
    source.indexes.some(({ unique, definition }) => unique && definition === one.indexDefinition)
  );
}

function hasIndex(source: TableShape, one: IndexShape): boolean {
  return (
    source.indexes.some(
      ({ name, unique, definition }) =>
        unique && (name === one.name || definition === one.definition),
    ) || source.constraints.some(({ indexDefinition }) => indexDefinition === one.definition)
  );
}
