/** Runs `validate` on files of a temporary directory, which may be a git repository. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Command } from 'commander';
import { buildProgram } from '../../src/cli/program.ts';
import { validate, type ValidateOptions } from '../../src/cli/validate.ts';

export interface Outcome {
  readonly code: number;
  /** What was printed, with `D` for the directory. */
  readonly text: string;
  /** What went to stderr, alike. */
  readonly errors: string;
}

/** A directory that goes away with the test. */
export function makeDirectory(t: TestContext): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'validate-')));
  t.after(() => rmSync(dir, { recursive: true }));
  return dir;
}

/** Writes files by their paths in `dir`; undefined deletes one. */
export function writeFiles(dir: string, files: Readonly<Record<string, string | undefined>>): void {
  for (const [path, text] of Object.entries(files)) {
    const whole = join(dir, path);
    mkdirSync(dirname(whole), { recursive: true });
    if (text === undefined) rmSync(whole);
    else writeFileSync(whole, text);
  }
}

/** Runs git in `dir`, whatever this machine's settings are; returns what it printed. */
export function git(dir: string, ...args: string[]): string {
  const env = {
    ...process.env,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: 'a',
    GIT_AUTHOR_EMAIL: 'a@example.com',
    GIT_COMMITTER_NAME: 'a',
    GIT_COMMITTER_EMAIL: 'a@example.com',
  };
  return execFileSync('git', args, { cwd: dir, env, stdio: 'pipe' }).toString().trim();
}

/** The command line, as main.ts makes it; `exit` takes the code of what ran. */
export function programWith(
  exit: (code: number) => void,
  print: (text: string) => void = unexpected,
): Command {
  return buildProgram({
    out: { print, error: unexpected },
    signal: new AbortController().signal,
    onHangup: unexpected,
    createLog: unexpected,
    isGithub: true,
    exit,
  });
}

function unexpected(): never {
  throw new Error('this was not to be called');
}

export function commitAll(dir: string): string {
  git(dir, 'add', '--all');
  git(dir, 'commit', '--quiet', '--message', 'a commit');
  return git(dir, 'rev-parse', 'HEAD');
}

/** Runs the command on paths inside `dir`. */
export async function runValidate(
  dir: string,
  paths: readonly string[],
  options: Partial<ValidateOptions> = {},
): Promise<Outcome> {
  const written = { text: '', errors: '' };
  const code = await validate(
    paths.map((path) => join(dir, path)),
    { dir, output: 'text', ...options },
    {
      print: (piece) => void (written.text += piece),
      error: (piece) => void (written.errors += piece),
    },
  );
  return {
    code,
    text: written.text.replaceAll(dir, 'D'),
    errors: written.errors.replaceAll(dir, 'D'),
  };
}
