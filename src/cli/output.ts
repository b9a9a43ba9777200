import type { ErrorCode, MirrorError } from '../core/errors.ts';

/** Where a command writes: results and messages never mix. */
export interface Output {
  /** A result, to stdout. */
  readonly print: (text: string) => void;
  /** A message for people, to stderr. */
  readonly error: (text: string) => void;
  /** Undefined when stdout is no terminal. */
  readonly screen?: () => Screen | undefined;
  /** Colours for a result, where stdout shows any; undefined when it never does. */
  readonly paint?: Paint;
}

export type Paint = (
  style: 'red' | 'green' | 'yellow' | 'magenta' | 'cyan' | 'bold' | 'dim',
  text: string,
) => string;

/** For what takes no colours. */
export const unpainted: Paint = (_style, text) => text;

/** What a terminal can show, in letters and lines. */
export interface Screen {
  readonly columns: number;
  readonly rows: number;
}

/** An error that ends the command, or the part of it that `about` names. */
export function tellError(
  out: Output,
  { message, hint, code }: Pick<MirrorError, 'message' | 'hint'> & { readonly code?: ErrorCode },
  about?: string,
): void {
  const whose = about === undefined ? '' : `${about}: `;
  out.error(`${whose}${message}${code === undefined ? '' : ` [${code}]`}\n  ${hint}\n`);
}
