/** What a swap could not carry, found in a real server's catalogs; and that what it can carry is no obstacle. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SwapObstacle } from '../../src/core/observed.ts';
import { readSwapObstacles } from '../../src/observe/swap-obstacles.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import { mirrorTable, name, startPair } from '../execute/pair.ts';

const TABLE = 'public.orders';

/** With what a swap is made for, so that each of the cases adds one thing only. */
const ORDERS = /* sql */ `
  create table public.orders (id int primary key, note text, amount numeric);
`;

async function obstaclesOf(session: Session, table = TABLE): Promise<SwapObstacle[]> {
  return (await readSwapObstacles(session, [name(table)])).get(table) ?? [];
}

/** Those that count whatever the resync changes, as people read them. */
async function sentencesOf(session: Session, table = TABLE): Promise<string[]> {
  return (await obstaclesOf(session, table))
    .filter((obstacle) => obstacle.columns === undefined)
    .map(({ object, reason }) => `${object} ${reason}`);
}

interface Obstructed {
  readonly what: string;
  readonly sql: string;
  readonly table?: string;
  readonly expected: readonly string[];
}

const OBSTRUCTED: readonly Obstructed[] = [
  {
    what: 'a materialized view',
    sql: 'create materialized view public.totals as select sum(amount) from public.orders',
    expected: ['materialized view public.totals reads the table, and would read the old one'],
  },
  {
    what: 'a child',
    sql: 'create table public.late_orders (late boolean) inherits (public.orders)',
    expected: ['table public.late_orders inherits from the table'],
  },
  {
    what: 'a parent',
    sql: 'create table public.thing (id int); alter table public.orders inherit public.thing',
    expected: ['table public.thing has the table as a child or partition'],
  },
  {
    what: 'a partition',
    table: 'public.low',
    sql: `
      create table public.all_orders (id int) partition by range (id);
      create table public.low partition of public.all_orders for values from (0) to (10);
    `,
    expected: ['table public.all_orders has the table as a child or partition'],
  },
  {
    what: 'a partitioned table',
    table: 'public.all_orders',
    sql: `
      create table public.all_orders (id int) partition by range (id);
      create table public.low partition of public.all_orders for values from (0) to (10);
    `,
    expected: [
      'table public.all_orders is partitioned',
      'table public.low inherits from the table',
    ],
  },
  {
    what: 'a typed table',
    table: 'public.typed',
    sql: 'create type public.pair as (a int, b int); create table public.typed of public.pair',
    expected: ['table public.typed is a typed table'],
  },
  {
    what: 'foreign keys with a partitioned table at the other end',
    sql: `
      create table public.area (id int primary key) partition by range (id);
      create table public.area_low partition of public.area for values from (0) to (10);
      create table public.line (id int references public.orders) partition by range (id);
      create table public.line_low partition of public.line for values from (0) to (10);
      alter table public.orders add constraint orders_area_fkey foreign key (id) references public.area;
    `,
    expected: [
      'table constraint line_id_fkey on public.line has a partitioned table at its other end',
      'table constraint orders_area_fkey on public.orders has a partitioned table at its other end',
    ],
  },
  {
    what: 'users of the row type and of its array',
    sql: `
      create table public.archive (id int, kept public.orders);
      create view public.whole as select orders from public.orders;
      create function public.first_order() returns setof public.orders language sql as 'select * from public.orders';
      create function public.parsed_order() returns public.orders begin atomic select * from public.orders; end;
      create function public.count_orders(public.orders[]) returns int language sql as 'select 1';
      create domain public.good_order as public.orders;
      create type public.order_pair as (a public.orders, b public.orders);
      create function public.to_order(text) returns public.orders language sql as 'select null::public.orders';
      create cast (text as public.orders) with function public.to_order(text);
      create function public.later(public.orders, public.orders) returns public.orders language sql as 'select $1';
      create aggregate public.last_order(public.orders) (sfunc = public.later, stype = public.orders);
    `,
    expected: [
      'aggregate public.last_order(public.orders) uses its row type',
      'cast (pg_catalog.text AS public.orders) uses its row type',
      'composite type column public.order_pair.a uses its row type',
      'composite type column public.order_pair.b uses its row type',
      'function public.count_orders(public.orders[]) uses its row type',
      'function public.first_order() uses its row type',
      'function public.later(public.orders,public.orders) uses its row type',
      'function public.parsed_order() uses its row type',
      'function public.to_order(pg_catalog.text) uses its row type',
      'table column public.archive.kept uses its row type',
      'type public.good_order uses its row type',
      'view column public.whole.orders uses its row type',
    ],
  },
  {
    what: 'a check of its own that names its row type',
    sql: 'alter table public.orders add constraint full_row check (orders is distinct from null::public.orders)',
    expected: ['table constraint full_row on public.orders uses its row type'],
  },
  {
    what: 'a temporary view',
    sql: 'create temporary view passing as select id from public.orders',
    expected: [
      'view pg_temp.passing reads the table, and is temporary: only its own session can change it',
    ],
  },
  {
    what: 'a constraint trigger of another table that names it',
    sql: `
      create table public.lines (id int);
      create function public.look() returns trigger language plpgsql as 'begin return null; end';
      create constraint trigger seen after insert on public.lines from public.orders
        for each row execute function public.look();
    `,
    expected: ['trigger seen on public.lines is a trigger of another table that names it'],
  },
  {
    what: 'a default of another table that names it, and one of a function',
    sql: `
      create table public.log (id int, about regclass default 'public.orders');
      create function public.rows_of(about regclass default 'public.orders') returns int language sql as 'select 1';
    `,
    expected: [
      'default value for public.log.about refers to the table',
      'function public.rows_of(pg_catalog.regclass) refers to the table',
    ],
  },
  {
    what: 'another user of its sequence',
    table: 'public.counted',
    sql: `
      create table public.counted (id int generated always as identity primary key, twice serial);
      create table public.shares (id int default nextval('public.counted_id_seq'));
      create view public.last_id as select last_value from public.counted_id_seq;
    `,
    expected: [
      'default value for public.shares.id uses an identity sequence of the table',
      'view public.last_id uses an identity sequence of the table',
    ],
  },
  {
    what: 'an extension that has it as a member, and one that its trigger depends on',
    sql: `
      alter extension plpgsql add table public.orders;
      create function public.look() returns trigger language plpgsql as 'begin return null; end';
      create trigger seen after insert on public.orders for each row execute function public.look();
      alter trigger seen on public.orders depends on extension plpgsql;
    `,
    expected: [
      'extension plpgsql has the table as a member',
      'trigger seen on public.orders depends on an extension, which is not carried over',
    ],
  },
  {
    what: 'a subscription that feeds it',
    sql: `
      create subscription feed connection 'dbname=nowhere' publication p with (connect = false);
      insert into pg_subscription_rel (srsubid, srrelid, srsubstate)
        select oid, 'public.orders'::regclass, 'r' from pg_subscription;
    `,
    expected: ['subscription feed writes to the table'],
  },
  {
    what: 'security labels on it and on a column',
    sql: `
      insert into pg_seclabel values ('public.orders'::regclass, 'pg_class'::regclass, 0, 'guard', 'secret');
      insert into pg_seclabel values ('public.orders'::regclass, 'pg_class'::regclass, 2, 'guard', 'secret');
    `,
    expected: [
      'table column public.orders.note has a security label, which is not carried over',
      'table public.orders has a security label, which is not carried over',
    ],
  },
];

