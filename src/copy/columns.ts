/** Which columns a copy carries, and in which format. Pure. */
import type { MirrorTable } from '../core/mirror.ts';
import type { ColumnShape, TableShape } from '../core/observed.ts';
import type { CopyFormat } from '../sql/copy.ts';

/** Generated columns are computed at the destination; excluded ones never leave the source. */
export function copiedColumns(source: TableShape, table: MirrorTable): ColumnShape[] {
  return source.columns.filter(
    ({ name, generated }) => generated === 'no' && !table.excludeColumns.includes(name),
  );
}

/**
 * Binary only where both ends are sure to agree: built-in types all the way down (the oids of users'
 * types travel inside arrays and composites) and equal majors (TRAPS 28).
 */
export function copyFormat(columns: readonly ColumnShape[], sameMajor: boolean): CopyFormat {
  return sameMajor && columns.every(({ builtIn }) => builtIn) ? 'binary' : 'text';
}
