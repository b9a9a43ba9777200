/** A file that was not there before: whole at once, and never in the place of another. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Makes its folder too. Throws EEXIST when there is something under that name, and what the file system throws. */
export async function writeNewFile(path: string, text: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true });
  // A hidden name: the daemon passes it over.
  const temporary = join(folder, `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    // A rename would take the place of whatever is there.
    await link(temporary, path);
  } finally {
    await rm(temporary, { force: true });
  }
}
