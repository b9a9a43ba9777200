/** Absence is not intent: what a directory can do without anything being removed, and what removes. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'node:test';
import { Folder, GRACE_MS, mirrorFile, PEER } from './folder.ts';

const SHOP = mirrorFile('shop', ['users', 'orders']);
const RUNNING = ['shop present [users orders]'];
const MISSING = ['shop missing [users orders]'];
const LOST = ['shop lost [users orders]'];
const REMOVED = ['shop removed [users orders]'];

test('a file that is gone is removed when every look over the whole grace said so', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP, 'from.yaml': PEER });
  await folder.look();
  folder.remove('shop.yaml');
  const { againMs } = await folder.look();
  assert.deepEqual(folder.sketch(), MISSING);
  assert.equal(againMs, GRACE_MS);
  const why = folder.why('shop');
  assert.match(
    why,
    /shop.yaml\); the mirror is removed when that was so for the whole removal grace$/,
  );
  await folder.look(GRACE_MS - 1);
  assert.deepEqual(folder.sketch(), MISSING);
  assert.equal(folder.why('shop'), why, 'no countdown');
  await folder.look(1);
  assert.deepEqual(folder.sketch(), REMOVED);
  assert.equal(folder.last.againMs, undefined);
});

test('the look that sees it first never removes', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP, 'from.yaml': PEER });
  await folder.look();
  folder.remove('shop.yaml');
  await folder.look(100 * GRACE_MS);
  assert.deepEqual(folder.sketch(), MISSING);
});

test('a file that comes back is as if nothing had been, also when the removal was under way', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP, 'from.yaml': PEER });
  for (const waitMs of [GRACE_MS - 1, 10 * GRACE_MS]) {
    await folder.look();
    folder.remove('shop.yaml');
    await folder.look();
    await folder.look(waitMs);
    folder.write('other-name.yaml', SHOP);
    await folder.look();
    assert.deepEqual(folder.sketch(), RUNNING);
    folder.remove('other-name.yaml');
    await folder.look(GRACE_MS);
    assert.deepEqual(folder.sketch(), MISSING, 'the grace begins anew');
    folder.write('shop.yaml', SHOP);
  }
});

test('renaming the file does nothing', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP });
  await folder.look();
  renameSync(join(folder.dir, 'shop.yaml'), join(folder.dir, '10-shop.yml'));
  await folder.look();
  assert.deepEqual(folder.sketch(), RUNNING);
  assert.equal(folder.known.get('shop')?.mirror.file, join(folder.dir, '10-shop.yml'));
});

test('an empty directory is a lost mount; a Peer alone is not', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP });
  await folder.look();
  folder.remove('shop.yaml');
  folder.write('README.md', 'no mirror file');
  await folder.look();
  await folder.look(10 * GRACE_MS);
  assert.deepEqual(folder.sketch(), LOST);
  assert.match(
    folder.why('shop'),
    /has no mirror file, which is taken for a lost mount: leave one in it, a Peer will do$/,
  );
  assert.equal(folder.last.againMs, undefined, 'nothing is counted');
  folder.write('from.yaml', PEER);
  await folder.look();
  assert.deepEqual(folder.sketch(), MISSING);
  await folder.look(GRACE_MS);
  assert.deepEqual(folder.sketch(), REMOVED);
});

test('a directory that is gone, a file in its place, links that lead nowhere', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP });
  await folder.look();
  renameSync(folder.dir, `${folder.dir}.away`);
  const inItsPlace = [
    () => undefined,
    () => symlinkSync(folder.dir, folder.dir),
    () => symlinkSync('nowhere', folder.dir),
    () => symlinkSync(`${folder.dir}.away/shop.yaml`, folder.dir),
  ];
  for (const put of inItsPlace) {
    put();
    await folder.look();
    await folder.look(10 * GRACE_MS);
    assert.deepEqual(folder.sketch(), LOST);
    assert.match(folder.why('shop'), /^cannot read the directory .*; nothing is removed until/);
    rmSync(folder.dir, { force: true });
  }
  renameSync(`${folder.dir}.away`, folder.dir);
  await folder.look();
  assert.deepEqual(folder.sketch(), RUNNING);
});

const UNCLEAR: Readonly<Record<string, (path: string) => void>> = {
  'a directory': (path) => mkdirSync(path),
  'a link to nowhere': (path) => symlinkSync('nowhere', path),
  'a link to itself': (path) => symlinkSync(path, path),
};

for (const [what, put] of Object.entries(UNCLEAR))
  test(`${what} in the place of one file: it runs on, and nothing else is removed`, async (t) => {
    const folder = Folder.with(t, { 'shop.yaml': SHOP, 'crm.yaml': mirrorFile('crm', ['leads']) });
    await folder.look();
    folder.remove('shop.yaml');
    folder.remove('crm.yaml');
    put(join(folder.dir, 'shop.yaml'));
    await folder.look();
    await folder.look(10 * GRACE_MS);
    assert.deepEqual(folder.sketch().toSorted(), [
      'crm lost [leads]',
      'shop present [users orders] SchemaInvalid',
    ]);
    assert.match(folder.why('crm'), /nothing is removed while \S+shop.yaml cannot be made out$/);
  });

/** `nobody`: root may read everything. */
const NOBODY = 65_534;

test('a file that may not be read: it runs on', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP, 'from.yaml': PEER });
  for (const open of [dirname(folder.dir), folder.dir]) chmodSync(open, 0o755);
  await folder.look();
  chmodSync(join(folder.dir, 'shop.yaml'), 0);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.(NOBODY);
  await folder.look(10 * GRACE_MS).finally(() => isRoot && process.seteuid?.(0));
  assert.deepEqual(folder.sketch(), ['shop present [users orders] SchemaInvalid']);
  const [problem] = folder.known.get('shop')?.problems ?? [];
  assert.match(problem?.text ?? '', /shop\.yaml:1:1: .*permission denied/);
});