test('each kind of object that a swap cannot carry is named', async (t) => {
  for (const { what, sql, table = TABLE, expected } of OBSTRUCTED)
    await t.test(what, async () => {
      await using pair = await startPair([]);
      await pair.onDestination(`set allow_system_table_mods = on; ${ORDERS} ${sql}`);
      assert.deepEqual((await sentencesOf(pair.destination, table)).toSorted(), expected);
      await pair.onDestination(`drop subscription if exists feed`).catch(async () => {
        await pair.onDestination(`
          alter subscription feed disable;
          alter subscription feed set (slot_name = none);
          drop subscription feed;
        `);
      });
    });
});

const CARRIED = /* sql */ `
  create type public.mood as enum ('good', 'bad');
  create table public.regions (id int primary key);
  create table public.orders (
    id int generated by default as identity primary key,
    serial serial,
    region int references public.regions deferrable initially deferred,
    parent int references public.orders on delete set null,
    note text collate "C" not null check (note <> ''),
    mood public.mood default 'good',
    twice int generated always as (region * 2) stored,
    during int4range,
    exclude using gist (during with &&)
  ) with (fillfactor = 90);
  create unique index orders_note on public.orders (lower(note)) include (mood) where region > 0;
  create statistics public.orders_stats on region, mood from public.orders;
  create table public.lines (id int references public.orders on delete cascade, constraint named check (id > 0));
  alter table public.lines drop constraint lines_id_fkey,
    add foreign key (id) references public.orders not valid;
  create function public.look() returns trigger language plpgsql as 'begin return null; end';
  create trigger seen after update of note on public.orders for each row when (old.note is distinct from new.note)
    execute function public.look();
  create constraint trigger checked after insert on public.orders from public.regions deferrable
    for each row execute function public.look();
  alter table public.orders enable always trigger seen;
  alter table public.orders enable row level security, force row level security, replica identity full;
  create policy mine on public.orders using (note = current_user and exists (select from public.orders o where o.id > 0));
  create policy by_order on public.lines using (exists (select from public.orders o where o.id = lines.id));
  create view public.good with (security_barrier) as select id, note from public.orders where mood = 'good' with check option;
  create view public.better as select count(*) as n from public.good;
  create materialized view public.best as select n from public.better;
  create view public.grouped as select id, note, row_to_json(o) as doc from public.orders o group by id;
  create function public.total() returns bigint begin atomic select count(*) from public.orders; end;
  create function public.sum_of_regions() returns bigint begin atomic select sum(region) from public.orders; end;
  create procedure public.clear() begin atomic delete from public.orders; end;
  create function public.text_body() returns bigint language sql as 'select count(*) from public.orders';
  create rule quiet as on delete to public.orders where old.id = 0 do instead nothing;
  create table public.inbox (id int);
  create rule forward as on insert to public.inbox do also insert into public.orders (id, note) values (new.id, 'n');
  create rule write as on delete to public.good do instead delete from public.orders where id = old.id;
  create view public.parsed as select (json_populate_record(null::public.orders, '{}')).mood from public.orders;
  create function public.parse(doc json) returns int begin atomic select (json_populate_record(null::public.orders, doc)).id; end;
  create policy typed on public.orders using (orders is distinct from null::public.orders);
  create table public.shares (id int default nextval('public.orders_serial_seq'));
  create publication listed for table public.orders (id, note) where (id > 0);
  create publication everything for all tables;
  create publication by_schema for tables in schema public;
  comment on table public.orders is 'o';
  comment on column public.orders.note is 'n';
  grant select on public.orders to public;
  grant update (note) on public.orders to public;
`;

