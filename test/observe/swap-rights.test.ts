/** The rights that a swap takes: what our role lacks is found before anything is copied. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readEmptyObstacles } from '../../src/observe/foreign-keys.ts';
import { readSwapObstacles } from '../../src/observe/swap-obstacles.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import { mirrorTable, name, type Pair, startPair } from '../execute/pair.ts';

const TABLE = 'public.orders';

const ORDERS = /* sql */ `
  create table public.orders (id int primary key, note text);
`;

async function sentencesOf(session: Session): Promise<string[]> {
  const found = await readSwapObstacles(session, [name(TABLE)]);
  return (found.get(TABLE) ?? [])
    .filter((obstacle) => obstacle.columns === undefined)
    .map(({ object, reason }) => `${object} ${reason}`);
}

/** A role of its own for the test, and a session as it on the pair's destination. */
async function openAs(pair: Pair, role: string): Promise<Session> {
  const session = await openSession(pair.mirror.destination, { mirror: role, role: 'owner' });
  await session.query(/* sql */ `set role ${role}`);
  return session;
}

let roles = 0;

/** Roles are the whole server's: each test takes new names. */
async function createRoles(pair: Pair, count: number): Promise<string[]> {
  const created = Array.from({ length: count }, () => `swap_${process.pid}_${++roles}`);
  for (const role of created) await pair.onDestination(`create role ${role}`);
  return created;
}

test('a role finds what it does not own or may not do', async () => {
  await using pair = await startPair([]);
  const [ours = '', owner = '', other = ''] = await createRoles(pair, 3);
  await pair.onDestination(`
    ${ORDERS}
    create schema apart;
    create table public.lines (id int references public.orders);
    create table public.regions (id int primary key);
    create table public.areas (id int primary key);
    grant update on public.regions to ${ours};
    grant references on public.areas to ${ours};
    alter table public.orders add foreign key (id) references public.regions,
      add constraint by_area foreign key (id) references public.areas;
    create view public.notes as select note from public.orders;
    create view apart.notes as select note from public.orders;
    create function public.total() returns bigint begin atomic select count(*) from public.orders; end;
    create policy by_order on public.lines using (exists (select from public.orders o where o.id = lines.id));
    create publication listed for table public.orders;
    alter table public.orders owner to ${owner};
    alter view apart.notes owner to ${owner};
    grant ${owner} to ${ours} with inherit true, set false;
    alter table public.lines owner to ${other};
    create rule forward as on delete to public.lines do also delete from public.orders where id = old.id;
    create function public.look() returns trigger language plpgsql as 'begin return null; end';
    revoke execute on function public.look() from public;
    create trigger seen after insert on public.orders for each row execute function public.look();
    grant select on public.orders to ${other} with grant option;
    set role ${other};
    grant select on public.orders to public;
    reset role;
  `);
  await using session = await openAs(pair, ours);
  const changed = 'has to be changed with it, and';
  const notOurRole = `owns the table or its statistics, or granted rights on it, and role ${ours} may not SET ROLE to it`;
  assert.deepEqual(await sentencesOf(session), [
    `function public.look() is what a trigger of the table calls, and role ${ours} may not EXECUTE it`,
    `role ${owner} ${notOurRole}`,
    `role ${other} ${notOurRole}`,
    `schema public is where the table is, and role ${ours} may not CREATE in it`,
    `table constraint by_area on public.orders has to be made anew, and role ${ours} may not lock the other table: that takes UPDATE, DELETE or TRUNCATE`,
    `table constraint orders_id_fkey on public.orders has to be made anew, and role ${ours} lacks REFERENCES on the other table`,
    `function public.total() ${changed} role ${ours} does not own it`,
    `policy by_order on public.lines ${changed} role ${ours} does not own it`,
    `publication listed ${changed} role ${ours} does not own it`,
    `rule forward on public.lines ${changed} role ${ours} does not own it`,
    `table constraint lines_id_fkey on public.lines ${changed} role ${ours} does not own it`,
    `view apart.notes ${changed} role ${ours} may not CREATE in its schema`,
    `view public.notes ${changed} role ${ours} does not own it`,
  ]);
  await using stranger = await openAs(pair, other);
  assert.ok(
    (await sentencesOf(stranger)).includes(`table public.orders is not owned by role ${other}`),
  );
});

test('a superuser and the owner with its rights find none', async () => {
  await using pair = await startPair([]);
  const [owner = ''] = await createRoles(pair, 1);
  await pair.onDestination(`
    ${ORDERS}
    create view public.notes as select note from public.orders;
    grant create on schema public to ${owner};
    alter table public.orders owner to ${owner};
    alter view public.notes owner to ${owner};
    grant select on public.orders to public;
    grant update (note) on public.orders to public;
    create table public.regions (id int primary key);
    grant references, delete on public.regions to ${owner};
    alter table public.orders add foreign key (id) references public.regions;
  `);
  assert.deepEqual(await sentencesOf(pair.destination), []);
  await using session = await openAs(pair, owner);
  assert.deepEqual(await sentencesOf(session), []);
});

test('what a truncate drops and could not put back is found, of tables that others own and of those without REFERENCES', async () => {
  await using pair = await startPair([mirrorTable(TABLE)]);
  const [ours = '', other = ''] = await createRoles(pair, 2);
  await pair.onDestination(`
    ${ORDERS}
    alter table public.orders add up int references public.orders;
    create table public.lines (id int constraint of_others references public.orders);
    create table public.notes (id int constraint of_ours references public.orders);
    alter table public.lines owner to ${other};
    alter table public.notes owner to ${ours};
    grant select, insert, update, delete, truncate on public.orders to ${ours};
  `);
  await using session = await openAs(pair, ours);
  const sentences = async (): Promise<string[]> => {
    const found = await readEmptyObstacles(session, [name(TABLE), name('public.gone')]);
    assert.ok([...found.keys()].every((key) => key === TABLE));
    return (found.get(TABLE) ?? []).map(({ object, reason }) => `${object} ${reason}`);
  };
  const before = 'has to be dropped and put back, and role';
  assert.deepEqual(await sentences(), [
    `foreign key of_others of public.lines ${before} ${ours} does not own that table`,
    `foreign key of_ours of public.notes ${before} ${ours} lacks REFERENCES on the table`,
  ]);
  await pair.onDestination(`set role ${ours}`);
  const { tables } = await pair.observe();
  assert.equal(tables[0]?.emptyObstacles.length, 2, 'a look at the mirror holds them');
  await pair.onDestination(`
    reset role;
    grant references (id) on public.orders to ${ours};
    grant ${other} to ${ours};
  `);
  assert.deepEqual(await sentences(), []);
});
