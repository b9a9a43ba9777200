import type { ObservedType } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import type { Session } from '../postgres/session.ts';
import { addEnumValuesSql, createTypeSql, typeDifference } from '../sql/type-ddl.ts';
import { observeTypesByName, observeUserTypes, type UserType } from './type-definitions.ts';

/** For each table (its column types' OIDs at the source) what the destination lacks or has differently. */
export type TypeClosure = (columnTypes: readonly number[]) => readonly ObservedType[];

/**
 * Compares the types that columns of the source use, and what those are made of, with the types of
 * the same names at the destination. Two queries on the source's side, two on the other.
 */
export async function observeTypes(
  sessions: { readonly source: Session; readonly destination: Session },
  columnTypes: readonly number[],
): Promise<TypeClosure> {
  const needed = await observeUserTypes(sessions.source, [...new Set(columnTypes)]);
  const present = await observeTypesByName(
    sessions.destination,
    needed.map((type) => type.name),
  );
  const types = new Map(needed.map((type) => [type.oid, type]));
  const byName = new Map(present.map((type) => [formatTableName(type.name), type]));
  const compared = new Map(
    needed
      .filter((type) => type.kind !== 'array' && type.kind !== 'multirange')
      .map((type) => [type.oid, compareType(type, byName.get(formatTableName(type.name)))]),
  );
  return (roots) =>
    dependenciesFirst(roots, types).flatMap((oid) => {
      const type = compared.get(oid);
      return type === undefined || type.state === 'same' ? [] : [type];
    });
}

/** Depth first, each type once, what it is made of before it. */
export function dependenciesFirst(
  roots: readonly number[],
  types: ReadonlyMap<number, Pick<UserType, 'parts'>>,
): number[] {
  const seen = new Set<number>();
  const ordered: number[] = [];
  const visit = (oid: number): void => {
    const type = types.get(oid);
    if (type === undefined || seen.has(oid)) return;
    seen.add(oid);
    for (const part of type.parts) visit(part);
    ordered.push(oid);
  };
  for (const root of roots) visit(root);
  return ordered;
}

/** What has to happen to `there` (the source's) at the destination, where `here` is what has its name. */
export function compareType(there: UserType, here: UserType | undefined): ObservedType {
  const name = there.name;
  if (there.extension !== undefined) return compareExtensionType(there, there.extension, here);
  const { definition } = there;
  if (
    definition === undefined ||
    (definition.kind === 'range' && definition.canonical !== null && here === undefined)
  )
    return here === undefined
      ? {
          name,
          kind: 'other',
          state: 'missing',
          createSql: [],
          problem: 'cannot be created for you: create it at the destination by hand',
        }
      : { name, kind: 'other', state: 'same', createSql: [], problem: undefined };
  const kind = definition.kind;
  if (here === undefined)
    return {
      name,
      kind,
      state: 'missing',
      createSql: [createTypeSql(name, definition)],
      problem: undefined,
    };
  if (here.definition === undefined)
    return {
      name,
      kind,
      state: 'different',
      createSql: [],
      problem: `is something else at the destination (${here.kind})`,
    };
  const problem = typeDifference(definition, here.definition);
  if (problem === undefined)
    return { name, kind, state: 'same', createSql: [], problem: undefined };
  const additions =
    definition.kind === 'enum' && here.definition.kind === 'enum'
      ? addEnumValuesSql(name, definition.labels, here.definition.labels)
      : [];
  return { name, kind, state: 'different', createSql: additions, problem };
}

function compareExtensionType(
  there: UserType,
  extension: string,
  here: UserType | undefined,
): ObservedType {
  const kind = 'extension' as const;
  if (here === undefined)
    return {
      name: there.name,
      kind,
      state: 'missing',
      createSql: [],
      problem: `belongs to an extension: CREATE EXTENSION ${extension} in schema ${there.name.schema}`,
    };
  if (here.extension === extension)
    return { name: there.name, kind, state: 'same', createSql: [], problem: undefined };
  return {
    name: there.name,
    kind,
    state: 'different',
    createSql: [],
    problem: `belongs to the extension ${extension} at the source, but not at the destination`,
  };
}
