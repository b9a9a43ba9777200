/** Functions, collations and the like that the source's definition needs: a database is not given those of the other. */
import type { MirrorTable } from '../core/mirror.ts';
import type { NeededObject, TableShape } from '../core/observed.ts';
import { append } from '../core/multi-map.ts';
import { formatTableName } from '../core/table-name.ts';
import { quoteIdent } from '../sql/quote.ts';
import { columnDrift, keyDrift } from './drift.ts';
import type { Refusal } from './plan.ts';
import { refuse } from './refuse.ts';
import type { TableCase } from './table-case.ts';

/** Where a table of that shape is, or is to be, at the destination. */
interface Making {
  readonly desired: TableShape;
  readonly actual: TableShape | undefined;
  /** A copy gives it the shape of the source. */
  readonly isMended: boolean;
}

/** Whether a part of the source's table is one that has yet to be made at the destination. */
export function partsToMake({
  desired,
  actual,
  isMended,
}: Making): (part: NeededObject['neededBy']) => boolean {
  const drift = actual && keyDrift(desired, actual);
  const columns = actual && columnDrift(desired, actual).problems.map(({ column }) => column);
  const isNamed = (list: readonly { readonly name: string }[] | undefined, name: string): boolean =>
    list?.some((one) => one.name === name) === true;
  const isLacking = (keys: typeof drift, name: string): boolean =>
    isNamed(keys?.constraints, name) ||
    isNamed(keys?.indexes, name) ||
    (isMended && (keys?.differing.includes(name) === true || keys?.otherKey?.name === name));
  const isCheckToMake = (name: string): boolean => {
    const check = desired.constraints.find((one) => one.kind === 'check' && one.name === name);
    const isThere = actual?.constraints.some(
      ({ kind, definition }) => kind === 'check' && definition === check?.definition,
    );
    return check !== undefined && isMended && isThere !== true;
  };
  return ({ kind, name }) => {
    switch (kind) {
      case 'column':
        return (
          isNamed(desired.columns, name) &&
          (columns === undefined || (isMended && columns.includes(name)))
        );
      case 'constraint':
        return (
          isNamed(desired.constraints, name) &&
          (actual === undefined || isLacking(drift, name) || isCheckToMake(name))
        );
      case 'index':
        return isNamed(desired.indexes, name) && (actual === undefined || isLacking(drift, name));
    }
  };
}

/** One for each thing that is missing, with all that needs it. */
export function missingObjectRefusals(
  { table, desired, observed }: Pick<TableCase, 'table' | 'desired' | 'observed'>,
  isMended: boolean,
): Refusal[] {
  if (desired === undefined) return [];
  const isMade = partsToMake({ desired, actual: observed.destinationShape, isMended });
  const uses = new Map<string, NeededObject[]>();
  for (const one of observed.missingObjects)
    if (isMade(one.neededBy)) append(uses, one.object, one);
  return [...uses.values()].map((of) => toRefusal(table, desired, of));
}

function toRefusal(
  table: MirrorTable,
  desired: TableShape,
  uses: readonly NeededObject[],
): Refusal {
  const [first] = uses;
  if (first === undefined) throw new Error('nothing needs it');
  const { object, schema, extension } = first;
  const users = [...new Set(uses.map(({ neededBy: { kind, name } }) => `${kind} ${name}`))];
  const way =
    extension === undefined
      ? 'Create it at the destination as it is at the source'
      : `On the destination: CREATE EXTENSION ${quoteIdent(extension)} SCHEMA ${quoteIdent(schema)};`;
  const other = uses.every(({ neededBy }) => isOptional(desired, neededBy))
    ? `${extension === undefined ? ',' : ''} or set replicateIndexes: false`
    : '';
  return refuse(
    table,
    'ObjectMissing',
    `${object.replaceAll(/(?<=[(,])pg_catalog\./g, '')} is missing at the destination${extension === undefined ? '' : `, of extension ${extension}`}: ${users.join(', ')} of ${formatTableName(table.source)} ${users.length === 1 ? 'needs' : 'need'} it`,
    `${way}${other}${extension === undefined || other !== '' ? '.' : ''}`,
  );
}

/** What replicateIndexes: false would do without; what identifies rows is none of it. */
function isOptional(
  { constraints }: TableShape,
  { kind, name }: NeededObject['neededBy'],
): boolean {
  if (kind !== 'constraint') return kind === 'index';
  return constraints.some(
    (one) => one.name === name && (one.kind === 'unique' || one.kind === 'exclusion'),
  );
}
