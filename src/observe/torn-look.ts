import { classify, driverCode, MirrorError } from '../core/errors.ts';

/**
 * A look is many queries, and a function that prints a definition sees what is committed while its query
 * runs: a swap, or a DROP by somebody, moves a table from under it. The next look sees it where it is.
 */
export class TornLook extends Error {}

/** Tables are moved once in a while; who finds them moved so often in a row has met something else. */
const MAX_LOOKS = 5;

/**
 * internal_error: `could not open relation with OID`, `cache lookup failed`, which the catalogs' own functions
 * say of what has just gone; undefined_table.
 */
const TORN: ReadonlySet<string | undefined> = new Set(['XX000', '42P01']);

/** Looks, and at once again while the look was torn; any other error is thrown as it is. */
export async function lookUntilWhole<T>(look: () => Promise<T>): Promise<T> {
  for (let looks = 1; ; looks += 1)
    try {
      return await look();
    } catch (error) {
      if (!isTorn(error)) throw error;
      if (looks === MAX_LOOKS) throw inWords(error);
    }
}

function isTorn(error: unknown): boolean {
  if (error instanceof TornLook) return true;
  return error instanceof MirrorError && TORN.has(driverCode(error.cause));
}

function inWords(error: unknown): MirrorError {
  const { code, message } = classify(error);
  return new MirrorError(
    code,
    `${MAX_LOOKS} looks at the tables in a row found one of them moved or dropped meanwhile: ${message}`,
    {
      cause: error,
      hint: 'Something moves or drops tables again and again, or the server is not as this version knows it. It is tried again.',
    },
  );
}
