import { readFile } from 'node:fs/promises';
import { MirrorError } from '../core/errors.ts';
import type { SecretReference } from '../core/mirror.ts';

/**
 * Looks a password up, anew at each connect so that a rotated secret is seen. One trailing newline
 * of a file is not part of it. Throws SecretUnavailable, naming the reference, never the value.
 */
export async function readSecret(reference: SecretReference): Promise<string> {
  if ('env' in reference) {
    const value = process.env[reference.env];
    if (value === undefined)
      throw new MirrorError(
        'SecretUnavailable',
        `environment variable ${reference.env} is not set`,
      );
    return value;
  }
  try {
    return (await readFile(reference.file, 'utf8')).replace(/\r?\n$/, '');
  } catch (cause) {
    throw new MirrorError('SecretUnavailable', `cannot read the password file ${reference.file}`, {
      cause,
    });
  }
}
