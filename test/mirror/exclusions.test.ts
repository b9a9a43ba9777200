/** What becomes of excludeColumns that cannot be, and of the values of those that are. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { isReady, type Status } from '../../src/status/status.ts';
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
