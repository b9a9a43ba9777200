/** `bunnydb resync` as users run it: which counters go up, and that nothing else is touched. */
import assert from 'node:assert/strict';
import { lstat, readdir, readFile, rm, stat, symlink, writeFile, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { replaceUnchanged } from '../../src/cli/edit-mirror.ts';
import { MirrorError } from '../../src/core/errors.ts';
import { runCommand } from '../servers/daemon.ts';
import { Folder, LINES } from './folder.ts';

test('the counters of the named tables go up, the rest of the file is as it was', async () => {
  await using folder = await Folder.create();
  const { code, stdout, stderr } = await folder.command(
    'resync',
    'shop',
    'public.users',
    'public."a.b"',
  );
  assert.equal(code, 0, stderr);
  const { file, before } = folder;
  assert.equal(
    stdout,
    `public.users: resyncGeneration 3 -> 4 in ${file}\npublic."a.b": resyncGeneration 0 -> 1 in ${file}\n`,
  );
  assert.match(stderr, /^note: no status of shop in .*status; counting from the file alone$/m);
  assert.match(stderr, /^ {2}bunnydb wait shop --for resync=public\.users$/m);
  assert.match(stderr, /^ {2}bunnydb wait shop --for resync='public\."a\.b"'$/m);
  const after = before
    .replace('resyncGeneration: 3   # after', 'resyncGeneration: 4   # after')
    .replace('- secret # not here\n', '- secret # not here\n      resyncGeneration: 1\n');
  assert.equal(await folder.text(), after);
  assert.equal((await runCommand(['validate', folder.dir])).code, 0);
  assert.deepEqual((await readdir(folder.dir)).sort(), ['from.yaml', 'shop.yaml', 'to.yaml']);
});

test('--all raises the mirror’s own counter alone', async () => {
  await using folder = await Folder.create(`  resyncGeneration: 6 # of all\n${LINES}`);
  const { code, stdout, stderr } = await folder.command('resync', 'shop', '--all');
  assert.equal(code, 0, stderr);
  assert.equal(stdout, `shop: resyncGeneration 6 -> 7 in ${folder.file}\n`);
  assert.match(stderr, /^ {2}bunnydb wait shop$/m);
  assert.equal(await folder.text(), folder.before.replace('6 # of all', '7 # of all'));
});

test('a counter that was reverted goes above what was done', async () => {
  await using folder = await Folder.create();
  await folder.writeStatus({
    resyncGeneration: { desired: 0, observed: 12 },
    tables: [
      { source: 'public.orders', resyncGeneration: { desired: 0, observed: 5 } },
      { source: 'public.users', resyncGeneration: { desired: 3, observed: 2 } },
      { source: 'public."a.b"', resyncGeneration: { desired: 0 } },
    ],
  });
  const tables = await folder.command('resync', 'shop', 'public.orders', 'public.users');
  assert.equal(
    tables.stdout,
    `public.users: resyncGeneration 3 -> 4 in ${folder.file}\npublic.orders: resyncGeneration 0 -> 6 in ${folder.file}\n`,
  );
  assert.doesNotMatch(tables.stderr, /note:/);
  const all = await folder.command('resync', 'shop', '--all');
  assert.equal(all.stdout, `shop: resyncGeneration 0 -> 13 in ${folder.file}\n`);
  assert.match(
    await folder.text(),
    /\{source: public\.orders, resyncGeneration: 6\}[^]*\n {2}resyncGeneration: 13\n$/,
  );
});

test('a status file that is no status is passed over, with a word', async () => {
  await using folder = await Folder.create();
  await folder.writeStatus({ tables: 'none' });
  const { code, stderr } = await folder.command('resync', 'shop', 'public.orders');
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^note: no status/m);
});

test('a link is followed, mode and link stay', async () => {
  await using folder = await Folder.create();
  await using elsewhere = await Folder.create();
  const target = join(elsewhere.dir, 'real.yml.txt');
  await writeFile(target, elsewhere.before);
  await chmod(target, 0o640);
  await rm(folder.file);
  await symlink(target, folder.file);
  const { code, stderr } = await folder.command('resync', 'shop', 'public.users');
  assert.equal(code, 0, stderr);
  assert.ok((await lstat(folder.file)).isSymbolicLink());
  assert.equal((await stat(target)).mode & 0o777, 0o640);
  assert.equal(await readFile(target, 'utf8'), elsewhere.before.replace('3   #', '4   #'));
});

test('what is not clear changes nothing', async () => {
  await using folder = await Folder.create();
  const typo = await folder.command('resync', 'shop', 'public.users', 'public.oders');
  assert.equal(typo.code, 64);
  assert.match(typo.stderr, /shop has no table public\.oders; did you mean public\.orders\?/);
  for (const args of [['shop'], ['shop', 'public.users', '--all']]) {
    const { code, stderr } = await folder.command('resync', ...args);
    assert.equal(code, 64);
    assert.match(stderr, /name tables, or give --all/);
  }
  const nobody = await folder.command('resync', 'shoop', '--all');
  assert.equal(nobody.code, 3);
  assert.match(nobody.stderr, /no mirror shoop in/);
  await folder.assertUntouched();
});

test('an invalid file is told with its places, and stays', async () => {
  await using folder = await Folder.create(
    LINES.replace('source: public.orders', 'sorce: public.orders'),
  );
  const { code, stdout, stderr } = await folder.command('resync', 'shop', 'public.users');
  assert.equal(code, 3);
  assert.equal(stdout, '');
  assert.match(stderr, /shop\.yaml:12:8: .*sorce/);
  await folder.assertUntouched();
});

test('a counter at its end is not raised', async () => {
  await using folder = await Folder.create(LINES.replace(': 3   #', ': 9007199254740991   #'));
  const { code, stderr } = await folder.command('resync', 'shop', 'public.users');
  assert.equal(code, 1);
  assert.match(stderr, /public\.users: resyncGeneration cannot go higher than 9007199254740991/);
  await folder.assertUntouched();
});

test('a file that somebody saved meanwhile is theirs', async () => {
  await using folder = await Folder.create();
  await assert.rejects(
    replaceUnchanged(folder.file, Buffer.from('what was read before'), 'ours'),
    (error: unknown) =>
      error instanceof MirrorError && /changed by somebody else meanwhile/.test(error.message),
  );
  await folder.assertUntouched();
});
