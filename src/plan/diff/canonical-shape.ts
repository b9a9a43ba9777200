/**
 * A destination table's definition as it is and as it ought to be, as plain text to compare. Only what
 * bunnydb answers for: the columns that are mirrored, the keys, checks, indexes and foreign keys of the source.
 */
import type { Mend } from '../../core/mend.ts';
import type {
  ColumnShape,
  ConstraintShape,
  ForeignKeyShape,
  IndexShape,
  TableShape,
} from '../../core/observed.ts';
import { sameTable, type TableName } from '../../core/table-name.ts';
import { foreignKeyDefinition } from '../../sql/foreign-key-ddl.ts';
import { findForeignKey } from '../dependents.ts';
import { columnsOnlyThere, findConstraint, findIndex } from '../drift.ts';
import { alteredForeignKeys, lackedDefaults } from '../unmended.ts';

/** One part each: its name and what it is. */
type Parts = Readonly<Record<string, string>>;

export interface ShapeText {
  readonly columns: Parts;
  readonly constraints: Parts;
  readonly indexes: Parts;
  readonly foreignKeys: Parts;
}

export interface ShapePair {
  readonly actual: ShapeText | undefined;
  readonly desired: ShapeText;
}

export interface ShapeLook {
  /** What desiredShape says. */
  readonly desired: TableShape;
  readonly actual: TableShape | undefined;
  /** What a planned copy changes about it, or where none is planned what a resync would of what is told. */
  readonly mend: Mend;
  /** Whether foreign keys may point at that table of the destination. */
  readonly isMirrored: (table: TableName) => boolean;
  readonly sameMajor: boolean;
}

/** Parts that say the same are the same under whatever name: both sides then have the destination's. */
export function shapePair(look: ShapeLook): ShapePair {
  const { desired, actual } = look;
  if (actual === undefined) return { actual: undefined, desired: newShape(look) };
  const columns = columnPair(desired, actual, look.mend);
  const keys = keyPair(desired, actual, look.mend);
  const foreignKeys = foreignKeyPair(look, actual);
  return {
    actual: { columns: columns.actual, ...keys.actual, foreignKeys: foreignKeys.actual },
    desired: { columns: columns.desired, ...keys.desired, foreignKeys: foreignKeys.desired },
  };
}

interface Pair<T> {
  readonly actual: T;
  readonly desired: T;
}

function newShape({ desired, isMirrored }: ShapeLook): ShapeText {
  return {
    columns: partsOf(desired.columns, columnText),
    constraints: partsOf(desired.constraints, constraintText),
    indexes: partsOf(desired.indexes, indexText),
    foreignKeys: partsOf(
      desired.foreignKeys.filter(({ references }) => isMirrored(references)),
      foreignKeyText,
    ),
  };
}

function columnPair(desired: TableShape, actual: TableShape, mend: Mend): Pair<Parts> {
  const changed = new Map(mend.changed.map(({ from, to }) => [from.name, to]));
  const nullable = new Set(mend.nullable.map(({ name }) => name));
  const lacked = new Map(
    lackedDefaults(desired, actual).map(({ name, defaultExpression }) => [name, defaultExpression]),
  );
  const extra = new Set(columnsOnlyThere(desired, actual).map(({ name }) => name));
  const ours = actual.columns.filter(
    ({ name }) =>
      !extra.has(name) || nullable.has(name) || changed.has(name) || mend.dropped.includes(name),
  );
  const after = ours
    .filter(({ name }) => !mend.dropped.includes(name))
    .map((column): ColumnShape => {
      const to = changed.get(column.name);
      if (to !== undefined) return to;
      if (nullable.has(column.name)) return { ...column, notNull: false, identity: 'no' };
      const notNull = column.notNull || mend.required.includes(column.name);
      const defaultExpression = column.defaultExpression ?? lacked.get(column.name);
      return { ...column, notNull, defaultExpression };
    });
  const missing = desired.columns.filter(
    ({ name }) => !actual.columns.some((column) => column.name === name),
  );
  return {
    actual: partsOf(ours, columnText),
    desired: partsOf([...after, ...missing], columnText),
  };
}

type KeyText = Pick<ShapeText, 'constraints' | 'indexes'>;

