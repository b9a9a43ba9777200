import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import { silentLog } from '../../src/core/log.ts';
import { DirectoryWatch, RESCAN_MS } from '../../src/daemon/directory/watch.ts';
import { DirectoryReader } from '../../src/spec/load.ts';
import { PEER, temporaryFolder } from '../directory/folder.ts';
import { until } from '../servers/processes.ts';

/** Sooner than any interval: what is seen by then was seen by an event. */
const BY_EVENT_MS = RESCAN_MS / 2;

/** Watches a directory for the time of a test; `names` are the files that the last look found. */
function watched(
  t: TestContext,
  dir: string,
): {
  names: () => string;
  looks: () => number;
  sees: (names: string) => Promise<void>;
  lookNow: () => void;
} {
  const stop = new AbortController();
  const { signal } = stop;
  const reader = new DirectoryReader(dir, { clock: systemClock, signal });
  let [names, looks] = ['not looked yet', 0];
  const watch = new DirectoryWatch({
    dir,
    log: silentLog(),
    clock: systemClock,
    signal,
    onLookAgain: async () => {
      const { look, place } = await reader.look();
      names =
        look.kind === 'files'
          ? look.snapshot.files.map(({ path }) => path.slice(dir.length + 1)).join(' ')
          : look.kind;
      looks += 1;
      return { place, againMs: undefined };
    },
  });
  const running = watch.run();
  t.after(async () => {
    stop.abort();
    await running;
  });
  const sees = async (expected: string): Promise<void> =>
    until(() => names === expected, {
      timeoutMs: BY_EVENT_MS,
      late: async () => new Error(`it sees ${names}, not ${expected}`),
    });
  return { names: () => names, looks: () => looks, sees, lookNow: watch.lookNow };
}

function write(...path: string[]): void {
  mkdirSync(join(...path, '..'), { recursive: true });
  writeFileSync(join(...path), PEER);
}

test('files that come, change and go; and after the directory itself was another one', async (t) => {
  const dir = join(temporaryFolder(t), 'mirrors.d');
  write(dir, 'a.yaml');
  const { sees } = watched(t, dir);
  await sees('a.yaml');
  write(dir, 'b.yaml');
  await sees('a.yaml b.yaml');
  rmSync(dir, { recursive: true });
  await sees('unreadable');
  write(dir, 'c.yaml');
  await sees('c.yaml');
  write(dir, 'd.yaml');
  await sees('c.yaml d.yaml');
  renameSync(dir, `${dir}.old`);
  mkdirSync(`${dir}.new`);
  renameSync(`${dir}.new`, dir);
  await sees('');
  write(dir, 'e.yaml');
  await sees('e.yaml');
});

test('a directory that is not there yet, nor the one above it', async (t) => {
  const root = temporaryFolder(t);
  const { sees } = watched(t, join(root, 'checkout', 'deploy', 'mirrors.d'));
  await sees('unreadable');
  write(root, 'checkout', 'README');
  write(root, 'checkout', 'deploy', 'mirrors.d', 'a.yaml');
  await sees('a.yaml');
});

test('git-sync: a link above the directory is swapped, again and again, and files come after it', async (t) => {
  const root = temporaryFolder(t);
  write(root, 'worktrees', '0', 'mirrors.d', 'm0.yaml');
  symlinkSync('worktrees/0', join(root, 'link'));
  const { sees } = watched(t, join(root, 'link', 'mirrors.d'));
  await sees('m0.yaml');
  for (const commit of [1, 2, 3]) {
    write(root, 'worktrees', `${commit}`, 'mirrors.d', `m${commit}.yaml`);
    symlinkSync(`worktrees/${commit}`, join(root, 'next'));
    renameSync(join(root, 'next'), join(root, 'link'));
    rmSync(join(root, 'worktrees', `${commit - 1}`), { recursive: true });
    await sees(`m${commit}.yaml`);
  }
  write(root, 'worktrees', '3', 'mirrors.d', 'n.yaml');
  await sees('m3.yaml n.yaml');
});

test('a ConfigMap: the link beside the files is swapped', async (t) => {
  const dir = join(temporaryFolder(t), 'mirrors.d');
  write(dir, '..1', 'a.yaml');
  write(dir, '..2', 'a.yaml');
  writeFileSync(join(dir, '..2', 'a.yaml'), PEER.replace('from', 'to'));
  symlinkSync('..1', join(dir, '..data'));
  symlinkSync('..data/a.yaml', join(dir, 'a.yaml'));
  const { sees, looks } = watched(t, dir);
  await sees('a.yaml');
  // The second look is made when the watch is there.
  const late = async (): Promise<Error> => new Error(`${looks()} looks`);
  await until(() => looks() >= 2, { timeoutMs: BY_EVENT_MS, late });
  const before = looks();
  symlinkSync('..2', join(dir, '..data_tmp'));
  renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  rmSync(join(dir, '..1'), { recursive: true });
  await until(() => looks() > before, { timeoutMs: BY_EVENT_MS, late });
});

test('events that never end are not waited for; an order needs no event', async (t) => {
  const dir = join(temporaryFolder(t), 'mirrors.d');
  write(dir, 'a.yaml');
  const { sees, looks, lookNow } = watched(t, dir);
  await sees('a.yaml');
  const late = async (): Promise<Error> => new Error(`${looks()} looks`);
  await until(() => looks() >= 2, { timeoutMs: BY_EVENT_MS, late });
  const before = looks();
  lookNow();
  await until(() => looks() > before, { timeoutMs: BY_EVENT_MS, late });
  let written = 0;
  const writing = setInterval(() => write(dir, `b${(written += 1) % 2}.yaml`), 50);
  t.after(() => clearInterval(writing));
  await sees('a.yaml b0.yaml b1.yaml');
});
