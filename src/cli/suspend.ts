import type { MirrorSpec } from '../spec/document.ts';
import type { FieldEdit } from '../spec/edit.ts';
import { EXIT } from './exit-codes.ts';
import type { Output } from './output.ts';
import { runEdit } from './run-edit.ts';
import { selectMirrors } from './select-mirrors.ts';

export interface SuspendOptions {
  readonly dir: string;
  /** Undefined keeps the one that is in the file. */
  readonly reason?: string;
}

/** `bunnydb suspend NAME`: writes suspend: true into the mirror file, and why. Returns the exit code. */
export async function suspend(name: string, options: SuspendOptions, out: Output): Promise<number> {
  return editSpec(name, options.dir, out, (spec) => {
    const { reason: to = spec.suspendReason } = options;
    return [
      ...(spec.suspend === true ? [] : [{ of: ['spec'], field: 'suspend', to: true }]),
      ...(spec.suspendReason === to ? [] : [{ of: ['spec'], field: 'suspendReason', to }]),
    ];
  });
}

/** `bunnydb resume NAME`: writes suspend: false, and takes the reason out. Returns the exit code. */
export async function resume(name: string, dir: string, out: Output): Promise<number> {
  return editSpec(name, dir, out, (spec) => [
    ...(spec.suspend === true ? [{ of: ['spec'], field: 'suspend', to: false }] : []),
    ...(spec.suspendReason === undefined
      ? []
      : [{ of: ['spec'], field: 'suspendReason', to: undefined }]),
  ]);
}

async function editSpec(
  name: string,
  dir: string,
  out: Output,
  edit: (spec: MirrorSpec) => readonly FieldEdit[],
): Promise<number> {
  const [mirror] = (await selectMirrors(dir, name, out)) ?? [];
  if (mirror === undefined) return EXIT.invalidFiles;
  const command = {
    edit,
    describe: ({ field, to }: FieldEdit) =>
      `${name}: ${field} ${to === undefined ? 'taken out of' : `is ${JSON.stringify(to)} in`} ${mirror.file}`,
    next: (edits: readonly FieldEdit[]) =>
      edits.length === 0
        ? `nothing to do: ${mirror.file} says so already\n`
        : 'commit it where the daemon gets its files from\n',
  };
  return runEdit(mirror, command, out);
}
