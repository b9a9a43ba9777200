/** Where a field is inside a document: keys and list positions, from the top. */
export type FieldPath = readonly (string | number)[];

/** Reads a JSON pointer, the form in which the schema validator names a field. */
export function parsePointer(pointer: string): FieldPath {
  return pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

/** Writes a path as people read it: `spec.tables[0].source`. */
export function formatFieldPath(path: FieldPath): string {
  const text = path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${formatKey(part)}`))
    .join('');
  return text.replace(/^\./, '');
}

/** False for what may be no name at all: `password:hunter2` without a space is a key too. */
export function isFieldName(key: string): boolean {
  return /^[\p{L}\p{N}_$-]{1,100}$/u.test(key);
}

function formatKey(key: string): string {
  if (isFieldName(key)) return key;
  // An annotation's.
  return /^[\p{L}\p{N}_$./-]{1,100}$/u.test(key) ? JSON.stringify(key) : '"…"';
}
