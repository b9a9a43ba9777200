/** A table that is moved or dropped while it is looked at. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classify, MirrorError } from '../../src/core/errors.ts';
import { withoutPrefix } from '../../src/observe/constraints.ts';
import { text } from '../../src/observe/read.ts';
import { lookUntilWhole } from '../../src/observe/torn-look.ts';
import { mirrorTable, startPair } from '../execute/pair.ts';

function fromServer(code: string, message: string): MirrorError {
  return classify(Object.assign(new Error(message), { code }));
}

const MOVED: readonly (() => never)[] = [
  () => {
    throw fromServer('XX000', 'could not open relation with OID 16384');
  },
  () => {
    throw fromServer('42P01', 'relation "public.t" does not exist');
  },
  () => assert.fail(withoutPrefix('CREATE INDEX i ON old.t', 'CREATE INDEX i ON public.t')),
  () => assert.fail(text({ index: null }, 'index')),
];

test('a look that something was moved under is made again, five times at most; any other error is thrown', async () => {
  for (const move of MOVED) {
    let looks = 0;
    const found = await lookUntilWhole(async () => (++looks < 5 ? move() : 'whole'));
    assert.deepEqual([found, looks], ['whole', 5]);
    looks = 0;
    const for5 = async (): Promise<never> => {
      looks += 1;
      return move();
    };
    await assert.rejects(lookUntilWhole(for5), (error: unknown) => {
      assert.ok(error instanceof MirrorError);
      assert.match(
        error.message,
        /^5 looks at the tables in a row found one of them moved or dropped/,
      );
      assert.match(error.hint, /tried again/);
      return true;
    });
    assert.equal(looks, 5);
  }
  let looks = 0;
  const locked = fromServer('55P03', 'canceling statement due to lock timeout');
  await assert.rejects(
    lookUntilWhole(async () => {
      looks += 1;
      throw locked;
    }),
    locked,
  );
  assert.equal(looks, 1);
});

test('a table that is dropped between two queries of a look is not there', async () => {
  await using pair = await startPair([mirrorTable('public.t')]);
  await pair.onSource('create table public.t (id int primary key)');
  await pair.onDestination('create table public.t (id int primary key)');
  const query = pair.destination.query.bind(pair.destination);
  let drops = 0;
  pair.destination.query = async (sql, ...rest) => {
    if (sql.includes('has_rows') && drops === 0) {
      drops += 1;
      await query('drop table public.t');
    }
    return query(sql, ...rest);
  };
  const [look] = (await pair.observe()).tables;
  assert.equal(drops, 1);
  assert.ok(look);
  assert.equal(look.destinationShape, undefined);
  assert.equal(look.destinationHasRows, undefined);
});
