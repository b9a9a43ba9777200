/** Mirror files as they were at a revision of git. Only reads objects: the working tree and the index are left alone. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { isMirrorFile } from '../spec/read-directory.ts';
import type { SourceFile } from '../spec/snapshot.ts';

/** The files of one directory at a revision. */
export interface BaseFiles {
  /** The full id of the commit. */
  readonly commit: string;
  /** With the paths that they would have today; none when the directory was not there. */
  readonly files: readonly SourceFile[];
}

/** Why git has no answer. */
export interface GitProblem {
  readonly message: string;
  readonly hint?: string;
}

/**
 * Reads the mirror files that `dir` had at `revision`: what git calls a revision, or `A...`, where the
 * branch that is checked out left A. Links are followed inside the repository, as on a disk.
 * `dir` is there, and may be any directory of the repository.
 */
export async function readBaseFiles(
  dir: string,
  revision: string,
): Promise<BaseFiles | GitProblem> {
  const shallow = await git(dir, ['rev-parse', '--is-shallow-repository']);
  if (shallow.code !== 0) return explainFailure(dir, shallow);
  const commit = await findCommit(dir, revision);
  if (commit === undefined)
    return explainUnknown(revision, shallow.stdout.toString().trim() === 'true');
  const list = await git(dir, ['ls-tree', '-z', '--name-only', commit, './']);
  if (list.code !== 0) return explainFailure(dir, list);
  // Git takes one name on a line; one that is two lines is no file of ours.
  const names = list.stdout
    .toString()
    .split('\0')
    .filter((name) => isMirrorFile(name) && !name.includes('\n'));
  const objects = await git(
    dir,
    ['cat-file', '--batch', '--follow-symlinks'],
    names.map((name) => `${commit}:./${name}\n`).join(''),
  );
  if (objects.code !== 0) return explainFailure(dir, objects);
  const contents = readBatch(objects.stdout);
  return {
    commit,
    files: names.flatMap((name, index) => {
      const content = contents[index];
      return content === undefined ? [] : [{ path: join(dir, name), content }];
    }),
  };
}

async function findCommit(dir: string, revision: string): Promise<string | undefined> {
  const [left = '', right] = revision.split('...', 2);
  const { code, stdout } =
    right === undefined
      ? await git(dir, ['rev-parse', '--verify', '--quiet', `${left}^{commit}`])
      : await git(dir, ['merge-base', left || 'HEAD', right || 'HEAD']);
  return code === 0 ? stdout.toString().trim() : undefined;
}

/**
 * Reads what `git cat-file --batch` writes: a line that ends in the number of bytes that follow, then
 * those and a newline. Undefined for what is no file: a folder, a link that leads out or nowhere.
 */
function readBatch(output: Buffer): (Buffer | undefined)[] {
  const contents: (Buffer | undefined)[] = [];
  for (let at = 0; at < output.length;) {
    const lineEnd = output.indexOf('\n', at);
    const line = output.toString('utf8', at, lineEnd);
    at = lineEnd + 1;
    const size = /^\S+ (?<type>\S+ )?(?<bytes>\d+)$/.exec(line)?.groups;
    if (size === undefined) {
      contents.push(undefined);
      continue;
    }
    const end = at + Number(size['bytes']);
    contents.push(size['type'] === 'blob ' ? output.subarray(at, end) : undefined);
    at = end + 1;
  }
  return contents;
}

function explainUnknown(revision: string, isShallow: boolean): GitProblem {
  if (isShallow)
    return {
      message: `this clone is shallow and does not reach ${revision}`,
      hint: 'fetch the history: fetch-depth: 0 for actions/checkout, elsewhere git fetch --unshallow',
    };
  return {
    message: `git does not know the revision ${revision} here`,
    hint: 'give a branch, a tag or a commit that was fetched, or origin/main... for where the branch left it',
  };
}

function explainFailure(dir: string, { code, stderr }: Answer): GitProblem {
  if (code === 'ENOENT') return { message: 'git is not installed, and --base asks it' };
  if (stderr.startsWith('fatal: not a git repository'))
    return {
      message: `${dir} is in no git repository`,
      hint: '--base compares with a revision of the repository that the files are in',
    };
  const words = stderr
    .replace(/^fatal: /, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return { message: `git cannot read ${dir}: ${words || `it ended with ${code}`}` };
}

interface Answer {
  /** The exit code, or the error code when it could not be run. */
  readonly code: number | string;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** What git sets for its hooks: the repository is found from the files, not from there. */
const HOOK_VARIABLES = ['GIT_DIR', 'GIT_WORK_TREE', 'GIT_INDEX_FILE', 'GIT_PREFIX'];

/** Above anything that a directory of mirror files holds. */
const MAX_OUTPUT_BYTES = 1024 ** 3;

/** Runs git without a shell, in English. Never throws. */
function git(dir: string, args: readonly string[], input = ''): Promise<Answer> {
  const inherited = Object.entries(process.env).filter(([name]) => !HOOK_VARIABLES.includes(name));
  const env = { ...Object.fromEntries(inherited), LC_ALL: 'C' };
  const options = { cwd: dir, env, encoding: 'buffer', maxBuffer: MAX_OUTPUT_BYTES } as const;
  return new Promise((resolve) => {
    const child = execFile('git', args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? 1), stdout, stderr: stderr.toString() });
    });
    // Closed already when git gave up before it had read everything: its exit code tells.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}
