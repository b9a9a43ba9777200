/**
 * Who runs the test servers, and where their files may lie. PostgreSQL refuses to run as root, so
 * root hands the servers to an account that exists anyway; no user is created, no folder of the
 * machine's owner is opened up.
 */
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

/** The uid and gid that the servers run with; empty when it is the one we have already. */
export type Account = { readonly uid: number; readonly gid: number } | Record<string, never>;

/** `nobody` is on every Linux; a `postgres` account, where there is one, is what it is for. */
const ACCOUNTS_FOR_ROOT = ['postgres', 'nobody'];
/** Where files go when root's own temporary folder is closed to everybody else. */
const PUBLIC_TEMPORARY_FOLDER = '/tmp';
const OWN_FOLDER_MODE = 0o700;

const run = promisify(execFile);
let account: Promise<Account> | undefined;

/** The account for the servers. Throws when root has nobody to hand them to. */
export function serverAccount(): Promise<Account> {
  return (account ??= findAccount());
}

async function findAccount(): Promise<Account> {
  if (process.getuid?.() !== 0) return {};
  for (const name of ACCOUNTS_FOR_ROOT) {
    const found = await Promise.all([idOf('-u', name), idOf('-g', name)]).catch(() => undefined);
    if (found !== undefined) return { uid: found[0], gid: found[1] };
  }
  throw new Error(
    `PostgreSQL refuses to run as root, and this machine has none of the users ${ACCOUNTS_FOR_ROOT.join(', ')}`,
  );
}

async function idOf(flag: '-u' | '-g', name: string): Promise<number> {
  return Number((await run('id', [flag, name])).stdout.trim());
}

/** True when another user than us may enter every folder above `path`. */
export async function isReachableByOthers(path: string): Promise<boolean> {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/** A temporary folder that the servers' account can enter. */
export async function temporaryFolder(): Promise<string> {
  const usual = tmpdir();
  if ((await serverAccount())['uid'] === undefined) return usual;
  const open = await isReachableByOthers(join(usual, 'any'));
  return open ? usual : PUBLIC_TEMPORARY_FOLDER;
}

/** A new folder of the servers' account, nobody else's to read. */
export async function makeServerFolder(): Promise<string> {
  const folder = await mkdtemp(join(await temporaryFolder(), 'bunnydb-server-'));
  await giveToServer(folder);
  return folder;
}

/** Makes `folder` the servers' own, as PostgreSQL demands of a data directory. */
export async function giveToServer(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await chmod(folder, OWN_FOLDER_MODE);
  const { uid, gid } = await serverAccount();
  if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid);
}
