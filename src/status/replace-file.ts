/** Puts a text in the place of a file: whole or not at all, whoever reads or is killed meanwhile. */
import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { driverCode } from '../core/errors.ts';

export interface Manner {
  /** Mode and owner are to be as here; when left out, they are those of a new file. */
  readonly like?: Pick<Stats, 'mode' | 'uid' | 'gid'>;
  /** Puts the temporary file, which is whole by then, at `path`; when left out, whatever is there is replaced. */
  readonly place?: (temporary: string, path: string) => Promise<void>;
}

/**
 * Temporary file in the same folder, fsync, rename. Several processes may do it at once: each has its own
 * temporary file. Throws what the file system and `place` throw, and leaves no temporary file then.
 */
export async function replaceFile(
  path: string,
  text: string,
  { like, place = rename }: Manner = {},
): Promise<void> {
  // A hidden name: the daemon passes it over, in a directory of mirrors too.
  const temporary = join(dirname(path), `.${basename(path)}.${randomUUID()}.tmp`);
  try {
    const file = await open(temporary, 'wx', like?.mode);
    try {
      await file.writeFile(text);
      if (like !== undefined) await makeLike(file, like);
      await file.sync();
    } finally {
      await file.close();
    }
    await place(temporary, path);
  } finally {
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

async function makeLike(
  file: FileHandle,
  { mode, uid, gid }: NonNullable<Manner['like']>,
): Promise<void> {
  await file.chown(uid, gid).catch((error: unknown) => {
    // Only root gives files away; who may write to the folder may replace the file all the same.
    if (driverCode(error) !== 'EPERM') throw error;
  });
  // Not what the umask and chown left of it.
  await file.chmod(mode);
}

const TEMPORARY = /^\..+\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;
/** After this time nobody is writing a temporary file any more. */
const ABANDONED_MS = 60_000;

/** Removes what processes that were killed in replaceFile have left in a folder. Throws what the file system throws. */
export async function tidyFolder(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (!TEMPORARY.test(name)) continue;
    const path = join(dir, name);
    // Another may be tidying up too.
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && Date.now() - found.mtimeMs > ABANDONED_MS)
      await rm(path, { force: true });
  }
}