for (const text of ['', 'kind: [', '# all gone\n', 'kind: Mirror\n', '\u0000', 'a: 1\n---\nb: 2\n'])
  test(`a file that says ${JSON.stringify(text)}: the last good spec runs on`, async (t) => {
    const folder = Folder.with(t, { 'shop.yaml': SHOP });
    await folder.look();
    folder.write('shop.yaml', text);
    await folder.look();
    await folder.look(10 * GRACE_MS);
    assert.deepEqual(folder.sketch(), ['shop present [users orders] SchemaInvalid']);
    folder.write('shop.yaml', mirrorFile('shop', ['users', 'orders', 'items']));
    await folder.look();
    assert.deepEqual(folder.sketch(), ['shop present [users orders items]']);
  });

test('one look that cannot tell lets the grace begin anew', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP, 'from.yaml': PEER });
  await folder.look();
  folder.remove('shop.yaml');
  const doubts: (() => Promise<unknown>)[] = [
    async () => {
      folder.write('half.yaml', 'kind: Mirr');
      await folder.look(GRACE_MS / 2);
      folder.remove('half.yaml');
    },
    async () => folder.take({ kind: 'unsettled' }, GRACE_MS / 2),
    async () => folder.take({ kind: 'unreadable', message: 'no' }, GRACE_MS / 2),
  ];
  for (const doubt of doubts) {
    await folder.look();
    await doubt();
    await folder.look(GRACE_MS / 2);
    await folder.look(GRACE_MS - 1);
    assert.deepEqual(folder.sketch(), MISSING);
  }
  await folder.look(1);
  assert.deepEqual(folder.sketch(), REMOVED);
});

test('a table that is taken out leaves after the grace, and is told meanwhile', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': mirrorFile('shop', ['users', 'orders', 'items']) });
  await folder.look();
  folder.write('shop.yaml', mirrorFile('shop', ['users', 'items']));
  assert.equal((await folder.look()).againMs, GRACE_MS);
  assert.deepEqual(folder.sketch(), ['shop present [users items orders] -[orders]']);
  await folder.look(GRACE_MS - 1);
  assert.deepEqual(folder.sketch(), ['shop present [users items orders] -[orders]']);
  await folder.look(1);
  assert.deepEqual(folder.sketch(), ['shop present [users items]']);
});

test('a table that comes back, a broken file meanwhile, and one more that is taken out', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': mirrorFile('shop', ['users', 'orders', 'items']) });
  await folder.look();
  folder.write('shop.yaml', mirrorFile('shop', ['orders', 'items']));
  await folder.look();
  folder.write('shop.yaml', mirrorFile('shop', ['items']));
  await folder.look(GRACE_MS / 2);
  assert.deepEqual(folder.sketch(), ['shop present [items orders users] -[orders users]']);
  await folder.look(GRACE_MS / 2);
  assert.deepEqual(folder.sketch(), ['shop present [items orders] -[orders]']);
  folder.write('shop.yaml', 'kind: [');
  await folder.look(GRACE_MS);
  assert.deepEqual(folder.sketch(), ['shop present [items orders] -[orders] SchemaInvalid']);
  folder.write('shop.yaml', mirrorFile('shop', ['items']));
  await folder.look(GRACE_MS);
  assert.deepEqual(folder.sketch(), ['shop present [items orders] -[orders]'], 'it begins anew');
  folder.write('shop.yaml', mirrorFile('shop', ['items', 'orders']));
  await folder.look();
  assert.deepEqual(folder.sketch(), ['shop present [items orders]']);
});

test('a table under another name is a change, and not an absence', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP });
  await folder.look();
  const under = (source: string): string =>
    SHOP.replace('public.users', `${source}\n      destination: copy.users`);
  folder.write('shop.yaml', under('public.users'));
  await folder.look();
  const orders = 'shop public.orders>public.orders';
  assert.deepEqual(folder.rows(), ['shop public.users>copy.users', orders]);
  folder.write('shop.yaml', under('crm.users'));
  await folder.look();
  assert.deepEqual(folder.rows(), ['shop crm.users>copy.users', orders]);
});

test('a suspended mirror is never removed, and says what to do', async (t) => {
  const suspended = mirrorFile('shop', ['users'], '  suspend: true\n');
  const folder = Folder.with(t, { 'shop.yaml': suspended, 'from.yaml': PEER });
  await folder.look();
  folder.remove('shop.yaml');
  await folder.look();
  await folder.look(10 * GRACE_MS);
  assert.deepEqual(folder.sketch(), ['shop lost [users]']);
  assert.match(folder.why('shop'), /put the file back without suspend, then remove it$/);
  folder.write('shop.yaml', mirrorFile('shop', ['users']));
  await folder.look();
  folder.remove('shop.yaml');
  await folder.look();
  await folder.look(GRACE_MS);
  assert.deepEqual(folder.sketch(), ['shop removed [users]']);
});

test('a removal under way is not taken back by a broken file without its name', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP, 'from.yaml': PEER });
  await folder.look();
  folder.remove('shop.yaml');
  await folder.look();
  await folder.look(GRACE_MS);
  folder.write('shop.yaml', 'kind: [');
  await folder.look();
  assert.deepEqual(folder.sketch(), REMOVED);
  folder.write('shop.yaml', SHOP.replace('tables', 'tabels'));
  await folder.look();
  assert.deepEqual(folder.sketch(), ['shop present [users orders] SchemaInvalid']);
});
