/** The demo's own copy of the shipped mirror files, to be edited at will. */
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Document, isSeq, parseDocument } from 'yaml';
import { guardFolder } from '../servers/processes.ts';
import type { ShopTable } from './shop.ts';

const SHIPPED = join(import.meta.dirname, '..', '..', 'mirrors.d');
const MIRROR_FILE = 'shop.yaml';
const SOURCE_FILE = 'shop-source.yaml';
const DESTINATION_FILE = 'shop-copy.yaml';

export interface Ports {
  readonly source: number;
  readonly destination: number;
}

/** A temporary folder; dispose it to remove it. */
export interface Workspace extends AsyncDisposable {
  readonly mirrorDirectory: string;
  readonly mirrorFile: string;
  readonly statusDirectory: string;
  readonly statusFile: string;
  readonly daemonLog: string;
}

/** Copies the shop's three files; only the ports are changed, the servers may not have got the usual ones. */
export async function makeWorkspace(ports: Ports): Promise<Workspace> {
  const root = await mkdtemp(join(tmpdir(), 'bunnydb-demo-'));
  const dismissGuard = guardFolder(root, 'remove');
  const mirrorDirectory = join(root, 'mirrors.d');
  // Where every command looks for it by itself.
  const statusDirectory = join(mirrorDirectory, 'status');
  await mkdir(statusDirectory, { recursive: true });
  for (const file of [MIRROR_FILE, SOURCE_FILE, DESTINATION_FILE])
    await copyFile(join(SHIPPED, file), join(mirrorDirectory, file));
  await setPort(join(mirrorDirectory, SOURCE_FILE), ports.source);
  await setPort(join(mirrorDirectory, DESTINATION_FILE), ports.destination);
  return {
    mirrorDirectory,
    mirrorFile: join(mirrorDirectory, MIRROR_FILE),
    statusDirectory,
    statusFile: join(statusDirectory, MIRROR_FILE),
    daemonLog: join(root, 'daemon.log'),
    [Symbol.asyncDispose]: async () => {
      await rm(root, { recursive: true, force: true });
      dismissGuard();
    },
  };
}

async function setPort(file: string, port: number): Promise<void> {
  await edit(file, (document) => document.setIn(['spec', 'port'], port));
}

/** What a person does in an editor: raises the table's counter by one. Returns the new value. */
export async function bumpResyncGeneration(file: string, table: ShopTable): Promise<number> {
  let generation = 0;
  await edit(file, (document) => {
    const tables = document.getIn(['spec', 'tables']);
    const index = isSeq(tables)
      ? tables.items.findIndex((_, i) => document.getIn(['spec', 'tables', i, 'source']) === table)
      : -1;
    if (index === -1) throw new Error(`${file} does not mirror ${table}`);
    const path = ['spec', 'tables', index, 'resyncGeneration'];
    generation = Number(document.getIn(path) ?? 0) + 1;
    document.setIn(path, generation);
  });
  return generation;
}

async function edit(file: string, change: (document: Document) => void): Promise<void> {
  const document = parseDocument(await readFile(file, 'utf8'));
  change(document);
  // As editors do: the daemon never sees half a file.
  const temporary = `${file}.tmp`;
  await writeFile(temporary, document.toString());
  await rename(temporary, file);
}
