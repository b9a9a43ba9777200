/** An edit of what was copied means nothing under: the last good spec runs on until somebody says yes. */
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { parseApplied, renderApplied } from '../../src/daemon/directory/applied.ts';
import { Folder, GRACE_MS, mirrorFile, PEER } from './folder.ts';

const FILE = mirrorFile('shop', ['a', 'b']);
const EDITS = {
  'spec.publication': mirrorFile('shop', ['a', 'b'], '  publication: theirs\n'),
  'spec.source.database': FILE.replace('database: shop', 'database: shop2'),
  'spec.destination.database': FILE.replace(
    'host: copy.internal, database: shop',
    'host: copy.internal, database: shop2',
  ),
};

async function established(t: TestContext): Promise<Folder> {
  const folder = Folder.with(t, { 'from.yaml': PEER, 'shop.yaml': FILE });
  await folder.look();
  folder.known = new Map(
    [...folder.known].map(([name, known]) => [name, { ...known, isEstablished: true }]),
  );
  return folder;
}

function raised(text: string): string {
  return text.replace('spec:\n', 'spec:\n  resyncGeneration: 1\n');
}

for (const [field, text] of Object.entries(EDITS))
  test(`${field} of an established mirror is refused until it is acknowledged`, async (t) => {
    const folder = await established(t);
    const before = folder.known.get('shop')?.mirror;
    folder.write('shop.yaml', text);
    for (const ms of [0, GRACE_MS, GRACE_MS]) {
      await folder.look(ms);
      const known = folder.known.get('shop');
      assert.equal(known?.mirror, before);
      assert.deepEqual(known?.leaving, []);
      assert.equal(known?.problems[0]?.reason, 'ImmutableFieldChanged');
      assert.match(known.problems[0].text, new RegExp(`shop.yaml:1:1: ${field} is \\w+ now`));
    }
    // What a daemon that is started now goes by.
    const known = folder.known.get('shop');
    assert.ok(known);
    const kept = parseApplied('shop', renderApplied(known));
    assert.equal(kept?.isEstablished, true);
    assert.equal(kept.mirror.specHash, before?.specHash);

    folder.write('shop.yaml', raised(text));
    await folder.look();
    const isTaken = folder.known.get('shop')?.mirror.resyncGeneration === 1;
    assert.equal(isTaken, field !== 'spec.destination.database');
    folder.write('shop.yaml', isTaken ? raised(text) : FILE);
    await folder.look();
    assert.deepEqual(folder.known.get('shop')?.problems, []);
  });

test('where nothing was made yet, a database that was misspelt is mended just so', async (t) => {
  const folder = Folder.with(t, { 'from.yaml': PEER, 'shop.yaml': FILE });
  await folder.look();
  folder.write('shop.yaml', EDITS['spec.source.database']);
  await folder.look();
  assert.equal(folder.known.get('shop')?.mirror.source.database, 'shop2');
  assert.deepEqual(folder.known.get('shop')?.problems, []);
});
