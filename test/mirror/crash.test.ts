/** kill -9 of the daemon at random moments while applications write: nothing lost, nothing doubled. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { sharedClusters } from '../servers/shared.ts';
import { leftovers, slotCount } from './leftovers.ts';
import { TestMirror } from './test-mirror.ts';
import { Writers, type Transaction } from './writers.ts';

const KILLS = 20;
const WRITERS = 5;
/** The longest a daemon lives: some are killed before they stream, some in a copy, some in the middle of a batch. */
const MAX_LIFE_MS = 1_800;

const SETUP = /* sql */ `
create table accounts (id int primary key, balance bigint not null, note text, version int not null default 0);
alter table accounts alter column note set storage external;
insert into accounts select g, 1000, repeat(md5(g::text), 200), 0 from generate_series(1, 2000) g;
create table history (writer int, round int, at timestamptz default clock_timestamp());
alter table history replica identity full;
create table codes (code text primary key, owner int, unique (owner));
create table bulk (id bigint primary key, payload text);
insert into bulk select g, md5(g::text) from generate_series(1, 60000) g;
`;
const TABLES = ['accounts', 'history', 'codes', 'bulk'];

/** Touches every kind of change: keyless inserts, hot rows, TOAST left alone, key changes, deletes, savepoints. */
const transaction: Transaction = (writer, round) => {
  const from = 1 + ((writer * 397 + round * 31) % 2000);
  const to = 1 + ((writer * 211 + round * 17) % 2000);
  const own = 1_000_000 * (writer + 1) + round;
  // In the order of their ids, or two writers would wait for each other.
  const transfer = [
    { id: from, amount: -1 },
    { id: to, amount: 1 },
  ]
    .sort((a, b) => a.id - b.id)
    .map(
      ({ id, amount }) =>
        `update accounts set balance = balance + ${amount}, version = version + 1 where id = ${id}`,
    );
  return [
    `insert into history (writer, round) values (${writer}, ${round})`,
    ...transfer,
    `insert into codes values ('w${writer}-${round}', ${own})`,
    ...(round % 5 === 4
      ? [`update codes set code = code || 'x' where code = 'w${writer}-${round - 1}'`]
      : []),
    ...(round % 7 === 6 ? [`delete from codes where code = 'w${writer}-${round - 3}'`] : []),
    `insert into bulk values (${own}, 'payload ${round}')`,
    'savepoint half',
    `delete from bulk where id = ${own - 10}`,
    ...(round % 3 === 0 ? ['rollback to savepoint half'] : []),
    ...(round % 50 === 49
      ? [
          `update bulk set payload = payload || '.' where id between ${10_000 * writer + 1} and ${10_000 * writer + 3000}`,
        ]
      : []),
  ];
};

test('kill -9 at any moment, many times, under concurrent writers', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const spec = (bulk: number, accounts: number): Parameters<TestMirror['write']>[0] => ({
    snapshot: { rowsPerPartition: 5000, maxParallelWorkers: 2 },
    tables: [
      { source: 'public.accounts', resyncGeneration: accounts },
      { source: 'public.history' },
      { source: 'public.codes' },
      { source: 'public.bulk', resyncGeneration: bulk },
    ],
  });
  await mirror.write(spec(0, 0));
  await using writers = await Writers.start(mirror.source, WRITERS, transaction);
  for (let kill = 0; kill < KILLS; kill += 1) {
    await mirror.start();
    await delay(Math.random() * MAX_LIFE_MS);
    if (kill % 4 === 2) await mirror.write(spec(kill, Math.floor(kill / 2)));
    await mirror.kill();
  }
  await mirror.start();
  // Ready with everybody still writing: it converges under load, not only after it.
  await mirror.waitReady();
  const rounds = await writers.stop();
  await mirror.caughtUp();
  await mirror.assertSame(TABLES);
  const [history] = await mirror.atDestination('select count(*) as rows from history');
  assert.equal(Number(history?.['rows']), rounds);
  await mirror.assertNothingToDo();
  assert.deepEqual(await leftovers(mirror), []);
  assert.equal(await slotCount(mirror), 1);
});
