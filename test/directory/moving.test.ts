/** Directories that change while they are looked at: a look is of one moment, or says that it is not. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { readSnapshot, type ParsedFiles, type SourceFile } from '../../src/spec/snapshot.ts';
import { Folder, GRACE_MS, mirrorFile, PEER, temporaryFolder } from './folder.ts';

const SWAPS = 50;
/** Enough that reading them takes longer than a swap. */
const NAMES = Array.from({ length: 60 }, (_, index) => `m${10 + index}`);

/** One commit: each of its mirrors says in its table which commit it is from. */
function writeCommit(dir: string, commit: number): void {
  mkdirSync(dir, { recursive: true });
  for (const name of namesOf(commit))
    writeFileSync(join(dir, `${name}.yaml`), mirrorFile(name, [`t_${name}_${commit}`]));
}

/** Keys come and go, but not with each commit: a key that is missing would give the mixture away. */
function namesOf(commit: number): string[] {
  return NAMES.filter((_, index) => (Math.floor(commit / 4) + index) % 3 !== 0);
}

/** Looks until `done`; each look that says it is whole must be of one commit alone. */
async function assertWhole(
  folder: Folder,
  done: () => boolean,
  keys: 'all' | 'may be missing' = 'all',
): Promise<number> {
  let whole = 0;
  while (!done()) {
    const { look } = await folder.reader.look();
    assert.notEqual(look.kind, 'unreadable');
    if (look.kind !== 'files' || !look.snapshot.complete) continue;
    const { mirrors } = look.snapshot;
    const commits = new Set(mirrors.map(({ tables }) => tables[0]?.source.name.split('_')[2]));
    assert.equal(commits.size, 1, `half of one commit and half of another: ${[...commits].join()}`);
    const [commit] = commits;
    whole += 1;
    if (keys === 'may be missing') continue;
    assert.deepEqual(
      mirrors.map(({ name }) => name),
      namesOf(Number(commit)),
    );
  }
  return whole;
}

/** Lets the looks have their turns. */
async function pauseFor(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
}

/** How many looks are whole meanwhile is the machine's to say; at rest they are. */
async function whileLooking(
  folder: Folder,
  work: () => Promise<void>,
  keys?: 'may be missing',
): Promise<void> {
  let isDone = false;
  const looking = assertWhole(folder, () => isDone, keys);
  await work().finally(() => (isDone = true));
  await looking;
  const { look } = await folder.reader.look();
  assert.equal(look.kind, 'files');
  assert.ok((await assertWhole(folder, doneAfter(2))) > 0);
}

function doneAfter(times: number): () => boolean {
  let left = times;
  return () => (left -= 1) < 0;
}

test(`git-sync: the link is swapped ${SWAPS} times, and the old tree removed at once`, async (t) => {
  const root = temporaryFolder(t);
  writeCommit(join(root, 'worktrees', '0', 'mirrors.d'), 0);
  symlinkSync('worktrees/0', join(root, 'link'));
  const folder = new Folder(join(root, 'link', 'mirrors.d'));
  await whileLooking(folder, async () => {
    for (let commit = 1; commit <= SWAPS; commit += 1) {
      writeCommit(join(root, 'worktrees', `${commit}`, 'mirrors.d'), commit);
      symlinkSync(`worktrees/${commit}`, join(root, 'next'));
      await rename(join(root, 'next'), join(root, 'link'));
      await pauseFor(commit % 7);
      await rm(join(root, 'worktrees', `${commit - 1}`), { recursive: true });
      await pauseFor(commit % 5);
    }
  });
});

