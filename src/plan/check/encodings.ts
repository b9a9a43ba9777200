/** What two server encodings do to text on its way. Sessions speak UTF-8 with either side. Pure. */
import type { ObservedServer } from '../../core/observed.ts';
import type { Finding } from './finding.ts';

export function encodingFindings(
  { encoding: from }: ObservedServer,
  { encoding: to }: ObservedServer,
): Finding[] {
  const warn = (message: string, fix: string): Finding[] => [
    { name: 'encoding', result: 'warn', table: undefined, message, fix },
  ];
  if (from === 'SQL_ASCII')
    return warn(
      'the source is SQL_ASCII, which checks nothing: texts that are UTF-8 are safe, one that is not fails its table',
      'Correct such texts at the source, or name their column in excludeColumns.',
    );
  if (to === 'SQL_ASCII')
    return warn(
      `the destination is SQL_ASCII and keeps texts as UTF-8 bytes: they are safe, but it counts and compares bytes, not characters`,
      'Make the destination database with ENCODING UTF8.',
    );
  if (from === to || to === 'UTF8') return [];
  return warn(
    `the source is ${from}, the destination ${to}: a text with a character that ${to} lacks fails its table, all others are safe`,
    'Make the destination database with ENCODING UTF8.',
  );
}
