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

function formatKey(key: string): string {
  return /^[\p{L}\p{N}_$-]{1,100}$/u.test(key) ? key : JSON.stringify(key.slice(0, 100));
}
