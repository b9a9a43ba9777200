/** Schemas that hold what is ours or the server's: a table in one of them is nobody's to mirror. */

const LEDGER_SCHEMA = 'bunnydb';

/** Followed by the ledger's id of a table. */
export const SHADOW_SCHEMA_PREFIX = 'bunnydb_shadow_';
export const OLD_SCHEMA_PREFIX = 'bunnydb_old_';

/** Whose a schema is, as the end of a sentence: `which is …`. Undefined for everybody else's. */
export function ownerOfReservedSchema(schema: string): string | undefined {
  if (schema === LEDGER_SCHEMA) return "bunnydb's own ledger";
  const isSwap = [SHADOW_SCHEMA_PREFIX, OLD_SCHEMA_PREFIX].some(
    (prefix) => schema.startsWith(prefix) && /^\d+$/.test(schema.slice(prefix.length)),
  );
  if (isSwap) return "bunnydb's own, for the time of a swap";
  // PostgreSQL keeps the prefix for itself: nobody can make a schema of such a name.
  if (schema === 'information_schema' || schema.startsWith('pg_')) return "the server's own";
  return undefined;
}
