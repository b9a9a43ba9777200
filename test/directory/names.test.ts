/** Which mirror a file is: renames, copies, two that want one table. Who runs goes on. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Folder, GRACE_MS, mirrorFile, PEER } from './folder.ts';

const SHOP = mirrorFile('shop', ['users', 'orders']);

/** The first reason why a mirror is not taken. */
function refusal({ last }: Folder, name: string): string {
  return last.rejected.get(name)?.[0]?.text ?? '';
}

test('a mirror that is renamed is a removal, and then a new one', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP, 'from.yaml': PEER });
  await folder.look();
  folder.write('shop.yaml', mirrorFile('store', ['users', 'orders']));
  await folder.look();
  assert.deepEqual(folder.sketch(), ['shop missing [users orders]']);
  assert.deepEqual([...folder.last.rejected.keys()], ['store']);
  assert.match(refusal(folder, 'store'), /this file was mirror shop, which is not removed yet$/);
  await folder.look(GRACE_MS);
  assert.deepEqual(folder.sketch(), ['shop removed [users orders]']);
  await folder.look(GRACE_MS);
  assert.deepEqual(
    folder.sketch(),
    ['shop removed [users orders]'],
    'it takes as long as it takes',
  );
  folder.known = new Map();
  await folder.look();
  assert.deepEqual(folder.sketch(), ['store present [users orders]']);
});

test('a mirror that is renamed in a new file waits too: both would write the same tables', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP, 'from.yaml': PEER });
  await folder.look();
  folder.remove('shop.yaml');
  folder.write('store.yaml', mirrorFile('store', ['users', 'orders']));
  await folder.look();
  assert.deepEqual(folder.sketch(), ['shop missing [users orders]']);
  assert.match(refusal(folder, 'store'), /public.users is still written by mirror shop/);
});

test('the name of a mirror moves to another file while its own file takes a new name', async (t) => {
  const folder = Folder.with(t, { 'a.yaml': SHOP });
  await folder.look();
  folder.write('b.yaml', SHOP);
  folder.write('a.yaml', mirrorFile('crm', ['leads']));
  await folder.look();
  assert.deepEqual(folder.sketch(), ['shop present [users orders]', 'crm present [leads]']);
});

test('a copied file: who runs goes on with its last good spec, and says which file is in the way', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP });
  await folder.look();
  folder.write('00-shop.yaml', mirrorFile('shop', ['nothing']));
  await folder.look();
  await folder.look(10 * GRACE_MS);
  assert.deepEqual(folder.sketch(), ['shop present [users orders] DuplicateName']);
  const problem = folder.known.get('shop')?.problems[0]?.text ?? '';
  assert.match(problem, /00-shop.yaml:3:18: Mirror shop is also in \S+shop.yaml:3/);
  folder.remove('00-shop.yaml');
  await folder.look();
  assert.deepEqual(folder.sketch(), ['shop present [users orders]']);
});

test('two new files of one name: neither is taken, and both are told', async (t) => {
  const folder = Folder.with(t, { 'a.yaml': SHOP, 'b.yaml': SHOP });
  await folder.look();
  assert.deepEqual(folder.sketch(), []);
  const reasons = folder.last.rejected.get('shop')?.map(({ reason }) => reason);
  assert.deepEqual(reasons, ['DuplicateName', 'DuplicateName']);
});

test('a second mirror that writes a table of one that runs is refused, and the first goes on', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP });
  await folder.look();
  folder.write('crm.yaml', mirrorFile('crm', ['leads', 'users']));
  await folder.look();
  assert.deepEqual(folder.sketch(), ['shop present [users orders] SemanticInvalid']);
  assert.match(refusal(folder, 'crm'), /public.users is written by mirror shop too/);
  folder.write('shop.yaml', 'kind: [');
  await folder.look();
  const expected = ['shop present [users orders] SchemaInvalid', 'crm present [leads] Unsettled'];
  assert.deepEqual(folder.sketch(), expected, 'also when its file cannot be read at the moment');
});

test('a table moves from one mirror to another in one commit: first it is let go, then taken', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SHOP, 'crm.yaml': mirrorFile('crm', ['leads']) });
  await folder.look();
  folder.write('shop.yaml', mirrorFile('shop', ['orders']));
  folder.write('crm.yaml', mirrorFile('crm', ['leads', 'users']));
  const crm = 'crm present [leads] Unsettled';
  await folder.look();
  assert.deepEqual(folder.sketch(), [crm, 'shop present [orders users] -[users]']);
  await folder.look(GRACE_MS);
  assert.deepEqual(folder.sketch(), [crm, 'shop present [orders]']);
  assert.equal(folder.last.againMs, 500);
  await folder.look();
  assert.deepEqual(folder.sketch(), ['crm present [leads users]', 'shop present [orders]']);
});

test('two mirrors change their tables over', async (t) => {
  const folder = Folder.with(t, {
    'a.yaml': mirrorFile('a', ['x', 'z']),
    'b.yaml': mirrorFile('b', ['y', 'w']),
  });
  await folder.look();
  folder.write('a.yaml', mirrorFile('a', ['y', 'z']));
  folder.write('b.yaml', mirrorFile('b', ['x', 'w']));
  await folder.look();
  const between = ['a present [z x] -[x] Unsettled', 'b present [w y] -[y] Unsettled'];
  assert.deepEqual(folder.sketch(), between);
  await folder.look(GRACE_MS);
  await folder.look();
  assert.deepEqual(folder.sketch(), ['a present [y z]', 'b present [x w]']);
});

test('a name that no status file can have is not one', async (t) => {
  const folder = Folder.with(t, { 'a.yaml': SHOP.replace('shop}', '../../shop}') });
  await folder.look();
  assert.equal(folder.last.rejected.size, 0);
});
