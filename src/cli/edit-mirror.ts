/** Edits one mirror file in place, for the commands; the daemon never does. */
import { readFile, realpath, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { MirrorError } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import type { MirrorSpec } from '../spec/document.ts';
import { setFields, type FieldEdit } from '../spec/edit.ts';
import { parseFile } from '../spec/parse.ts';
import { validateFile } from '../spec/validate.ts';
import { replaceFile, tidyFolder } from '../status/replace-file.ts';

/**
 * Writes the file once with those fields set, every other byte as it was, or leaves it as it is when there
 * are none. Returns the edits. Throws InvalidSpec, and what the file system throws.
 */
export async function editMirror<E extends FieldEdit>(
  { name, file }: Mirror,
  edit: (spec: MirrorSpec) => readonly E[],
): Promise<readonly E[]> {
  const bytes = await readFile(file);
  const text = bytes.toString('utf8');
  const edits = edit(readSpec(file, text, name));
  if (edits.length > 0) await replaceUnchanged(file, bytes, setFields(file, text, edits));
  return edits;
}

/** The spec from the very text that is edited: the file may have changed since it was checked. */
function readSpec(path: string, text: string, name: string): MirrorSpec {
  const { file } = parseFile(path, text);
  const document = file === undefined ? undefined : validateFile(file).document;
  if (document?.kind === 'Mirror' && document.metadata.name === name) return document.spec;
  throw new MirrorError('InvalidSpec', `${path} was changed by somebody else meanwhile`);
}

/**
 * Mode and owner stay, a link is followed to its target. Throws InvalidSpec when the file does not hold
 * `before` any more, and what the file system throws.
 */
export async function replaceUnchanged(path: string, before: Buffer, after: string): Promise<void> {
  const target = await realpath(path);
  await replaceFile(target, after, {
    like: await stat(target),
    place: async (temporary) => {
      if (!before.equals(await readFile(target)))
        throw new MirrorError('InvalidSpec', `${path} was changed by somebody else meanwhile`, {
          hint: 'Nothing was written; run the command again.',
        });
      await rename(temporary, target);
    },
  });
  // Nothing depends on it.
  await tidyFolder(dirname(target)).catch(() => undefined);
}
