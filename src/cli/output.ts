/** Where a command writes: results and messages never mix. */
export interface Output {
  /** A result, to stdout. */
  readonly print: (text: string) => void;
  /** A message for people, to stderr. */
  readonly error: (text: string) => void;
}
