/**
 * What a fresh copy changes about a destination table that is not as the source's rows need it. As data,
 * for the plan to tell, for a TRUNCATE to do on the spot, and for a swap to do to its shadow.
 */
import type { ColumnChange, Mend } from '../core/mend.ts';
import type { Generation } from '../core/mirror.ts';
import type {
  ColumnShape,
  ConstraintShape,
  ForeignKeyShape,
  SequenceShape,
  TableShape,
} from '../core/observed.ts';
import { sameTable } from '../core/table-name.ts';
import type { NeedingPart } from './needing-parts.ts';
import { columnDrift, keyDrift, type ColumnProblem } from './drift.ts';

/** A first copy changes nothing about a table that it was not told to replace. */
export function mayMend(observed: Generation | undefined, generation: Generation): boolean {
  return observed !== undefined || generation.table > 0 || generation.mirror > 0;
}

/** What an exclusion takes from a destination table besides the values. */
export interface TakenAway {
  /** What droppedColumns says. */
  readonly dropped?: readonly string[];
  /** What needingParts says. */
  readonly needing?: readonly NeedingPart[];
}

/** `desired` is what desiredShape says, `actual` the destination's table. */
export function planMend(
  desired: TableShape,
  actual: TableShape,
  { dropped = [], needing = [] }: TakenAway = {},
): Mend {
  const { problems } = columnDrift(desired, actual);
  const missing = columnsWith(problems, 'missing');
  const added = desired.columns.filter(({ name }) => missing.has(name));
  const changed = changedColumns(desired, actual, problems).filter(
    ({ from }) => !dropped.includes(from.name),
  );
  const replaced = new Set(
    changed.filter(({ how }) => how === 'replace').map(({ from }) => from.name),
  );
  const unwanted = columnsWith(problems, 'not null', 'needs value');
  const gone = new Set([...replaced, ...dropped]);
  // A shadow has the dropped ones until it takes its place.
  const nullable = actual.columns.filter(({ name }) => unwanted.has(name) && !replaced.has(name));
  const needless = needing.filter(({ ofSource }) => ofSource);
  const parts = droppedParts(desired, actual, { nullable, gone, needing: needless });
  return {
    added,
    changed,
    dropped,
    retyped: [...changed.map(({ from }) => from.name), ...dropped],
    nullable,
    required: lackingNotNull(desired, actual).filter((name) => !replaced.has(name)),
    ...parts,
    needing: needless.map(({ name, columns }) => ({ name, columns })),
    checks: desired.constraints.filter(
      (check) => check.kind === 'check' && !hasCheck(actual, check, parts.droppedConstraints),
    ),
    sequences: neededSequences(desired, actual, [...added, ...changed.map(({ to }) => to)]),
  };
}

/** For a table that stays as it is. */
export const NO_MEND: Mend = {
  added: [],
  changed: [],
  dropped: [],
  retyped: [],
  nullable: [],
  required: [],
  droppedConstraints: [],
  droppedIndexes: [],
  needing: [],
  checks: [],
  sequences: [],
};

/** True when the destination's table can take the copy as it is. */
export function isEmptyMend(mend: Mend): boolean {
  return Object.values(mend).every((part: readonly unknown[]) => part.length === 0);
}

/** One line for each change, for people. */
export function describeMend(mend: Mend): string[] {
  return [
    ...mend.added.map(({ name, type }) => `a resync adds column ${name} (${type})`),
    ...mend.changed.map(describeChange),
    ...mend.dropped.map((name) => `a resync drops column ${name} (deletionPolicy is Delete)`),
    ...mend.nullable
      .filter(({ name }) => !mend.dropped.includes(name))
      .map(({ name }) => `a resync drops the NOT NULL of column ${name}`),
    ...mend.required.map((name) => `a resync makes column ${name} NOT NULL as at the source`),
    ...mend.droppedConstraints.map(
      (name) => `a resync drops constraint ${name}, ${whyDropped(mend, name)}`,
    ),
    ...mend.droppedIndexes.map((name) => `a resync drops index ${name}, ${whyDropped(mend, name)}`),
    ...mend.checks.map(({ name }) => `a resync adds the source's check ${name}`),
  ];
}

function whyDropped({ needing }: Mend, part: string): string {
  const found = needing.find(({ name }) => name === part);
  return found === undefined
    ? 'which is not as at the source'
    : `which needs ${found.columns.join(', ')}, and that is left out`;
}

function describeChange({ from, to, how }: ColumnChange): string {
  const { name } = from;
  if (how === 'replace')
    return `a resync makes column ${name} anew as ${to.generated === 'no' ? 'an ordinary' : 'a generated'} one (${to.type}), in the last place`;
  if (from.type !== to.type)
    return `a resync gives column ${name} the source's type ${to.type} (it is ${from.type})`;
  if (from.generated !== to.generated) return `a resync makes column ${name} an ordinary one`;
  return `a resync gives column ${name} the source's collation ${to.collation ?? 'default'} (it is ${from.collation ?? 'default'})`;
}

