/** What is worth keeping between runs: binaries copied for root, empty clusters. All of it can be deleted at any time. */
import { access, chmod, lstat, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from './account.ts';

/** Root's is entered by the servers' account too. */
const ROOT_MODE = 0o711;
const OWN_MODE = 0o700;

/** Made when it is not there. Throws when the place is taken by another user. */
export async function cacheFolder(): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const folder = join(await temporaryFolder(), `bunnydb-servers-${uid}`);
  await mkdir(folder, { recursive: true });
  const found = await lstat(folder);
  // The name can be guessed: what another user has put there must not be run.
  if (!found.isDirectory() || (process.getuid !== undefined && found.uid !== uid))
    throw new Error(`${folder} belongs to somebody else; remove it`);
  await chmod(folder, uid === 0 ? ROOT_MODE : OWN_MODE);
  return folder;
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/**
 * Moves a finished folder to its place in the cache, whole or not at all. Another process may have
 * been faster; its folder is as good as ours, if it has `marker`. One without it was left by a
 * cleaner of temporary files, and makes room.
 */
export async function moveToCache(made: string, place: string, marker: string): Promise<void> {
  try {
    await rename(made, place);
  } catch {
    if (!(await exists(join(place, marker)))) {
      await rm(place, { recursive: true, force: true });
      await rename(made, place);
    }
  }
}
