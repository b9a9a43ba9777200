import { readdir, readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { driverCode } from '../core/errors.ts';
import { statusPath } from './status-file.ts';
import type { Status } from './status.ts';

/** What the daemon wrote last, for the commands; undefined when there is none (or it is being deleted). */
export async function readStatus(dir: string, mirror: string): Promise<Status | undefined> {
  try {
    return parse(await readFile(statusPath(dir, mirror), 'utf8')) as Status;
  } catch (error) {
    if (driverCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** The names of the mirrors that have a status there, sorted. */
export async function listStatuses(dir: string): Promise<string[]> {
  try {
    const names = (await readdir(dir)).map((file) => STATUS_FILE.exec(file)?.[1]);
    return names.filter((name) => name !== undefined).toSorted();
  } catch (error) {
    if (driverCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** As metadata.name is allowed. */
const STATUS_FILE = /^([a-z][a-z0-9_]{0,55})\.yaml$/;
