import type { Mirror, MirrorTable } from '../core/mirror.ts';
import type { TableShape } from '../core/observed.ts';
import { formatTableName, sameTable } from '../core/table-name.ts';
import { dropForeignKeySql } from '../sql/foreign-key-ddl.ts';
import { dropConstraintSql, dropIndexSql } from '../sql/key-ddl.ts';
import { desiredShape } from './desired-shape.ts';
import type { Notice } from './plan.ts';
import type { TableCase } from './table-case.ts';

/**
 * Indexes and foreign keys that are as at the source, and that the file does not ask for any more: they stay,
 * for nobody says whose they are. With the statements that drop them.
 */
export function leftInPlace({ table, observed }: TableCase, mirror: Mirror): Notice[] {
  const { sourceShape, destinationShape } = observed;
  if (sourceShape === undefined || destinationShape === undefined) return [];
  const offs = [
    mirror.replicateIndexes ? [] : ['replicateIndexes'],
    mirror.replicateForeignKeys ? [] : ['replicateForeignKeys'],
  ].flat();
  if (offs.length === 0) return [];
  const all = { ...mirror, replicateIndexes: true, replicateForeignKeys: true };
  const statements = dropSql(
    without(desiredShape(all, table, sourceShape), desiredShape(mirror, table, sourceShape)),
    destinationShape,
  );
  return statements.length === 0 ? [] : [toNotice(table, offs, statements)];
}

type Parts = Pick<TableShape, 'constraints' | 'indexes' | 'foreignKeys'>;

function without(all: TableShape, wanted: TableShape): Parts {
  const rest = <P extends { readonly name: string }>(
    parts: readonly P[],
    kept: readonly P[],
  ): P[] => parts.filter(({ name }) => !kept.some((part) => part.name === name));
  return {
    constraints: rest(all.constraints, wanted.constraints),
    indexes: rest(all.indexes, wanted.indexes),
    foreignKeys: rest(all.foreignKeys, wanted.foreignKeys),
  };
}

/** Found by what they say, whatever they are called here. */
function dropSql({ constraints, indexes, foreignKeys }: Parts, actual: TableShape): string[] {
  return [
    ...actual.indexes
      .filter((own) =>
        indexes.some((one) => one.definition === own.definition && one.unique === own.unique),
      )
      .map(({ name }) => dropIndexSql(actual.name, name)),
    ...actual.constraints
      .filter((own) =>
        constraints.some((one) => one.definition === own.definition && one.kind === own.kind),
      )
      .map(({ name }) => dropConstraintSql(actual.name, name)),
    ...actual.foreignKeys
      .filter((own) =>
        foreignKeys.some(
          (one) =>
            one.definition === own.definition &&
            sameTable(one.references, own.references) &&
            one.columns.join() === own.columns.join(),
        ),
      )
      .map(({ name }) => dropForeignKeySql(actual.name, name)),
  ];
}

function toNotice(
  table: MirrorTable,
  offs: readonly string[],
  statements: readonly string[],
): Notice {
  const name = formatTableName(table.destination);
  const message = `${name}: ${offs.join(' and ')} ${offs.length === 1 ? 'is' : 'are'} false, and what is there is kept; to drop it: ${statements.join('; ')}`;
  return { table, reason: 'LeftInPlace', message };
}