function keyPair(desired: TableShape, actual: TableShape, mend: Mend): Pair<KeyText> {
  const isDropped = (part: Key): boolean =>
    (isConstraint(part) ? mend.droppedConstraints : mend.droppedIndexes).includes(part.name);
  const wanted = [...desired.constraints, ...desired.indexes].map((part) => ({
    part,
    found: findKey(actual, part),
  }));
  const unmet = new Set(
    wanted.filter(({ found }) => found === undefined).map(({ part }) => part.name),
  );
  const ours = [...actual.constraints, ...actual.indexes].filter(
    (part) => unmet.has(part.name) || isDropped(part) || wanted.some(({ found }) => found === part),
  );
  // A check that is missing breaks no row; another major may print it otherwise.
  const isDue = (part: Key): boolean =>
    !isConstraint(part) || part.kind !== 'check' || mend.checks.includes(part);
  const after = wanted.flatMap(({ part, found }): Key[] => {
    if (found !== undefined && !isDropped(found)) return [found];
    return found !== undefined || isDue(part) ? [part] : [];
  });
  return { actual: keyText(ours), desired: keyText(after) };
}

type Key = ConstraintShape | IndexShape;

function isConstraint(part: Key): part is ConstraintShape {
  return 'kind' in part;
}

function findKey(actual: TableShape, part: Key): Key | undefined {
  if (!isConstraint(part)) return findIndex(actual, part);
  if (part.kind !== 'check') return findConstraint(actual, part);
  return actual.constraints.find(
    ({ kind, definition }) => kind === 'check' && definition === part.definition,
  );
}

function keyText(parts: readonly Key[]): KeyText {
  return {
    constraints: partsOf(parts.filter(isConstraint), constraintText),
    indexes: partsOf(
      parts.filter((part): part is IndexShape => !isConstraint(part)),
      indexText,
    ),
  };
}

/** A foreign key that is there under the name and to the same table is right unless it says something else, or a copy takes it away. */
function foreignKeyPair(look: ShapeLook, actual: TableShape): Pair<Parts> {
  const { desired, mend, isMirrored, sameMajor } = look;
  const altered = alteredForeignKeys({ desired, actual, sameMajor });
  const kept: ForeignKeyShape[] = [];
  const after: ForeignKeyShape[] = [];
  for (const key of desired.foreignKeys) {
    const present = findForeignKey(actual, key);
    if (present !== undefined) kept.push(present);
    const isRight =
      present !== undefined &&
      sameTable(present.references, key.references) &&
      !altered.includes(key) &&
      !mend.droppedConstraints.includes(present.name);
    if (isRight) after.push({ ...present, validated: present.validated || key.validated });
    else if (isMirrored(key.references)) after.push(key);
    else if (present !== undefined) after.push(present);
  }
  return { actual: partsOf(kept, foreignKeyText), desired: partsOf(after, foreignKeyText) };
}

function partsOf<T extends { readonly name: string }>(
  parts: readonly T[],
  text: (part: T) => string,
): Parts {
  const sorted = parts.toSorted((a, b) => Number(a.name > b.name) - Number(a.name < b.name));
  return Object.fromEntries(sorted.map((part) => [part.name, text(part)]));
}

function columnText(column: ColumnShape): string {
  const { type, collation, notNull, generated, identity, defaultExpression } = column;
  return [
    type,
    ...(collation === undefined ? [] : [`collate ${collation}`]),
    ...(notNull ? ['not null'] : []),
    ...(identity === 'no' ? [] : [`generated ${identity} as identity`]),
    ...(defaultExpression === undefined
      ? []
      : [
          generated === 'no'
            ? `default ${defaultExpression}`
            : `generated always as (${defaultExpression}) ${generated}`,
        ]),
  ].join(' ');
}

function constraintText({ definition }: ConstraintShape): string {
  return definition;
}

function indexText({ unique, valid, definition }: IndexShape): string {
  return `${unique ? 'unique ' : ''}${definition}${valid ? '' : ' (invalid)'}`;
}

function foreignKeyText(key: ForeignKeyShape): string {
  return `${foreignKeyDefinition(key)}${key.validated ? '' : ' not valid'}`;
}
