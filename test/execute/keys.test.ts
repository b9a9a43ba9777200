/** Keys, indexes and foreign keys of tables that are Live, and what a truncate takes away for a while. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { readInboundForeignKeys } from '../../src/observe/foreign-keys.ts';
import { saveForeignKey } from '../../src/postgres/ledger.ts';
import { dropForeignKeySql } from '../../src/sql/foreign-key-ddl.ts';
import { mirrorTable, name, type Pair, startPair } from './pair.ts';

const SCHEMA = `
create table public.parent (id int primary key, code text not null, note text,
  constraint code_key unique (code) deferrable);
create index note_idx on public.parent (note);
create unique index lower_idx on public.parent (lower(code));
create table public.child (id int primary key, parent int,
  constraint to_parent foreign key (parent) references public.parent (id) on delete cascade);
`;

async function livePair(): Promise<Pair> {
  const pair = await startPair([mirrorTable('public.parent'), mirrorTable('public.child')]);
  await pair.onSource(SCHEMA);
  await pair.execute();
  await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);
  return pair;
}

async function names(pair: Pair, table: number): Promise<string[]> {
  const shape = (await pair.observe()).tables[table]?.destinationShape;
  return [...(shape?.constraints ?? []), ...(shape?.indexes ?? [])].map((part) => part.name);
}

test('what was dropped by hand comes back', async () => {
  await using pair = await livePair();
  const before = await names(pair, 0);
  await pair.onDestination(`
    alter table public.child drop constraint to_parent;
    alter table public.parent drop constraint parent_pkey, drop constraint code_key;
    drop index public.note_idx, public.lower_idx;
  `);
  const outcomes = await pair.execute();
  assert.deepEqual(
    outcomes.map((outcome) => [outcome.step, outcome.changed]),
    [
      ['create-constraint', true],
      ['create-constraint', true],
      ['create-index', true],
      ['create-index', true],
      ['add-foreign-key', true],
    ],
  );
  assert.deepEqual(await names(pair, 0), before);
  assert.deepEqual((await pair.plan()).steps, []);
  const [row] = await pair.destination.query('show lock_timeout');
  assert.equal(row?.['lock_timeout'], '5s');
});

test('rows that break a key: the error says so, and no invalid index stays', async () => {
  await using pair = await livePair();
  await pair.onDestination(`
    drop index public.lower_idx;
    insert into public.parent values (1, 'a', ''), (2, 'A', '');
  `);
  await assert.rejects(
    pair.execute(),
    (error: unknown) => error instanceof MirrorError && error.code === 'ConstraintViolated',
  );
  assert.ok(!(await names(pair, 0)).includes('lower_idx'));
  // What a killed session leaves: an index that is there and not valid.
  await pair
    .onDestination('create unique index concurrently lower_idx on public.parent (lower(code))')
    .catch(() => undefined);
  assert.ok((await names(pair, 0)).includes('lower_idx'));
  await pair.onDestination('delete from public.parent where id = 2');
  await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);
});

test('foreign keys that a truncate dropped come back, valid or not as they were', async () => {
  await using pair = await livePair();
  await pair.onDestination(`
    create table public.reports (parent int, old int);
    insert into public.reports values (null, 99);
    alter table public.reports
      add constraint reports_parent foreign key (parent) references public.parent (id),
      add constraint reports_old foreign key (old) references public.parent (id) not valid;
    alter table public.parent add constraint self foreign key (id) references public.parent (id);
  `);
  const { ledger } = await pair.observe();
  const owner = { mirror: pair.mirror.name, epoch: ledger.mirror?.epoch ?? 0n };
  const inbound = await readInboundForeignKeys(pair.destination, name('public.parent'));
  assert.deepEqual(
    inbound.map((key) => `${key.owner.name} ${key.name} ${key.definition}`),
    [
      'child to_parent FOREIGN KEY (parent) REFERENCES public.parent(id) ON DELETE CASCADE',
      'reports reports_old FOREIGN KEY (old) REFERENCES public.parent(id) NOT VALID',
      'reports reports_parent FOREIGN KEY (parent) REFERENCES public.parent(id)',
    ],
  );
  await pair.destination.transaction(async () => {
    for (const key of inbound) {
      await saveForeignKey(pair.destination, owner, key);
      await pair.destination.query(dropForeignKeySql(key.owner, key.name));
    }
    await pair.destination.query('truncate public.parent');
  });
  assert.deepEqual(
    (await pair.plan()).steps.map((step) => step.kind),
    ['restore-foreign-key', 'restore-foreign-key', 'restore-foreign-key'],
  );
  await pair.execute();
  assert.deepEqual(await readInboundForeignKeys(pair.destination, name('public.parent')), inbound);
  assert.deepEqual((await pair.plan()).steps, []);
});

test('rows that break a foreign key: it is there, not valid, until they are gone', async () => {
  await using pair = await livePair();
  await pair.onDestination(`
    alter table public.child drop constraint to_parent;
    insert into public.child values (1, 7);
  `);
  const broken = (error: unknown): boolean =>
    error instanceof MirrorError && error.code === 'ConstraintViolated';
  await assert.rejects(pair.execute(), broken);
  assert.deepEqual(
    (await pair.plan()).steps.map((step) => step.kind),
    ['validate-foreign-key'],
  );
  await pair.onDestination('delete from public.child');
  await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);
});

test('a partitioned destination takes its keys and foreign keys at once', async () => {
  await using pair = await startPair([mirrorTable('public.parent'), mirrorTable('public.child')]);
  await pair.onSource(`${SCHEMA} create index child_parent_idx on public.child (parent)`);
  await pair.onDestination(`
    create table public.child (id int not null, parent int) partition by hash (id);
    create table public.child_0 partition of public.child for values with (modulus 1, remainder 0);
  `);
  await pair.execute();
  await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);
  await pair.onDestination(`
    drop index public.child_parent_idx;
    alter table public.child drop constraint child_pkey;
  `);
  await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);
});
