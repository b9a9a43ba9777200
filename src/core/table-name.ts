/** A table's schema and name as the catalogs hold them: never quoted, case kept. */
export interface TableName {
  readonly schema: string;
  readonly name: string;
}

const PART = String.raw`(?:"((?:[^"]|"")+)"|([^".]+))`;
const TABLE_NAME_PATTERN = new RegExp(String.raw`^${PART}\.${PART}$`, 'u');

/** The longest name PostgreSQL keeps, in bytes (NAMEDATALEN - 1). */
export const MAX_IDENTIFIER_BYTES = 63;

/**
 * Reads `schema.table` as people write it in a mirror file. Case is kept as written; a part that
 * holds a dot or a quote is quoted as in SQL. Returns undefined for anything else.
 */
export function parseTableName(text: string): TableName | undefined {
  const match = TABLE_NAME_PATTERN.exec(text);
  if (!match) return undefined;
  const [schema, name] = [unquote(match[1], match[2]), unquote(match[3], match[4])];
  const fits = [schema, name].every((part) => Buffer.byteLength(part) <= MAX_IDENTIFIER_BYTES);
  return fits ? { schema, name } : undefined;
}

/** The form that parseTableName reads back; used as key, in files and in messages. */
export function formatTableName({ schema, name }: TableName): string {
  return `${quotePart(schema)}.${quotePart(name)}`;
}

export function sameTable(a: TableName, b: TableName): boolean {
  return a.schema === b.schema && a.name === b.name;
}

function unquote(quoted: string | undefined, bare: string | undefined): string {
  return quoted === undefined ? (bare ?? '') : quoted.replaceAll('""', '"');
}

function quotePart(part: string): string {
  return /[".]/.test(part) ? `"${part.replaceAll('"', '""')}"` : part;
}
