import type { ResyncStrategy } from '../core/mirror.ts';
import type { Observed } from '../core/observed.ts';
import { sameTable } from '../core/table-name.ts';
import { isNotValid } from '../sql/foreign-key-ddl.ts';
import type { Step } from './plan.ts';
import type { TableCase } from './table-case.ts';

export type PutAside = NonNullable<Extract<Step, { kind: 'copy-table' }>['foreignKeys']>[number];

/**
 * The foreign keys that a copy of the table takes away, or that come with its shadow: they are put back, or are
 * checked again, once it is Live. A truncate takes those of other tables, also when it is made again; a swap all.
 */
export function foreignKeysOfCopy(
  { table: { destination }, observed }: TableCase,
  strategy: ResyncStrategy,
  { ledger }: Observed,
): PutAside[] {
  const inbound = observed.foreignKeysTo.map((key) => ({ ...key, references: destination }));
  if (strategy === 'swap') {
    const own = observed.destinationShape?.foreignKeys ?? [];
    return [
      ...inbound,
      ...own.map(({ name, references, validated }) => ({
        owner: destination,
        name,
        references,
        validated,
      })),
    ].filter(({ validated }) => validated);
  }
  const isThere = ({ owner, name }: Pick<PutAside, 'owner' | 'name'>): boolean =>
    inbound.some((key) => key.name === name && sameTable(key.owner, owner));
  const away = ledger.savedForeignKeys
    .filter((key) => sameTable(key.table, destination) && !isThere(key))
    .map(({ owner, name, definition }) => ({
      owner,
      name,
      references: destination,
      validated: !isNotValid(definition),
    }));
  return [...inbound, ...away];
}
