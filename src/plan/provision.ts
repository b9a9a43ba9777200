import { formatTableName } from '../core/table-name.ts';
import type { Step } from './plan.ts';
import type { TableCase } from './table-case.ts';

/** Schemas, types, sequences and tables that the accepted tables lack at the destination, in the order of creation. */
export function planProvision(
  cases: readonly TableCase[],
  destinationSchemas: readonly string[],
): Step[] {
  const types = uniqueBy(
    cases.flatMap((tableCase) => tableCase.observed.types),
    (type) => formatTableName(type.name),
  );
  const missing = cases.filter(
    (tableCase) =>
      tableCase.observed.destinationShape === undefined && tableCase.desired !== undefined,
  );
  // The sequences are the source's, for the executor maps them; the schemas to be there are the mapped ones.
  const sequences = missing.flatMap(({ table, observed, desired }) =>
    (observed.sourceShape?.sequences ?? [])
      .filter((sequence) => sequence.kind !== 'identity')
      .filter((sequence) => desired?.columns.some((column) => column.name === sequence.column))
      .map((sequence) => ({ table, sequence })),
  );
  const schemas = uniqueBy(
    [
      ...types.map((type) => type.name.schema),
      ...missing.flatMap(({ table, desired }) => [
        table.destination.schema,
        ...(desired?.sequences ?? []).map((sequence) => sequence.name.schema),
      ]),
    ],
    (schema) => schema,
  );
  return [
    ...schemas
      .filter((schema) => !destinationSchemas.includes(schema))
      .map((schema): Step => ({ kind: 'create-schema', schema })),
    ...types.map((type): Step => ({ kind: 'create-type', type })),
    ...sequences.map(({ table, sequence }): Step => ({ kind: 'create-sequence', table, sequence })),
    ...missing.flatMap(({ table, observed }): Step[] =>
      observed.sourceShape === undefined
        ? []
        : [{ kind: 'create-table', table, source: observed.sourceShape }],
    ),
  ];
}

function uniqueBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return [...new Map(items.toReversed().map((item) => [key(item), item])).values()].toReversed();
}
