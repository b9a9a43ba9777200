/** Where a command writes: results and messages never mix. */
export interface Output {
  /** A result, to stdout. */
  readonly print: (text: string) => void;
  /** A message for people, to stderr. */
  readonly error: (text: string) => void;
  /** Undefined when stdout is no terminal. */
  readonly screen?: () => Screen | undefined;
}

/** What a terminal can show, in letters and lines. */
export interface Screen {
  readonly columns: number;
  readonly rows: number;
}
