/** A directory of mirror files for the commands that edit them. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, runCommand } from '../servers/daemon.ts';
import { DESTINATION_PEER, mirrorText, SOURCE_PEER } from '../spec/files.ts';

export const LINES = `  # resyncGeneration: 3
  tables:
    - source: public.users
      resyncGeneration: 3   # after the import
    - {source: public.orders}
    - source: public."a.b"
      excludeColumns:
        - secret # not here
`;

/** One of its files has these lines under spec. */
export class Folder implements AsyncDisposable {
  readonly dir: string;
  readonly file: string;
  readonly before: string;

  private constructor(dir: string, before: string) {
    this.dir = dir;
    this.file = join(dir, 'shop.yaml');
    this.before = before;
  }

  static async create(lines = LINES): Promise<Folder> {
    const folder = new Folder(await mkdtemp(join(tmpdir(), 'mirrors-')), mirrorText(lines));
    await writeFile(join(folder.dir, 'from.yaml'), SOURCE_PEER);
    await writeFile(join(folder.dir, 'to.yaml'), DESTINATION_PEER);
    await writeFile(folder.file, folder.before);
    return folder;
  }

  /** As far as the command reads it. */
  async writeStatus(status: object): Promise<void> {
    await mkdir(join(this.dir, 'status'), { recursive: true });
    await writeFile(join(this.dir, 'status', 'shop.yaml'), JSON.stringify({ status }));
  }

  async command(verb: string, ...args: string[]): Promise<CommandResult> {
    return runCommand([verb, '--dir', this.dir, ...args]);
  }

  async text(): Promise<string> {
    return readFile(this.file, 'utf8');
  }

  async assertUntouched(): Promise<void> {
    assert.equal(await this.text(), this.before);
    assert.deepEqual(
      (await readdir(this.dir)).filter((name) => name.startsWith('.')),
      [],
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true });
  }
}
