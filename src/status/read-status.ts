import { readFile } from 'node:fs/promises';
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
