/** Keys on a partitioned destination: PostgreSQL checks them in each partition, so they have to say in which one a row is. */
import type { ConstraintShape, IndexShape, ObservedServer, TableShape } from '../core/observed.ts';
import { formatTableName } from '../core/table-name.ts';
import { findConstraint, findIndex } from './drift.ts';
import type { Refusal } from './plan.ts';
import { refuse } from './refuse.ts';
import type { TableCase } from './table-case.ts';

/** From here on a partitioned table can have exclusion constraints. */
const EXCLUSION_VERSION = 170_000;

/** Keys of the source that the destination's layout cannot take, before a row is copied for nothing. */
export function partitionRefusals(
  { table, desired, observed }: Pick<TableCase, 'table' | 'desired' | 'observed'>,
  destination: ObservedServer,
): Refusal[] {
  const actual = observed.destinationShape;
  const key = actual?.partitionKey;
  if (desired === undefined || actual === undefined || key === undefined) return [];
  const isHeldBy = (columns: readonly string[]): boolean =>
    !key.hasExpression && key.columns.every((column) => columns.includes(column));
  const constraints = desired.constraints.filter(
    (constraint) => constraint.kind !== 'check' && findConstraint(actual, constraint) === undefined,
  );
  const indexes = desired.indexes.filter(
    (index) => index.unique && findIndex(actual, index) === undefined,
  );
  const name = formatTableName(table.destination);
  const by = [...key.columns, ...(key.hasExpression ? ['an expression'] : [])].join(', ');
  const refusal = (part: ConstraintShape | IndexShape, why: string): Refusal =>
    refuse(
      table,
      'SchemaMismatch',
      `${name} is partitioned at the destination and cannot have the source's ${part.name}: ${why}`,
      `Partition it by columns of that key, or drop it and let bunnydb create it${identifies(desired, part) ? '' : '; or set replicateIndexes: false'}.`,
    );
  return [
    ...[
      ...constraints.filter(({ columns }) => !isHeldBy(columns)),
      ...indexes.filter(({ touches }) => !isHeldBy(touches)),
    ].map((part) => refusal(part, `it is partitioned by ${by}, which a key there has to hold`)),
    ...constraints
      .filter(({ kind, columns }) => kind === 'exclusion' && isHeldBy(columns))
      .filter(() => destination.version < EXCLUSION_VERSION)
      .map((part) => refusal(part, 'before PostgreSQL 17 no partitioned table has such a one')),
  ];
}

/** Rows are found again by it, whatever replicateIndexes says. */
function identifies({ replicaIdentity }: TableShape, part: ConstraintShape | IndexShape): boolean {
  if ('kind' in part && part.kind === 'primary key') return true;
  const { kind, columns } = replicaIdentity;
  return kind === 'index' && part.touches.every((column) => columns.includes(column));
}
