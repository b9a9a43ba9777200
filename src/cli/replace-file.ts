/** Puts a new text in the place of a file: whole or not at all, as the same file to everybody else. */
import { randomUUID } from 'node:crypto';
import { open, readFile, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { driverCode, MirrorError } from '../core/errors.ts';

/**
 * Temporary file in the same folder, fsync, rename; mode and owner stay, a link is followed to its target.
 * Throws InvalidSpec when the file does not hold `before` any more, and what the file system throws.
 */
export async function replaceFile(path: string, before: Buffer, after: string): Promise<void> {
  const target = await realpath(path);
  const { mode, uid, gid } = await stat(target);
  // A hidden name: the daemon passes it over.
  const temporary = join(dirname(target), `.${basename(target)}.${randomUUID()}.tmp`);
  try {
    const file = await open(temporary, 'wx', mode);
    try {
      await file.writeFile(after);
      await file.chown(uid, gid).catch(ignoreNotAllowed);
      // Not what the umask left of it.
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
    if (!before.equals(await readFile(target)))
      throw new MirrorError('InvalidSpec', `${path} was changed by somebody else meanwhile`, {
        hint: 'Nothing was written; run the command again.',
      });
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Only root gives files away; who may write to the folder may replace the file all the same. */
function ignoreNotAllowed(error: unknown): void {
  if (driverCode(error) !== 'EPERM') throw error;
}
