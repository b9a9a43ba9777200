/** What becomes of excludeColumns that cannot be, and of the values of those that are. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isReady, type Status } from '../../src/status/status.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { InProcess } from './in-process.ts';
import { TestMirror, type TestSpec } from './test-mirror.ts';

const SETUP = /* sql */ `
create table named (uid int not null, v text);
create unique index named_uid on named (uid);
alter table named replica identity using index named_uid;
create table keyed (id int primary key, secret text, v text);
insert into named select g, 'v' from generate_series(1, 50) g;
insert into keyed select g, 'classified', 'v' from generate_series(1, 50) g;
`;

function spec(named: string[], keyed: string[]): TestSpec {
  return {
    tables: [
      { source: 'public.named', excludeColumns: named },
      { source: 'public.keyed', excludeColumns: keyed },
    ],
  };
}

/** The file is taken up, whatever became of it. */
async function seen(mirror: TestMirror, loop: InProcess, refused: number): Promise<Status> {
  return mirror.waitFor(
    ({ status }) =>
      status.observedSpecHash === loop.mirror.specHash &&
      status.tables.filter(({ error }) => error?.code === 'InvalidSpec').length === refused,
    30_000,
  );
}

test('exclusions that are refused change nothing of the stream, and taking them back costs nothing', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await using loop = await InProcess.start(mirror, spec([], ['secret']));
  await mirror.waitFor(isReady);
  // Whoever copies the tables again writes over it.
  await mirror.atDestination(`update named set v = 'by hand' where uid = 1;
    update keyed set v = 'by hand' where id = 1`);

  const assertFollowed = async (id: number): Promise<void> => {
    await mirror.atSource(`insert into named values (${id}, 'late');
      update named set v = 'changed ${id}' where uid = 2;
      insert into keyed values (${id}, 'classified', 'late');
      update keyed set v = 'changed ${id}' where id = 2`);
    await mirror.caughtUp();
    const found = await mirror.atDestination(
      `select 'named' as t, uid as id, v from named where uid in (1, 2, ${id})
       union all select 'keyed', id, v from keyed where id in (1, 2, ${id}) order by 1, 2`,
    );
    assert.deepEqual(
      found.map(({ v }) => v),
      ['by hand', `changed ${id}`, 'late', 'by hand', `changed ${id}`, 'late'],
    );
    assert.deepEqual(
      await mirror.atDestination(`select t.state ->> 'phase' as phase, t.stale_columns as stale from bunnydb.tables t
        where t.state ->> 'phase' <> 'Live' or t.stale_columns is not null`),
      [],
    );
    assert.deepEqual(
      await mirror.atDestination(`select 1 from pg_attribute
        where attrelid = 'named'::regclass and attname = 'uid' and not attnotnull`),
      [],
    );
  };

  await loop.write(spec(['uid'], ['id', 'secret']));
  const { status } = await seen(mirror, loop, 2);
  const condition = (type: string): string | undefined =>
    status.conditions.find((one) => one.type === type)?.status;
  assert.deepEqual([condition('Replicating'), condition('Drifted')], ['True', 'False']);
  await assertFollowed(100);
  await loop.stop();
  loop.start({ kind: 'present' });
  await seen(mirror, loop, 2);
  await assertFollowed(101);

  await loop.write(spec([], ['secret']));
  await seen(mirror, loop, 0);
  await mirror.waitFor(isReady);
  await assertFollowed(102);
  await mirror.assertNothingToDo();

  // What a table that fails missed is kept for it, and not what it leaves out.
  await mirror.atDestination('alter table keyed add constraint low check (id < 1000)');
  await mirror.atSource(`insert into keyed values (1000, 'classified', 'spooled')`);
  await mirror.waitForPhase('keyed', 'Failed');
  await mirror.atSource(`update keyed set secret = 'classified', v = 'spooled' where id = 1000`);
  await mirror.caughtUp();
  const [record] = await mirror.atDestination(
    `select id from bunnydb.tables where source_name = 'keyed'`,
  );
  const [spool] = await mirror.atDestination(
    `select count(*) filter (where position('spooled'::bytea in data) > 0) as kept,
       count(*) filter (where position('classified'::bytea in data) > 0) as leaked
     from bunnydb.spool_${record?.['id']}`,
  );
  assert.deepEqual(spool, { kept: '2', leaked: '0' });
  await mirror.atDestination('alter table keyed drop constraint low');
  loop.lookAgain();
  await mirror.waitForPhase('keyed', 'Live');
  assert.deepEqual(await mirror.atDestination('select * from keyed where id = 1000'), [
    { id: '1000', v: 'spooled' },
  ]);
});

