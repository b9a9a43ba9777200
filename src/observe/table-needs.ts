import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { ObservedTable, TableShape } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { desiredShape } from '../plan/desired-shape.ts';
import { partsToMake } from '../plan/needed-objects.ts';
import type { Session } from '../postgres/session.ts';
import {
  observeMissingObjects,
  observeNeededObjects,
  observeTakenNames,
  type SourceObject,
} from './needed-objects.ts';
import type { Shapes } from './shapes.ts';
import { observeTypes } from './type-closure.ts';

type Needs = Pick<ObservedTable, 'types' | 'missingObjects' | 'nameTakenBy'>;

/** For each table of the file what has to be there, or out of the way, before it can be made as the source has it. */
export async function observeNeeds(
  mirror: Mirror,
  sessions: { readonly source: Session; readonly destination: Session },
  shapes: { readonly sources: Shapes; readonly destinations: Shapes },
): Promise<(table: MirrorTable) => Needs> {
  const sourceOf = ({ source }: MirrorTable): TableShape | undefined =>
    shapes.sources.get(formatTableName(source));
  const oids = mirror.tables.flatMap((table) => sourceOf(table)?.oid ?? []);
  const all = await observeNeededObjects(sessions.source, oids);
  /** Those of the parts that a copy may have to make, or has to in any case. */
  const needed = (table: MirrorTable, isMended: boolean): SourceObject[] => {
    const source = sourceOf(table);
    if (source === undefined) return [];
    const desired = desiredShape(mirror, table, source);
    const actual = shapes.destinations.get(formatTableName(table.destination));
    const isMade = partsToMake({ desired, actual, isMended });
    return (all.get(source.oid) ?? []).filter(({ neededBy }) => isMade(neededBy));
  };
  const types = (table: MirrorTable): number[] => [
    ...(sourceOf(table)?.columns ?? [])
      .filter((column) => !table.excludeColumns.includes(column.name))
      .map((column) => column.typeOid),
    ...needed(table, false).flatMap(({ typeOid }) => typeOid ?? []),
  ];
  const typesOf = await observeTypes(sessions, mirror.tables.flatMap(types));
  const isMissing = await observeMissingObjects(
    sessions.destination,
    mirror.tables.flatMap((table) => needed(table, true)),
  );
  const taken = await observeTakenNames(
    sessions.destination,
    mirror.tables
      .map(({ destination }) => destination)
      .filter((name) => !shapes.destinations.has(formatTableName(name))),
  );
  return (table) => {
    const nameTakenBy = taken.get(formatTableName(table.destination));
    return {
      types: typesOf(types(table)),
      missingObjects: needed(table, true).filter(isMissing).map(toNeededObject),
      ...(nameTakenBy === undefined ? {} : { nameTakenBy }),
    };
  };
}

/** Without what only finding it at the other side asks for. */
function toNeededObject({
  object,
  schema,
  extension,
  neededBy,
}: SourceObject): ObservedTable['missingObjects'][number] {
  return { object, schema, extension, neededBy };
}
