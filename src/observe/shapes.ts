import type { TableShape } from '../core/observed.ts';
import { formatTableName, type TableName } from '../core/table-name.ts';
import type { Session } from '../postgres/session.ts';
import { observeColumns } from './columns.ts';
import { observeConstraints, observeIndexes } from './constraints.ts';
import { observeForeignKeys } from './foreign-keys.ts';
import { observeRelations, type Wanted } from './relations.ts';
import { observeSequences } from './sequences.ts';

/** Shapes by name. */
export type Shapes = ReadonlyMap<string, TableShape>;

/**
 * The shapes of all those tables with six queries, however many there are. A table that is not
 * there is not in the answer. `side` decides what `readable` means.
 */
export async function observeShapes(
  session: Session,
  wanted: readonly Wanted[],
  side: 'source' | 'destination',
): Promise<Shapes> {
  const relations = await observeRelations(session, wanted, side);
  const oids = [...relations.values()].map((relation) => relation.oid);
  if (oids.length === 0) return new Map();
  const columns = await observeColumns(session, oids);
  const constraints = await observeConstraints(session, oids);
  const indexes = await observeIndexes(session, oids);
  const foreignKeys = await observeForeignKeys(session, oids);
  const sequences = await observeSequences(session, oids);
  const shapes = new Map<string, TableShape>();
  for (const [key, relation] of relations)
    shapes.set(key, {
      ...relation,
      columns: columns.get(relation.oid) ?? [],
      constraints: constraints.get(relation.oid) ?? [],
      indexes: indexes.get(relation.oid) ?? [],
      foreignKeys: foreignKeys.get(relation.oid) ?? [],
      sequences: sequences.get(relation.oid) ?? [],
    });
  return shapes;
}

/** One table of the destination as it is now; undefined when it is not there. */
export async function observeDestinationShape(
  session: Session,
  table: TableName,
): Promise<TableShape | undefined> {
  return (await observeShapes(session, [{ name: table }], 'destination')).get(
    formatTableName(table),
  );
}