function columnsWith(
  problems: readonly ColumnProblem[],
  ...kinds: readonly ColumnProblem['kind'][]
): ReadonlySet<string> {
  return new Set(problems.filter(({ kind }) => kinds.includes(kind)).map(({ column }) => column));
}

function changedColumns(
  desired: TableShape,
  actual: TableShape,
  problems: readonly ColumnProblem[],
): ColumnChange[] {
  const drifting = columnsWith(problems, 'type', 'collation', 'generated');
  const wanted = new Map(desired.columns.map((column) => [column.name, column]));
  return actual.columns.flatMap((from): ColumnChange[] => {
    // A column that the destination alone has, and that reads one that changes, comes back as it is.
    const to = wanted.get(from.name) ?? from;
    if (drifting.has(from.name)) {
      const alters = to.generated === 'no' && from.generated !== 'virtual';
      return [{ from, to, how: alters ? 'alter' : 'replace' }];
    }
    // One that reads a column which the source does not have computes from what nobody fills: a renamed one.
    const reads = from.touches.some(
      (column) => drifting.has(column) || (to !== from && !wanted.has(column)),
    );
    return reads ? [{ from, to, how: 'replace' }] : [];
  });
}

function lackingNotNull(desired: TableShape, actual: TableShape): string[] {
  const wanted = new Set(desired.columns.filter(({ notNull }) => notNull).map(({ name }) => name));
  return actual.columns
    .filter(({ name, notNull }) => wanted.has(name) && !notNull)
    .map(({ name }) => name);
}

/**
 * What bears the name of something that the source has and the destination lacks; another primary key;
 * one that keeps a column NOT NULL; all on a column that goes, as DROP COLUMN takes it along; and what needs one
 * that is left out.
 */
function droppedParts(
  desired: TableShape,
  actual: TableShape,
  columns: {
    readonly nullable: readonly ColumnShape[];
    readonly gone: ReadonlySet<string>;
    readonly needing: readonly NeedingPart[];
  },
): Pick<Mend, 'droppedConstraints' | 'droppedIndexes'> {
  const drift = keyDrift(desired, actual);
  const lacking = new Set(
    [...drift.constraints, ...drift.indexes].map(({ name }) => name).concat(drift.differing),
  );
  const constraintNames = new Set(desired.constraints.map(({ name }) => name));
  const lackingChecks = new Set(
    desired.constraints
      .filter((check) => check.kind === 'check' && !hasCheck(actual, check, []))
      .map(({ name }) => name),
  );
  const nullable = new Set(columns.nullable.map(({ name }) => name));
  const isOnGone = (touched: readonly string[]): boolean =>
    touched.some((column) => columns.gone.has(column));
  const isNeeding = (kind: NeedingPart['kind'], name: string): boolean =>
    columns.needing.some((part) => part.kind === kind && part.name === name);
  return {
    // A foreign key first: it depends on what it references, which may be of the same table.
    droppedConstraints: [
      ...actual.foreignKeys.filter(
        (key) =>
          isOnGone(key.columns) ||
          isNeeding('constraint', key.name) ||
          differs(key, desired.foreignKeys),
      ),
      ...actual.constraints.filter(
        ({ name, kind, touches, columns: keys }) =>
          (lacking.has(name) && (kind !== 'check' || constraintNames.has(name))) ||
          lackingChecks.has(name) ||
          name === drift.otherKey?.name ||
          isOnGone(touches) ||
          isNeeding('constraint', name) ||
          (kind === 'primary key' && keys.some((column) => nullable.has(column))),
      ),
    ].map(({ name }) => name),
    // An invalid one has its name taken too, and is as good as missing.
    droppedIndexes: actual.indexes
      .filter(
        ({ name, touches }) => lacking.has(name) || isOnGone(touches) || isNeeding('index', name),
      )
      .map(({ name }) => name),
  };
}

/** The source has one of that name, and it says something else. */
function differs(key: ForeignKeyShape, desired: readonly ForeignKeyShape[]): boolean {
  const same = desired.find(({ name }) => name === key.name);
  return (
    same !== undefined &&
    (same.definition !== key.definition ||
      !sameTable(same.references, key.references) ||
      same.columns.join() !== key.columns.join())
  );
}

/** By what it says, under whatever name. */
function hasCheck(actual: TableShape, check: ConstraintShape, without: readonly string[]): boolean {
  return actual.constraints.some(
    ({ name, kind, definition }) =>
      kind === 'check' && definition === check.definition && !without.includes(name),
  );
}

/** An identity whose sequence's name another column of the table still has gets a new name. */
function neededSequences(
  desired: TableShape,
  actual: TableShape,
  columns: readonly ColumnShape[],
): SequenceShape[] {
  const names = new Set(columns.map(({ name }) => name));
  return desired.sequences.filter(
    (sequence) =>
      names.has(sequence.column) &&
      (sequence.kind !== 'identity' ||
        !actual.sequences.some(({ name }) => sameTable(name, sequence.name))),
  );
}
