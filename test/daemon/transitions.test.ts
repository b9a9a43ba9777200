import assert from 'node:assert/strict';
import test from 'node:test';
import { transitions, type Told } from '../../src/daemon/directory/transitions.ts';
import { Folder, GRACE_MS, mirrorFile, PEER } from '../directory/folder.ts';

test('a line for each transition, and none for a state that lasts', async (t) => {
  const folder = Folder.with(t, {
    'shop.yaml': mirrorFile('shop', ['users', 'orders']),
    'from.yaml': PEER,
  });
  let before: Told = { known: new Map(), rejected: new Map(), look: undefined };
  const look = async (afterMs: number): Promise<string[]> => {
    const { known, rejected } = await folder.look(afterMs);
    const after = { known, rejected, look: (await folder.reader.look()).look };
    const all = transitions(before, after);
    before = after;
    return all.map(({ level, fields, message }) =>
      `${level} ${fields.mirror ?? '-'} ${message.replaceAll(`${folder.dir}/`, '')}`.slice(0, 50),
    );
  };
  const lines = async (afterMs = 0): Promise<string[]> => {
    const found = await look(afterMs);
    assert.deepEqual(await look(0), [], 'the same once more');
    return found;
  };
  assert.deepEqual(await lines(), []);
  folder.write('shop.yaml', 'kind: [');
  assert.deepEqual((await lines()).length, 1);
  folder.write('shop.yaml', mirrorFile('shop', ['orders']));
  assert.deepEqual(await lines(), [
    'info shop not in the file now; retired when that w',
    'info shop its file is valid again',
  ]);
  folder.remove('shop.yaml');
  assert.deepEqual(await lines(), ['warn shop no file has mirror shop now (it was shop']);
  assert.deepEqual(await lines(GRACE_MS), ['warn shop the removal grace is over: the mirror is']);
  folder.write('shop.yaml', mirrorFile('shop', ['orders', 'users']));
  assert.deepEqual(await lines(), ['info shop its file is back']);
  folder.write('crm.yaml', mirrorFile('crm', ['users']));
  assert.equal((await lines()).length, 2, 'both are told');
  folder.remove('crm.yaml');
  assert.deepEqual(await lines(), ['info shop its file is valid again']);
  folder.write('from.yaml', PEER.replace('user: bunny', 'usr: bunny'));
  assert.ok((await lines()).every((line) => line.startsWith('warn - from.yaml:4:')));
  folder.remove('from.yaml');
  folder.remove('shop.yaml');
  assert.match((await lines())[0] ?? '', /^warn shop no file has mirror shop now/);
  folder.remove('');
  assert.deepEqual(
    (await lines()).map((line) => line.slice(0, 30)),
    ['warn - cannot read the directo', 'warn shop cannot read the dire'],
  );
});
