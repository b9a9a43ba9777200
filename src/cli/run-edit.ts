import { classify } from '../core/errors.ts';
import type { Mirror } from '../core/mirror.ts';
import type { MirrorSpec } from '../spec/document.ts';
import type { FieldEdit } from '../spec/edit.ts';
import { editMirror } from './edit-mirror.ts';
import { EXIT } from './exit-codes.ts';
import { tellError, type Output } from './output.ts';

export interface EditCommand<E extends FieldEdit> {
  readonly edit: (spec: MirrorSpec) => readonly E[];
  /** A line for each edit, without its end. */
  readonly describe: (edit: E) => string;
  /** What to do now, in whole lines. */
  readonly next: (edits: readonly E[]) => string;
}

/** Edits the file of a mirror as editMirror does, and tells of it. Returns the exit code: done or failed. */
export async function runEdit<E extends FieldEdit>(
  mirror: Mirror,
  { edit, describe, next }: EditCommand<E>,
  out: Output,
): Promise<number> {
  try {
    const edits = await editMirror(mirror, edit);
    for (const one of edits) out.print(`${describe(one)}\n`);
    out.error(next(edits));
    return EXIT.done;
  } catch (thrown) {
    tellError(out, classify(thrown), mirror.name);
    return EXIT.failed;
  }
}
