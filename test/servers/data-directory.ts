/** New data directories, copied from empty clusters that are made once for each machine. */
import { randomBytes } from 'node:crypto';
import { appendFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { giveToServer, serverAccount } from './account.ts';
import { findBinaries } from './binaries.ts';
import { cacheFolder, exists, moveToCache } from './cache.ts';
import { runQuietly } from './processes.ts';

export const SUPERUSER = 'postgres';
/** Our settings; written at each start, so that ALTER SYSTEM still has the last word. */
export const SETTINGS_FILE = 'bunnydb.conf';
/** There in every cluster. */
const MARKER = 'PG_VERSION';
const PASSWORD_FILE = 'bunnydb.password';
/** Goes up when initdb's arguments below change: older templates in the cache are then left alone. */
const TEMPLATE_FORMAT = 1;
/**
 * A copied cluster has its template's system identifier, and a mirror tells source and destination
 * apart by it: each cluster of a process is copied from another template, in turn.
 */
const TEMPLATE_COUNT = 6;

let clustersMade = 0;

/** Fills `folder`, which must be the servers' own, with a new cluster; one that is there already is left as it is. */
export async function fillDataDirectory(folder: string): Promise<void> {
  if (await exists(join(folder, MARKER))) return;
  const template = await templateFolder(clustersMade++ % TEMPLATE_COUNT);
  const account = await serverAccount();
  await runQuietly('cp', ['-R', `${template}/.`, folder], { account, cwd: folder });
}

/** The superuser's password: random, because everybody on the machine can reach 127.0.0.1. */
export async function readPassword(dataDirectory: string): Promise<string> {
  return (await readFile(join(dataDirectory, PASSWORD_FILE), 'utf8')).trim();
}

async function templateFolder(index: number): Promise<string> {
  const { version } = await findBinaries();
  const { uid } = await serverAccount();
  // The owner is part of the name: a machine may get its `postgres` user later.
  const owner = uid === undefined ? '' : `-${uid}`;
  const name = `template-${TEMPLATE_FORMAT}-${version}${owner}-${index}`;
  const template = join(await cacheFolder(), name);
  if (await exists(join(template, MARKER))) return template;
  const building = await mkdtemp(join(await cacheFolder(), 'building-'));
  await giveToServer(building);
  await moveToCache(await initialise(building), template, MARKER);
  await rm(building, { recursive: true });
  return template;
}

async function initialise(building: string): Promise<string> {
  const { initdb } = await findBinaries();
  const data = join(building, 'data');
  const passwordFile = join(building, 'password');
  await writeFile(passwordFile, `${randomBytes(12).toString('hex')}\n`);
  const args = [
    `--pgdata=${data}`,
    `--username=${SUPERUSER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
    '--no-instructions',
  ];
  await giveToServer(data);
  await runQuietly(initdb, args, { account: await serverAccount(), cwd: building });
  await appendFile(join(data, 'postgresql.conf'), `\ninclude_if_exists '${SETTINGS_FILE}'\n`);
  await rename(passwordFile, join(data, PASSWORD_FILE));
  return data;
}
