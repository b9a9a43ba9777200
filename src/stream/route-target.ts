import { MirrorError } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import { sameTable, type TableName } from '../core/table-name.ts';
import type { TableRecord } from '../core/table-state.ts';
import type { Session } from '../postgres/session.ts';
import { routeOf } from './route.ts';
import { loadTarget, type ApplyTarget } from './target.ts';

/** Only tables that are written to live need their target; one that is gone is found when its first change comes. */
export async function targetFor(
  session: Session,
  mirror: Mirror,
  record: TableRecord,
): Promise<ApplyTarget | undefined> {
  if (!routeOf(record.state).live) return undefined;
  try {
    return await loadTarget(session, record.destination, excludedColumns(mirror, record.source));
  } catch (error) {
    if (error instanceof MirrorError && error.code === 'TableMissing') return undefined;
    throw error;
  }
}

function excludedColumns(mirror: Mirror, source: TableName): readonly string[] {
  return mirror.tables.find((table) => sameTable(table.source, source))?.excludeColumns ?? [];
}
