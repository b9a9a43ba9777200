/** An edit that looks like a half-saved file: what holds it, for how long, and what it says meanwhile. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parseApplied, renderApplied } from '../../src/daemon/directory/applied.ts';
import { intentOf } from '../../src/daemon/directory/known-mirror.ts';
import { Folder, GRACE_MS, mirrorFile, PEER } from './folder.ts';

const RETAIN = mirrorFile('shop', ['users', 'orders']);
const DELETE = `${RETAIN}  deletionPolicy: Delete\n`;
const SUSPENDED = `${RETAIN}  suspend: true\n`;
const BROKEN = { 'x.yaml': 'foo: [\n' };

function policy(folder: Folder): string | undefined {
  const known = folder.known.get('shop');
  return known && intentOf(known).mirror.deletionPolicy;
}

/** The daemon starts again. */
function restart(folder: Folder): void {
  folder.known = new Map(
    [...folder.known].map(([name, known]) => {
      const read = parseApplied(name, renderApplied(known));
      assert.ok(read);
      return [name, read];
    }),
  );
}

test('Retain that was merged is what a removal does, also when it was still held', async (t) => {
  const between: Readonly<Record<string, (folder: Folder) => Promise<unknown>>> = {
    nothing: async () => undefined,
    'a restart': async (folder) => restart(folder),
    'a file that cannot be read': async (folder) => {
      folder.write('shop.yaml', 'foo: [\n');
      await folder.look();
      restart(folder);
      await folder.look();
    },
  };
  for (const [what, happen] of Object.entries(between)) {
    const folder = Folder.with(t, { 'shop.yaml': DELETE, 'from.yaml': PEER });
    await folder.look();
    assert.equal(policy(folder), 'Delete', what);
    folder.write('shop.yaml', RETAIN);
    await folder.look();
    assert.deepEqual(folder.sketch(), ['shop present [users orders] Unsettled'], what);
    await happen(folder);
    folder.remove('shop.yaml');
    await folder.look();
    await folder.look(GRACE_MS);
    assert.deepEqual(folder.sketch(), ['shop removed [users orders]'], what);
    assert.equal(policy(folder), 'Retain', what);
    restart(folder);
    assert.equal(policy(folder), 'Retain', `${what}, and the removal goes on after a restart`);
  }
});

test('a file that was cut for a moment and is whole again deletes as it says', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': DELETE, 'from.yaml': PEER });
  await folder.look();
  folder.write('shop.yaml', RETAIN);
  await folder.look();
  folder.write('shop.yaml', DELETE);
  await folder.look();
  folder.remove('shop.yaml');
  await folder.look();
  await folder.look(GRACE_MS);
  assert.equal(policy(folder), 'Delete');
});

test('a broken file elsewhere holds no edit of another mirror back', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SUSPENDED, ...BROKEN });
  await folder.look();
  folder.write('shop.yaml', RETAIN);
  await folder.look();
  assert.equal(folder.last.againMs, GRACE_MS);
  await folder.look(GRACE_MS - 1);
  assert.equal(folder.known.get('shop')?.mirror.suspend, true);
  await folder.look(1);
  assert.equal(folder.known.get('shop')?.mirror.suspend, false);
  assert.deepEqual(folder.sketch(), ['shop present [users orders]']);
});

test('what an edit leaves out while a file cannot be read leaves when all can be', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': RETAIN, ...BROKEN });
  await folder.look();
  folder.write('shop.yaml', mirrorFile('shop', ['users']));
  await folder.look();
  await folder.look(GRACE_MS);
  await folder.look(10 * GRACE_MS);
  assert.deepEqual(folder.sketch(), ['shop present [users orders] -[orders]']);
  folder.remove('x.yaml');
  await folder.look();
  await folder.look(GRACE_MS);
  assert.deepEqual(folder.sketch(), ['shop present [users]']);
});

test('an edit that was held while a file could not be read: its table has the grace to itself', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': SUSPENDED, ...BROKEN });
  await folder.look();
  folder.write('shop.yaml', mirrorFile('shop', ['users']));
  await folder.look();
  folder.remove('x.yaml');
  await folder.look(GRACE_MS - 1);
  await folder.look(1);
  assert.deepEqual(folder.sketch(), ['shop present [users orders] -[orders]']);
  await folder.look(GRACE_MS - 1);
  assert.deepEqual(folder.sketch(), ['shop present [users]']);
});

test('the file that looks cut off is named: the mirror, or the peer', async (t) => {
  const whole = RETAIN.replace(/source: \{.*/, 'source: from');
  const suspended = `${whole}  suspend: true\n`;
  const peer = PEER.replace('user: bunny', 'user: bunny, port: 5433');
  const problems = (folder: Folder): string[] =>
    (folder.known.get('shop')?.problems ?? []).map(({ text }) =>
      text.replace(`${folder.dir}/`, '').replace(/ as of a file.*/, ''),
    );
  const folder = Folder.with(t, { 'shop.yaml': suspended, 'prod.yaml': peer });
  await folder.look();
  folder.write('prod.yaml', PEER);
  await folder.look();
  assert.deepEqual(problems(folder), [
    'prod.yaml:1:1: this is the beginning of what was here before,',
  ]);
  folder.write('prod.yaml', peer);
  folder.write('shop.yaml', whole);
  await folder.look();
  assert.deepEqual(problems(folder), [
    'shop.yaml:1:1: this is the beginning of what was here before,',
  ]);
});
