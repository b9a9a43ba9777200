/** What a resync makes for its own use, and must have taken away again when the mirror is Ready. */
import type { TestMirror } from './test-mirror.ts';

/** Slots count as left over when there is another than the mirror's one; temporary ones too. A line each. */
export async function leftovers(mirror: TestMirror): Promise<string[]> {
  const [slots, objects] = await Promise.all([
    mirror.atSource(
      `select 'slot ' || slot_name as what from pg_replication_slots
       where database = current_database() and slot_name <> 'bunny_${mirror.name}'`,
    ),
    mirror.atDestination(LEFT_AT_DESTINATION),
  ]);
  return [...slots, ...objects].map(({ what }) => what ?? '');
}

/** How many slots the mirror has at its source: one, whatever happened. */
export async function slotCount(mirror: TestMirror): Promise<number> {
  const rows = await mirror.atSource(
    `select slot_name from pg_replication_slots where slot_name = 'bunny_${mirror.name}' and not temporary`,
  );
  return rows.length;
}

const LEFT_AT_DESTINATION = /* sql */ `
  select 'schema ' || nspname as what from pg_namespace where nspname ~ '^bunnydb_(shadow|old)_'
  union all
  select 'relation ' || relname from pg_class
  where relnamespace = 'bunnydb'::regnamespace and relkind = 'r' and relname ~ '^spool_'
  union all
  select 'saved foreign key ' || owner_name || '.' || name from bunnydb.saved_foreign_keys
  union all
  select 'foreign key that is not valid ' || conrelid::regclass || '.' || conname
  from pg_constraint where contype = 'f' and not convalidated
  order by 1`;
