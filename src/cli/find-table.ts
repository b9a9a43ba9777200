import type { Mirror, MirrorTable } from '../core/mirror.ts';
import { formatTableName, parseTableName, sameTable } from '../core/table-name.ts';
import { nearest } from '../spec/suggest.ts';

/** The table of the mirror that people mean by its source name: quoted or not is the same. */
export function findTable({ tables }: Mirror, text: string): MirrorTable | undefined {
  const wanted = parseTableName(text);
  return wanted && tables.find(({ source }) => sameTable(source, wanted));
}

/** For people, with the one that was most likely meant, or with all of them. */
export function noSuchTable({ name, tables }: Mirror, text: string): string {
  const known = tables.map(({ source }) => formatTableName(source));
  const meant = nearest(text, known);
  const which = meant === undefined ? `it has ${known.join(', ')}` : `did you mean ${meant}?`;
  return `error: ${name} has no table ${text}; ${which}`;
}