test('a table with everything that a swap carries has none', async () => {
  await using pair = await startPair([]);
  await pair.onDestination(CARRIED);
  assert.deepEqual(await sentencesOf(pair.destination), []);
});

test('what reads a column is in the way of its retyping, once for each object', async () => {
  await using pair = await startPair([]);
  await pair.onDestination(CARRIED);
  const found = await obstaclesOf(pair.destination);
  assert.deepEqual(
    found.map(({ object, reason, columns }) => [object, reason, columns?.join(' ')]),
    [
      ['function public.parse(json)', 'depends on the type of', 'id'],
      ['function public.sum_of_regions()', 'depends on the type of', 'region'],
      ['policy by_order on public.lines', 'depends on the type of', 'id'],
      ['policy mine on public.orders', 'depends on the type of', 'id note'],
      ['publication listed', 'depends on the type of', 'id note'],
      ['rule forward on public.inbox', 'depends on the type of', 'id note'],
      ['rule quiet on public.orders', 'depends on the type of', 'id'],
      ['rule write on public.good', 'depends on the type of', 'id'],
      ['trigger seen on public.orders', 'depends on the type of', 'note'],
      ['view public.good', 'depends on the type of', 'id note mood'],
      ['view public.grouped', 'depends on the type of', 'id note'],
      ['view public.parsed', 'depends on the type of', 'mood'],
    ],
  );
});

