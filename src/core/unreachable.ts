/** Ends an exhaustive switch: a value that gets here is a bug, in types first and at run time second. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
