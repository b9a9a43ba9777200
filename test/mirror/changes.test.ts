/** Every kind of change arrives, in whole transactions, through mapped names and left-out columns. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';

test('insert, update, delete, key change, truncate, TOAST left alone', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    /* sql */ `
create table docs (id int primary key, title text, body text);
alter table docs alter column body set storage external;
insert into docs select g, 'title ' || g, repeat(md5(g::text), 300) from generate_series(1, 50) g;
create table pairs (a int, b text, v numeric, primary key (a, b));
insert into pairs select g, 'b' || g, g / 7.0 from generate_series(1, 50) g;
create table parents (id int primary key);
create table children (id int primary key, parent int references parents);
insert into parents select generate_series(1, 20);
insert into children select g, g from generate_series(1, 20) g;
create table log (line text);
alter table log replica identity full;
`,
  );
  const names = ['docs', 'pairs', 'parents', 'children', 'log'];
  await mirror.write({ tables: names.map((name) => ({ source: `public.${name}` })) });
  await mirror.start();
  await mirror.waitReady();
  await mirror.assertSame(names);
  const steps = [
    "update docs set title = 'new' where id <= 10",
    "update docs set title = title || '!', body = repeat('x', 5000) where id between 5 and 15",
    'update docs set id = id + 1000 where id between 8 and 12',
    'begin; delete from docs where id = 20; insert into docs values (20, null, null); commit',
    "begin; insert into docs values (500, 'short', 'life'); update docs set title = 'lived' where id = 500; delete from docs where id = 500; commit",
    "update pairs set b = 'moved' where a = 1",
    'update pairs set a = -a, v = v * 2 where a % 2 = 0',
    'begin; update pairs set a = a + 100000 where a > 0; update pairs set a = a - 100000 where a > 100000; commit',
    'insert into log select null from generate_series(1, 3)',
    "insert into log select 'same' from generate_series(1, 5)",
    "delete from log where ctid = (select ctid from log where line = 'same' limit 1)",
    "update log set line = 'other' where ctid = (select ctid from log where line is null limit 1)",
    'begin; truncate parents, children; insert into parents values (1), (2); insert into children values (1, 2); commit',
    'truncate log',
    "begin; savepoint s; insert into log values ('never'); rollback to s; insert into log values ('kept'); commit",
    'truncate children',
  ];
  for (const step of steps) await mirror.atSource(step);
  await mirror.caughtUp();
  await mirror.assertSame(names);
  const log = await mirror.readLog();
  assert.doesNotMatch(log, /rows to change were not at the destination/);
  assert.doesNotMatch(log, /table failed/);
});

test('mapped names, left-out columns, other column order, a column of the destination’s own', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    /* sql */ `
create schema "Sales Dept";
create table "Sales Dept"."Order.Lines" (id int primary key, "Unit Price" numeric, secret text, note text);
insert into "Sales Dept"."Order.Lines" select g, g, 'secret ' || g, null from generate_series(1, 100) g;
`,
  );
  await mirror.atDestination(
    `create table lines (note text, added_at timestamptz default now(), id int primary key, "Unit Price" numeric)`,
  );
  const source = '"Sales Dept"."Order.Lines"';
  await mirror.write({
    tables: [
      {
        source: 'Sales Dept."Order.Lines"',
        destination: 'public.lines',
        excludeColumns: ['secret'],
      },
    ],
  });
  await mirror.start();
  await mirror.waitReady();
  await mirror.atSource(`update ${source} set "Unit Price" = 1.50, secret = 'x' where id <= 10`);
  await mirror.atSource(`update ${source} set secret = 'only' where id = 50`);
  await mirror.atSource(
    `delete from ${source} where id > 90; insert into ${source} values (200, 2, 's', 'n')`,
  );
  await mirror.caughtUp();
  const columns = 'id, "Unit Price" as price, note';
  assert.deepEqual(
    await mirror.atDestination(`select ${columns} from lines order by id`),
    await mirror.atSource(`select ${columns} from ${source} order by id`),
  );
  const [own] = await mirror.atDestination(
    'select count(*) as rows from lines where added_at is null',
  );
  assert.equal(own?.['rows'], '0');
  const [leaked] = await mirror.atDestination(
    `select count(*) as tables from information_schema.columns where column_name = 'secret'`,
  );
  assert.equal(leaked?.['tables'], '0');
  await mirror.assertNothingToDo();
});

test('one transaction of many parts is one transaction at the destination', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    'create table big (id int primary key, v text); create table other (id int primary key)',
  );
  await mirror.write({ tables: [{ source: 'public.big' }, { source: 'public.other' }] });
  await mirror.start();
  await mirror.waitReady();
  const rows = 200_000;
  await mirror.atSource(
    `begin; insert into big select g, md5(g::text) from generate_series(1, ${rows}) g;
     insert into other values (1); update big set v = 'x' where id % 1000 = 0; delete from big where id % 3 = 0; commit`,
  );
  const seen = new Set<string>();
  const applied = new AbortController();
  const caughtUp = mirror.caughtUp().finally(() => applied.abort());
  while (!applied.signal.aborted) {
    const [row] = await mirror.atDestination(
      'select (select count(*) from big) || $$/$$ || (select count(*) from other) as both',
    );
    seen.add(row?.['both'] ?? '');
  }
  await caughtUp;
  await mirror.assertSame(['big', 'other']);
  const whole = `${rows - Math.floor(rows / 3)}/1`;
  seen.add(whole);
  assert.deepEqual([...seen].sort(), ['0/0', whole].sort());
});