test('what our own shadow and old tables hold is none', async () => {
  await using pair = await startPair([]);
  await pair.onDestination(`
    create table public.orders (id serial primary key, parent int);
    create schema bunnydb_shadow_7;
    create table bunnydb_shadow_7.orders (
      id int default nextval('public.orders_id_seq'), parent int references public.orders
    );
    create schema bunnydb_old_7;
    create table bunnydb_old_7.orders (id int default nextval('public.orders_id_seq'));
  `);
  assert.deepEqual(await obstaclesOf(pair.destination), []);
});

test('tables that somebody keeps locked do not hold it up', async () => {
  await using pair = await startPair([]);
  await pair.onDestination(`
    ${CARRIED}
    create materialized view public.totals as select count(*) from public.orders;
  `);
  await using session = await openSession(pair.mirror.destination, {
    mirror: 'swap',
    role: 'owner',
    lockTimeoutMs: 200,
  });
  await pair.onDestination(`
    begin;
    lock table public.orders, public.lines, public.regions, public.good, public.better, public.grouped
      in access exclusive mode;
  `);
  assert.equal((await sentencesOf(session)).length, 1);
});

test('several tables are told apart, also by names that need quotes; one that is not there has none', async () => {
  await using pair = await startPair([]);
  await pair.onDestination(`
    ${ORDERS}
    create schema "Odd.schema";
    create table "Odd.schema"."Some ""table" ("Its id" int);
    create materialized view "Odd.schema"."A view" as select "Its id" from "Odd.schema"."Some ""table";
  `);
  const odd = { schema: 'Odd.schema', name: 'Some "table' };
  const found = await readSwapObstacles(pair.destination, [name(TABLE), odd, name('public.gone')]);
  const { object } = found.get('"Odd.schema"."Some ""table"')?.[0] ?? {};
  assert.equal(object, 'materialized view "Odd.schema"."A view"');
  assert.deepEqual([...found.keys()], ['"Odd.schema"."Some ""table"']);
  assert.deepEqual([...(await readSwapObstacles(pair.destination, [])).keys()], []);
});

test('a look at the mirror holds them where a swap or a retyping may come, and only there', async () => {
  await using pair = await startPair([
    mirrorTable('public.swapped', { resyncStrategy: 'swap' }),
    mirrorTable('public.retyped'),
    mirrorTable('public.plain'),
  ]);
  for (const table of ['swapped', 'retyped', 'plain']) {
    await pair.onSource(`create table public.${table} (id int primary key, note text)`);
    await pair.onDestination(`
      create table public.${table} (id int primary key, note ${table === 'retyped' ? 'varchar' : 'text'});
      create materialized view public.${table}_view as select note from public.${table};
    `);
  }
  const { tables } = await pair.observe();
  const [swapped, retyped, plain] = tables.map((look) => look.swapObstacles);
  const reads = { object: 'materialized view public.swapped_view', columns: undefined };
  assert.deepEqual(
    swapped?.map(({ object, columns }) => ({ object, columns })),
    [reads, { ...reads, columns: ['note'] }],
  );
  assert.equal(retyped?.length, 2);
  assert.deepEqual(plain, []);
});
