/** What was changed by hand and put back looks as if nothing had been: it is told all the same, until it is copied again. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { inspect } from 'node:util';
import { observe } from '../../src/observe/observe.ts';
import { isEmptyPlan, type Plan } from '../../src/plan/plan.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { openSession } from '../../src/postgres/session.ts';
import { isReady } from '../../src/status/status.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { InProcess } from './in-process.ts';
import { TestMirror, type TestSpec } from './test-mirror.ts';

const TABLES = ['a', 'b', 'c', 'd'];
const SETUP = TABLES.map(
  (name) =>
    `create table ${name} (id int primary key, v text);
     insert into ${name} select g, 'first' from generate_series(1, 10) g;`,
).join('\n');

type Bumps = Readonly<Record<string, number>>;

function spec(bumps: Bumps = {}, more: Partial<TestSpec> = {}): TestSpec {
  const tables = TABLES.map((name) => ({
    source: `public.${name}`,
    resyncGeneration: bumps[name] ?? 0,
    ...(name === 'a' ? { resyncStrategy: 'swap' } : {}),
  }));
  return { tables, ...more };
}

let row = 100;

async function insert(mirror: TestMirror, ...tables: readonly string[]): Promise<void> {
  row += 1;
  await mirror.atSource(tables.map((name) => `insert into ${name} values (${row})`).join('; '));
}

/** The errors of the tables, once they are those; `code` alone is enough to wait for. */
async function tableErrors(
  mirror: TestMirror,
  codes: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const errorsOf = (field: 'code' | 'message', status: Awaited<ReturnType<TestMirror['status']>>) =>
    Object.fromEntries(
      (status?.status.tables ?? []).flatMap(({ source, error }) =>
        error === undefined ? [] : [[source.replace('public.', ''), error[field]]],
      ),
    );
  const status = await mirror.waitFor(
    (now) => inspect(errorsOf('code', now)) === inspect(codes) && !isReady(now),
  );
  return errorsOf('message', status);
}

/** The mirror stands still for it; returns its words. */
async function stopped(mirror: TestMirror, reason: string): Promise<string> {
  const ready = (now: Awaited<ReturnType<TestMirror['status']>>) =>
    now?.status.conditions.find(({ type }) => type === 'Ready');
  const status = await mirror.waitFor((now) => ready(now)?.reason === reason);
  return ready(status)?.message ?? '';
}

/** Nothing is left to do, what is written now comes, and all is as at the source. */
async function assertWhole(mirror: TestMirror, loop: InProcess): Promise<void> {
  const options = { mirror: mirror.name, role: 'observer' } as const;
  await using source = await openSession(loop.mirror.source, options);
  await using destination = await openSession(loop.mirror.destination, options);
  let plan: Plan | undefined;
  await until(
    async () => {
      const look = await observe(loop.mirror, { source, destination }).catch(() => undefined);
      plan = look && planMirror(loop.mirror, look);
      return plan !== undefined && isEmptyPlan(plan);
    },
    { timeoutMs: 60_000, late: async () => new Error(inspect(plan, { depth: 4 })) },
  );
  await mirror.waitFor(isReady);
  await insert(mirror, ...TABLES);
  await mirror.caughtUp();
  await mirror.assertSame(TABLES);
}

