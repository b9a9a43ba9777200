import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Diagnostic } from '../spec/diagnostic.ts';

export type UnreadCode = 'NotRead' | 'NothingToCheck';

/**
 * Warns of what somebody may take for checked and is never read: JSON files, and a directory without
 * any mirror file. A directory that cannot be listed has its error already.
 */
export async function findUnread(
  folder: string,
  readFiles: number,
): Promise<Diagnostic<UnreadCode>[]> {
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined) return [];
  const unread = names
    .filter((name) => /^[^.].*\.json$/i.test(name))
    .map((name) =>
      warning(join(folder, name), {
        code: 'NotRead',
        message: 'this file is not read',
        hint: 'JSON is YAML too: give it a name that ends in .yaml',
      }),
    );
  if (readFiles > 0) return unread;
  const empty = warning(folder, {
    code: 'NothingToCheck',
    message: 'there is no mirror file here',
    hint: 'files are *.yaml or *.yml; directories below are not read',
  });
  return [empty, ...unread];
}

function warning(
  file: string,
  said: Pick<Diagnostic<UnreadCode>, 'code' | 'message' | 'hint'>,
): Diagnostic<UnreadCode> {
  return { severity: 'warning', ...said, file, line: 1, column: 1 };
}
