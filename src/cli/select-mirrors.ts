import { classify } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import { describeDiagnostic } from '../spec/diagnostic.ts';
import { loadDirectory } from '../spec/load.ts';
import type { Output } from './output.ts';

/**
 * The valid mirrors of a directory, or the named one. Undefined, with every reason printed, when the
 * directory cannot be read, a file is invalid, or the name is not there.
 */
export async function selectMirrors(
  dir: string,
  name: string | undefined,
  out: Output,
): Promise<readonly Mirror[] | undefined> {
  const snapshot = await loadDirectory(dir).catch((thrown: unknown) => classify(thrown));
  if (snapshot instanceof Error) {
    out.error(`${snapshot.message}\n  ${snapshot.hint}\n`);
    return undefined;
  }
  const mirrors = snapshot.mirrors.filter((mirror) => name === undefined || mirror.name === name);
  const errors = snapshot.diagnostics.filter(
    ({ severity, mirror }) =>
      severity === 'error' && (name === undefined || mirror === name || mirror === undefined),
  );
  for (const error of errors) out.error(`${describeDiagnostic(error)}\n`);
  if (mirrors.length > 0 && (name !== undefined || errors.length === 0)) return mirrors;
  if (errors.length === 0)
    out.error(name === undefined ? `no mirror in ${dir}\n` : `no mirror ${name} in ${dir}\n`);
  return undefined;
}