test('a table that was out of the publication for a time, or filtered, and one that is another at the destination', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const publication = `bunny_${mirror.name}`;
  await using loop = await InProcess.start(mirror, spec());
  await mirror.waitFor(isReady);
  await loop.stop();
  await mirror.atSource(`alter publication ${publication} drop table a`);
  await insert(mirror, 'a');
  await mirror.atSource(`alter publication ${publication} add table only a`);
  await mirror.atDestination(
    'begin; drop table b; create table b (id int primary key, v text); commit',
  );
  loop.start({ kind: 'present' });
  const told = await tableErrors(mirror, { a: 'SlotLost', b: 'RowsMissing' });
  assert.match(told['a'] ?? '', /a was taken out of publication .*, and put back: what was/);
  assert.match(told['b'] ?? '', /b is another table than the one that was filled/);

  await mirror.atSource(
    `alter publication ${publication} set table only a, only b, only c where (id < 50), only d`,
  );
  loop.lookAgain();
  await tableErrors(mirror, { a: 'SlotLost', b: 'RowsMissing', c: 'NotSupported' });
  await insert(mirror, 'c', 'd');
  await mirror.atSource(
    `alter publication ${publication} set table only a, only b, only c, only d`,
  );
  loop.lookAgain();
  await tableErrors(mirror, { a: 'SlotLost', b: 'RowsMissing', c: 'SlotLost' });
  await mirror.caughtUp();
  await mirror.assertSame(['d']);

  await loop.write(spec({ a: 1, b: 1, c: 1 }));
  await assertWhole(mirror, loop);
  // What is the same table, or was not altered but for its owner, is no news.
  await mirror.atDestination('vacuum full a');
  await mirror.atDestination('truncate d; alter table d add column extra int');
  await mirror.atSource(
    `insert into d values (0) on conflict do nothing; create role of_${mirror.name} in role postgres`,
  );
  await mirror.atSource(`grant create on database ${mirror.source.database} to of_${mirror.name}`);
  await mirror.atSource(`alter publication ${publication} owner to of_${mirror.name}`);
  try {
    // Gone at the destination it is made and copied again, as ever.
    await mirror.atDestination('drop table d');
    loop.lookAgain();
    await assertWhole(mirror, loop);
  } finally {
    await mirror.atSource(`alter publication ${publication} owner to postgres`);
    await mirror.atSource(`drop owned by of_${mirror.name}; drop role of_${mirror.name}`);
  }
});

test('a publication that was dropped and made again, or altered and put back: ours', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const publication = `bunny_${mirror.name}`;
  const whole = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true";
  await using loop = await InProcess.start(mirror, spec());
  await mirror.waitFor(isReady);
  row += 1;
  // In one transaction: no pass comes between.
  await mirror.atSource(`
    drop publication ${publication};
    insert into a values (${row});
    create publication ${publication} for table only a, only b, only c, only d with (${whole})`);
  loop.lookAgain();
  assert.match(await stopped(mirror, 'SlotLost'), /which somebody dropped and made again/);
  await loop.write(spec({}, { resyncGeneration: 1 }));
  await assertWhole(mirror, loop);

  await loop.stop();
  await mirror.atSource(`alter publication ${publication} set (publish = 'update')`);
  await insert(mirror, 'b');
  await mirror.atSource(`alter publication ${publication} set (${whole})`);
  loop.start({ kind: 'present' });
  assert.match(await stopped(mirror, 'SlotLost'), /which somebody altered by hand/);
  await loop.write(spec({}, { resyncGeneration: 1, onSlotLoss: 'Resync' }));
  await assertWhole(mirror, loop);

  // A table leaves and comes back by the file: none of that is by hand.
  const { tables, ...rest } = spec({}, { resyncGeneration: 1 });
  await loop.write({ ...rest, tables: tables.slice(0, 3) });
  await until(
    async () =>
      (await mirror.atDestination("select from bunnydb.tables where source_name = 'd'")).length ===
      0,
    { timeoutMs: 60_000, late: async () => new Error('d is still in the ledger') },
  );
  await mirror.atDestination('truncate d');
  await loop.write({ ...rest, tables });
  await assertWhole(mirror, loop);
});

test("a DBA's publication, by whose hints it was put back", async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.atSource('create publication theirs for table a, b, c, d');
  const theirs = { publication: 'theirs' };
  await using loop = await InProcess.start(mirror, spec({}, theirs));
  await mirror.waitFor(isReady);
  await mirror.atSource('alter publication theirs drop table c');
  loop.lookAgain();
  await tableErrors(mirror, { c: 'TableMissing' });
  await insert(mirror, 'c');
  await mirror.atSource('alter publication theirs add table c');
  loop.lookAgain();
  await tableErrors(mirror, { c: 'SlotLost' });
  await loop.write(spec({ c: 1 }, theirs));
  await assertWhole(mirror, loop);

  await mirror.atSource("alter publication theirs set (publish = 'insert')");
  loop.lookAgain();
  await stopped(mirror, 'NotSupported');
  await mirror.atSource('delete from d where id = 1');
  await mirror.atSource(
    "alter publication theirs set (publish = 'insert, update, delete, truncate')",
  );
  loop.lookAgain();
  assert.match(await stopped(mirror, 'SlotLost'), /theirs, which somebody altered by hand/);
  await loop.write(spec({ c: 1 }, { ...theirs, onSlotLoss: 'Resync' }));
  await assertWhole(mirror, loop);
});