const PEOPLE = ['in_place', 'beside'];

const NEEDING = /* sql */ `
create domain filled as text not null;
create table owners (name text primary key);
insert into owners values ('one');
${PEOPLE.map(
  (name) => `
create table ${name} (
  id int primary key,
  email text not null default 'none' constraint ${name}_email unique,
  owner text default 'nobody' constraint ${name}_owner references owners,
  v text,
  constraint ${name}_known check (v is null or email <> 'none')
);
create unique index ${name}_both on ${name} (lower(email));
insert into ${name} select g, 'mail ' || g, 'one', 'v' from generate_series(1, 50) g;`,
).join('')}
create table strict (id int primary key, note filled);
insert into strict values (1, 'kept');
create table extra (id int primary key, note text);
insert into extra values (1, 'kept');
create table renamed (id int primary key, secret text);
insert into renamed values (1, 'classified');
`;

function needing(people: string[], more: string[], renamed: object): TestSpec {
  const tables = [
    { source: 'public.owners' },
    { source: 'public.in_place', excludeColumns: [...people] },
    { source: 'public.beside', excludeColumns: [...people], resyncStrategy: 'swap' },
    { source: 'public.strict', excludeColumns: [...more] },
    { source: 'public.extra', excludeColumns: [...more] },
    { source: 'public.renamed', ...renamed },
  ];
  return { tables };
}

test('what needs a column that is left out goes with its values, or keeps the table from being emptied', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), NEEDING);
  const secret = { excludeColumns: ['secret'] };
  await using loop = await InProcess.start(mirror, needing([], [], secret));
  await mirror.waitFor(isReady);
  await mirror.atDestination('alter table extra add constraint only_here check (note is not null)');
  await mirror.atSource(
    `alter table renamed rename secret to pw; insert into renamed values (2, 'classified')`,
  );
  await loop.write(needing(['email', 'owner'], ['note'], { ...secret, resyncGeneration: 1 }));
  const { status } = await seen(mirror, loop, 3);
  assert.deepEqual(
    status.tables.flatMap(({ error }) => (error?.code === 'InvalidSpec' ? [error.message] : [])),
    [
      'column note of public.strict cannot be left out: its type public.filled is a domain that is NOT NULL',
      'column note of public.extra cannot be left out: constraint only_here, which only the destination has, needs it',
      'excludeColumns of public.renamed names secret, which the source has no more, while public.renamed lacks its pw: was it renamed?',
    ],
  );
  const copied = `select source_name from bunnydb.tables
    where excluded_columns = '["email", "owner"]' and state ->> 'phase' = 'Live'`;
  await until(async () => (await mirror.atDestination(copied)).length === 2, {
    timeoutMs: 30_000,
    late: async () => new Error(JSON.stringify(await mirror.status(), undefined, 1)),
  });
  for (const name of PEOPLE) {
    await mirror.atSource(
      `insert into ${name} select g, 'mail ' || g, 'one', 'v' from generate_series(51, 60) g`,
    );
    await mirror.waitForRows(name, 60);
    assert.deepEqual(
      await mirror.atDestination(
        `select email, owner, count(*) as rows from ${name} group by 1, 2`,
      ),
      [{ email: 'none', owner: 'nobody', rows: '60' }],
    );
  }
  await mirror.atSource(
    `insert into strict values (2, 'late'); insert into extra values (2, 'late')`,
  );
  for (const name of ['strict', 'extra']) await mirror.waitForRows(name, 2);
  await mirror.assertSame(['strict', 'extra']);

  await loop.write(needing([], [], { excludeColumns: ['pw'], resyncGeneration: 1 }));
  await seen(mirror, loop, 0);
  await mirror.waitFor(isReady);
  await mirror.assertSame(['owners', 'strict', 'extra', ...PEOPLE]);
  assert.deepEqual(await mirror.atDestination('select * from renamed order by id'), [
    { id: '1' },
    { id: '2' },
  ]);
  const names = `select conname as name from pg_constraint where conrelid in ('in_place'::regclass, 'beside'::regclass)
    and contype <> 'n' union all select indexrelid::regclass::text from pg_index
    where indrelid in ('in_place'::regclass, 'beside'::regclass) order by 1`;
  assert.deepEqual(await mirror.atDestination(names), await mirror.atSource(names));
  await mirror.assertNothingToDo();
});