test(`a ConfigMap is swapped ${SWAPS} times, with keys that come and go`, async (t) => {
  const root = temporaryFolder(t);
  const dir = join(root, 'mirrors.d');
  const swap = async (commit: number): Promise<void> => {
    // As the kubelet does it: the new data, the swap, links of keys that are gone, links of new ones, the old data.
    writeCommit(join(dir, `..${commit}`), commit);
    symlinkSync(`..${commit}`, join(dir, '..data_tmp'));
    await rename(join(dir, '..data_tmp'), join(dir, '..data'));
    await pauseFor(commit % 3);
    const [before, after] = [commit === 0 ? [] : namesOf(commit - 1), namesOf(commit)];
    for (const name of before.filter((one) => !after.includes(one)))
      unlinkSync(join(dir, `${name}.yaml`));
    for (const name of after.filter((one) => !before.includes(one)))
      symlinkSync(`..data/${name}.yaml`, join(dir, `${name}.yaml`));
    if (commit > 0) await rm(join(dir, `..${commit - 1}`), { recursive: true });
  };
  mkdirSync(dir);
  await swap(0);
  const folder = new Folder(dir);
  const swaps = async (): Promise<void> => {
    for (let commit = 1; commit <= SWAPS; commit += 1) {
      await swap(commit);
      await pauseFor(commit % 5);
    }
  };
  // Between the swap and the links a key is missing, or its link leads nowhere.
  await whileLooking(folder, swaps, 'may be missing');
  await folder.look();
  const present = folder.sketch().filter((line) => line.includes(' present '));
  assert.equal(present.length, namesOf(SWAPS).length);
  assert.ok(present.every((line) => line.includes(`_${SWAPS}`)));
});

function git(dir: string, ...args: string[]): void {
  const identity = ['-c', 'user.name=test', '-c', 'user.email=test@localhost'];
  execFileSync('git', [...identity, '-c', 'init.defaultBranch=main', ...args], {
    cwd: dir,
    stdio: 'pipe',
  });
}

test('git checks out branches in place', async (t) => {
  const root = temporaryFolder(t);
  const dir = join(root, 'mirrors.d');
  git(root, 'init', '-q');
  for (const commit of [1, 2, 3]) {
    git(root, 'checkout', '-q', '--orphan', `b${commit}`);
    rmSync(dir, { recursive: true, force: true });
    writeCommit(dir, commit);
    git(root, 'add', '-A');
    git(root, 'commit', '-q', '-m', `${commit}`);
  }
  const folder = new Folder(dir);
  await whileLooking(folder, async () => {
    const { spawn } = await import('node:child_process');
    for (let round = 0; round < 12; round += 1) {
      const branch = `b${(round % 3) + 1}`;
      const child = spawn('git', ['checkout', '-q', branch], { cwd: root });
      const code = await new Promise((done) => child.once('exit', done));
      assert.equal(code, 0);
    }
  });
});

test('git is at work: nothing is said until it ends, or for 60 s', async (t) => {
  const root = temporaryFolder(t);
  git(root, 'init', '-q');
  const [lock, dir] = [join(root, '.git', 'index.lock'), join(root, 'deep', 'mirrors.d')];
  writeCommit(dir, 1);
  const folder = new Folder(dir);
  const kind = async (): Promise<string> => (await folder.reader.look()).look.kind;
  writeFileSync(lock, '');
  assert.equal(await kind(), 'unsettled');
  unlinkSync(lock);
  assert.equal(await kind(), 'files');
  writeFileSync(lock, '');
  assert.equal(await kind(), 'unsettled');
  await folder.look(60_000);
  assert.equal(await kind(), 'files', 'left by a git that died');
  unlinkSync(lock);
  writeFileSync(lock, '');
  assert.equal(await kind(), 'unsettled', 'another one');
});

test('in a worktree of git the lock is elsewhere', async (t) => {
  const root = temporaryFolder(t);
  git(root, 'init', '-q');
  git(root, 'commit', '-q', '--allow-empty', '-m', 'first');
  git(root, 'worktree', 'add', '-q', 'tree');
  const dir = join(root, 'tree', 'mirrors.d');
  writeCommit(dir, 1);
  const folder = new Folder(dir);
  assert.equal((await folder.reader.look()).look.kind, 'files');
  writeFileSync(join(root, '.git', 'worktrees', 'tree', 'index.lock'), '');
  assert.equal((await folder.reader.look()).look.kind, 'unsettled');
});

test('an edit of the same size with an older time is seen', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': mirrorFile('shop', ['users1']) });
  const path = join(folder.dir, 'shop.yaml');
  await folder.look();
  const { size } = statSync(path);
  folder.write(
    'shop.yaml',
    mirrorFile('shop', ['users1', 'orders']).slice(0, size).replace('users1', 'users2'),
  );
  utimesSync(path, 0, 0);
  assert.equal(statSync(path).size, size);
  await folder.look();
  assert.deepEqual(folder.sketch(), ['shop present [users2 users1] -[users1]']);
});

