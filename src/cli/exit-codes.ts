/** Exit codes of every command (DESIGN 2.3). */
export const EXIT = {
  done: 0,
  failed: 1,
  /** `plan --detailed-exitcode`: there is something to do. `verify`: a table is not like its source. */
  differences: 2,
  invalidFiles: 3,
  timedOut: 4,
  usage: 64,
} as const;

export const EXIT_CODE_HELP = `
Exit codes:
  0  done
  1  failed
  2  differences (plan --detailed-exitcode, verify)
  3  invalid files
  4  timed out
  64 usage`;
