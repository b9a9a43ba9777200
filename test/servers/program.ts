/** How a test starts `bunnydb` as a process of its own. */

/** Set by test/run.sh, which has just built it: half the start of what is transformed first. */
const isBuilt = process.env['BUNNYDB_TEST_BUILT'] === '1';

/** Runs TypeScript; also what a test loads into the process beside the program. */
export const LOADER = ['--import', 'tsx'] as const;

/** Arguments of node: the program as it is built, or as it stands in src. */
export const PROGRAM = isBuilt ? ['dist/main.js'] : [...LOADER, 'src/main.ts'];
