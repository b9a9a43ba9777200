/** A file that was not there before: whole at once, and never in the place of another. */
import { link, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { replaceFile } from '../status/replace-file.ts';

/** Makes its folder too. Throws EEXIST when there is something under that name, and what the file system throws. */
export async function writeNewFile(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  // A rename would take the place of whatever is there.
  await replaceFile(path, text, { place: link });
}