/** How programs save a file: each leaves it whole in the end, and other names beside it. */
const SAVES: Readonly<Record<string, (path: string, text: string) => void>> = {
  'vim, with a backup': (path, text) => {
    writeFileSync(join(path, '..', '4913'), '');
    unlinkSync(join(path, '..', '4913'));
    writeFileSync(`${path.replace(/[^/]+$/, '.$&')}.swp`, 'b0VIM');
    renameSync(path, `${path}~`);
    writeFileSync(path, text);
  },
  emacs: (path, text) => {
    symlinkSync('me@host.1:2', path.replace(/[^/]+$/, '.#$&'));
    writeFileSync(path.replace(/[^/]+$/, '#$&#'), text.slice(0, 40));
    copyFileSync(path, `${path}~`);
    writeFileSync(path, text);
  },
  'sed -i': (path, text) => {
    writeFileSync(path.replace(/[^/]+$/, 'sedX1b2'), text);
    renameSync(path.replace(/[^/]+$/, 'sedX1b2'), path);
  },
  'a program that empties it first': (path, text) => {
    truncateSync(path);
    appendFileSync(path, text);
  },
};

for (const [program, save] of Object.entries(SAVES))
  test(`saved as by ${program}, looked at before and after`, async (t) => {
    const folder = Folder.with(t, {
      'shop.yaml': mirrorFile('shop', ['users']),
      'from.yaml': PEER,
    });
    await folder.look();
    save(join(folder.dir, 'shop.yaml'), mirrorFile('shop', ['users', 'orders']));
    const { look } = await folder.reader.look();
    assert.ok(look.kind === 'files' && look.snapshot.complete);
    assert.equal(look.snapshot.files.length, 2);
    folder.take(look);
    assert.deepEqual(folder.sketch(), ['shop present [users orders]']);
  });

test('a file that never stands still is told as such, and the others are read', async (t) => {
  const folder = Folder.with(t, {
    'shop.yaml': mirrorFile('shop', ['users']),
    'crm.yaml': mirrorFile('crm', ['leads']),
  });
  await folder.look();
  const path = join(folder.dir, 'crm.yaml');
  // The pause between two attempts is when it is written to; the first attempt is made alone.
  let seconds = 0;
  const touch = setInterval(() => utimesSync(path, (seconds += 1), seconds), 0);
  t.after(() => clearInterval(touch));
  folder.write('shop.yaml', mirrorFile('shop', ['users', 'orders']));
  let sketch: string[] = [];
  for (
    let tries = 0;
    tries < 200 && !sketch.includes('crm present [leads] Unsettled');
    tries += 1
  ) {
    await folder.look();
    sketch = folder.sketch();
  }
  assert.deepEqual(sketch.toSorted(), [
    'crm present [leads] Unsettled',
    'shop present [users orders]',
  ]);
  assert.match(
    folder.known.get('crm')?.problems[0]?.text ?? '',
    /crm.yaml:1:1: the file changes while it is read$/,
  );
});

test('of 500 files the one that was edited is parsed again', () => {
  const names = Array.from({ length: 500 }, (_, index) => `m${index}`);
  const files = (edited: string): SourceFile[] =>
    names.map((name) => {
      const tables = name === edited ? [`t_${name}`, 'more'] : [`t_${name}`];
      return { path: `${name}.yaml`, content: Buffer.from(mirrorFile(name, tables)) };
    });
  const parsed: ParsedFiles = new Map();
  readSnapshot(files(''), { parsed });
  const before = new Set(parsed.values());
  const { mirrors } = readSnapshot(files('m7'), { parsed });
  assert.equal([...parsed.values()].filter((entry) => !before.has(entry)).length, 1);
  assert.deepEqual([parsed.size, mirrors.length, mirrors[7]?.tables.length], [500, 500, 2]);
  readSnapshot(files('').slice(0, 3), { parsed });
  assert.equal(parsed.size, 3, 'nothing is kept that is gone');
});

test('what does not change is the same snapshot', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': mirrorFile('shop', ['users']) });
  const [first, second] = [await folder.reader.look(), await folder.reader.look()];
  assert.ok(first.look.kind === 'files' && second.look.kind === 'files');
  assert.equal(first.look.snapshot, second.look.snapshot);
  assert.equal(readFileSync(join(folder.dir, 'shop.yaml'), 'utf8'), mirrorFile('shop', ['users']));
  await folder.look(GRACE_MS);
});
