import { existsSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/**
 * The path of a file seen from the top of the git repository that it lies in, which is how GitHub
 * names it. A file in no repository keeps the path that it was given by.
 */
export function repositoryPath(path: string): string {
  const whole = resolve(path);
  for (let folder = dirname(whole); ; folder = dirname(folder)) {
    // A directory; in a worktree and a submodule a file.
    if (existsSync(join(folder, '.git'))) return relative(folder, whole);
    if (folder === dirname(folder)) return path;
  }
}
