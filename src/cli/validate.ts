import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { compareWithBase, type Change, type ChangeCode } from '../spec/compare-base.ts';
import { byPlace, hasErrors, type Diagnostic } from '../spec/diagnostic.ts';
import { loadPaths } from '../spec/load.ts';
import { parseFile } from '../spec/parse.ts';
import { readSnapshot } from '../spec/snapshot.ts';
import { readBaseFiles, type GitProblem } from './base-revision.ts';
import {
  formatGithub,
  formatJson,
  formatText,
  type Report,
  type ReportCode,
} from './diagnostic-formats.ts';
import { EXIT } from './exit-codes.ts';
import type { Output } from './output.ts';
import { repositoryPath } from './repository-path.ts';
import { formatSarif } from './sarif.ts';
import { findUnread } from './unread-files.ts';

export interface ValidateOptions {
  /** Checked when no path is named. */
  readonly dir: string;
  readonly output: 'text' | 'json' | 'github' | 'sarif';
  /** A revision of git, or `A...` for where the branch left A: what the change will do is told too. */
  readonly base?: string;
  /** Warnings fail too. */
  readonly strict?: boolean;
}

/**
 * Checks mirror files without any database and prints everything there is to say, with its place.
 * Paths are files and directories. A directory is one set, as a daemon takes it; a file is checked
 * against all others of its directory, and only what is about that file is told.
 * Returns the exit code: 0 when all are valid, 3 when not, 1 when git could not be asked.
 */
export async function validate(
  paths: readonly string[],
  options: ValidateOptions,
  out: Pick<Output, 'print' | 'error'>,
): Promise<number> {
  const sets = await groupByDirectory(paths.length > 0 ? paths : [options.dir]);
  const checked = await Promise.all(sets.map((set) => checkSet(set, options.base)));
  const diagnostics = checked.flatMap((set) => set.diagnostics).sort(byPlace);
  const isValid =
    !hasErrors(diagnostics) &&
    !(options.strict === true && diagnostics.some(({ severity }) => severity === 'warning'));
  const commit = checked.find((set) => set.commit !== undefined)?.commit;
  out.print(
    `${FORMATS[options.output]({
      diagnostics,
      isValid,
      files: sum(checked.map(({ files }) => files)),
      validMirrors: sum(checked.map(({ validMirrors }) => validMirrors)),
      ...(options.base === undefined || commit === undefined
        ? {}
        : { base: { revision: options.base, commit } }),
    })}\n`,
  );
  const problems = new Set(checked.flatMap(({ problem }) => problem ?? []).map(describeProblem));
  for (const problem of problems) out.error(`${problem}\n`);
  if (problems.size > 0) return EXIT.failed;
  return isValid ? EXIT.done : EXIT.invalidFiles;
}

const FORMATS: Readonly<Record<ValidateOptions['output'], (report: Report) => string>> = {
  text: formatText,
  json: formatJson,
  github: (report) => formatGithub(withRepositoryPaths(report)),
  sarif: (report) => formatSarif(withRepositoryPaths(report)),
};

function withRepositoryPaths(report: Report): Report {
  const diagnostics = report.diagnostics.map((diagnostic) => ({
    ...diagnostic,
    file: repositoryPath(diagnostic.file),
  }));
  return { ...report, diagnostics };
}

/** What was asked about one directory: all of it, and files by their names, which may have any ending. */
interface FileSet {
  readonly folder: string;
  readonly isWhole: boolean;
  readonly named: readonly string[];
}

interface CheckedSet {
  readonly diagnostics: readonly Diagnostic<ReportCode>[];
  readonly files: number;
  readonly validMirrors: number;
  readonly commit?: string;
  readonly problem?: GitProblem;
}

async function groupByDirectory(paths: readonly string[]): Promise<FileSet[]> {
  const sets = new Map<string, FileSet>();
  for (const path of paths) {
    const isFolder = await stat(path).then(
      (info) => info.isDirectory(),
      () => false,
    );
    const folder = isFolder ? path : dirname(path);
    const known = sets.get(resolve(folder));
    sets.set(resolve(folder), {
      folder,
      isWhole: isFolder || known?.isWhole === true,
      named: [...(known?.named ?? []), ...(isFolder ? [] : [path])],
    });
  }
  return [...sets.values()];
}

async function checkSet(
  { folder, isWhole, named }: FileSet,
  revision?: string,
): Promise<CheckedSet> {
  const snapshot = await loadPaths([folder, ...named]);
  const wanted = new Set(named.map((path) => resolve(path)));
  const isWanted = (path: string): boolean => isWhole || wanted.has(resolve(path));
  const about = {
    files: snapshot.files.filter(({ path }) => isWanted(path)).length,
    validMirrors: snapshot.mirrors.filter(({ file }) => isWanted(file)).length,
  };
  const told = [
    ...snapshot.diagnostics.filter(({ file }) => isWanted(file)),
    ...(isWhole ? await findUnread(folder, about.files) : []).filter(
      ({ file }) => !wanted.has(resolve(file)),
    ),
  ];
  // A folder that is not there was told of as unreadable.
  if (revision === undefined || !existsSync(folder)) return { ...about, diagnostics: told };
  const base = await readBaseFiles(folder, revision);
  if (!('files' in base)) return { ...about, diagnostics: told, problem: base };
  const changes = compareWithBase(readSnapshot(base.files), snapshot);
  const placed = await placeChanges(changes.filter(({ file }) => isWanted(file)));
  return { ...about, diagnostics: [...told, ...placed], commit: base.commit };
}

/** Adds the places, for which the newer files are read again: those that have changed are few. */
async function placeChanges(changes: readonly Change[]): Promise<Diagnostic<ChangeCode>[]> {
  const paths = [
    ...new Set(changes.filter(({ path }) => path !== undefined).map(({ file }) => file)),
  ];
  const files = new Map(
    await Promise.all(
      paths.map(
        async (path) => [path, parseFile(path, await readFile(path, 'utf8')).file] as const,
      ),
    ),
  );
  return changes.map(({ path, atKey, ...change }) => {
    const place = path === undefined ? undefined : files.get(change.file)?.place(path, atKey);
    return { ...change, ...(place ?? { line: 1, column: 1 }) };
  });
}

function describeProblem({ message, hint }: GitProblem): string {
  return `--base: ${message}${hint === undefined ? '' : `\n  ${hint}`}`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
