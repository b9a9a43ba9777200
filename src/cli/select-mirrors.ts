import { classify } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import { describeDiagnostic, type Diagnostic } from '../spec/diagnostic.ts';
import { loadDirectory } from '../spec/load.ts';
import { tellError, type Output } from './output.ts';

/**
 * The valid mirrors of a directory, or the named one. Undefined, with every reason printed, when the
 * directory cannot be read, a file is invalid, or the name is not there.
 */
export async function selectMirrors(
  dir: string,
  name: string | undefined,
  out: Output,
): Promise<readonly Mirror[] | undefined> {
  const found = await findMirrors(dir, name, out);
  if (found === undefined) return undefined;
  for (const error of found.errors) out.error(`${describeDiagnostic(error)}\n`);
  return found.errors.length === 0 ? found.mirrors : undefined;
}

export interface FoundMirrors {
  readonly mirrors: readonly Mirror[];
  /** What keeps the others, or the named one, from being among them. */
  readonly errors: readonly Diagnostic[];
}

/**
 * The same for whoever can do with those that are valid. Undefined, with the reason printed, when there is
 * nothing to find. What is wrong beside a valid mirror that was named is printed, and is no error of it.
 */
export async function findMirrors(
  dir: string,
  name: string | undefined,
  out: Output,
): Promise<FoundMirrors | undefined> {
  const snapshot = await loadDirectory(dir).catch((thrown: unknown) => classify(thrown));
  if (snapshot instanceof Error) {
    tellError(out, snapshot);
    return undefined;
  }
  const mirrors = snapshot.mirrors.filter((mirror) => name === undefined || mirror.name === name);
  const errors = snapshot.diagnostics.filter(
    ({ severity, mirror }) =>
      severity === 'error' && (name === undefined || mirror === name || mirror === undefined),
  );
  if (name !== undefined && mirrors.length > 0) {
    for (const error of errors) out.error(`${describeDiagnostic(error)}\n`);
    return { mirrors, errors: [] };
  }
  if (mirrors.length > 0 || errors.length > 0) return { mirrors, errors };
  out.error(name === undefined ? `no mirror in ${dir}\n` : `no mirror ${name} in ${dir}\n`);
  return undefined;
}
