/** What is left out of a table is not kept in its spool either: the messages, without those values. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { positionsOf, withoutColumns } from '../../src/stream/without-columns.ts';
import { type Cell, changesOf, insert, relation, remove, UNCHANGED, update } from './pgoutput.ts';

const T = relation({ id: 1, name: 't', columns: ['id*', 'secret', 'v', 'pin'] });

function stripped(message: Buffer, ...names: string[]): Buffer {
  const [change] = changesOf([T, message]);
  assert.ok(change && change.tag !== 'truncate');
  return withoutColumns(change, positionsOf(change.relation, names));
}

const row = (secret: Cell, pin: Cell): Cell[] => ['1', secret, 'kept', pin];

test('a row comes and goes with NULL, and one that changes leaves the column as it is', () => {
  const names = ['pin', 'secret', 'unknown'];
  assert.deepEqual(stripped(insert(1, row('s', 'p')), ...names), insert(1, row(null, null)));
  assert.deepEqual(
    stripped(remove(1, row('s', 'p'), 'O'), ...names),
    remove(1, row(null, null), 'O'),
  );
  assert.deepEqual(
    stripped(update(1, row('s', 'p'), { kind: 'O', cells: row('old', 'older') }), ...names),
    update(1, row(UNCHANGED, UNCHANGED), { kind: 'O', cells: row(null, null) }),
  );
  assert.deepEqual(stripped(update(1, row('', 'p')), 'secret'), update(1, row(UNCHANGED, 'p')));
});

test('what has no value there is the message that came, and so is one of a table that leaves nothing out', () => {
  for (const message of [
    insert(1, row(null, 'p')),
    update(1, row(UNCHANGED, 'p')),
    remove(1, ['1', null, null, null]),
  ])
    assert.equal(stripped(message, 'secret'), message);
  const message = insert(1, row('s', 'p'));
  assert.equal(stripped(message), message);
});
