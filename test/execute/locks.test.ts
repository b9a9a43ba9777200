/** What a plan says that a step locks, against what pg_locks says while the step's own code runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../src/core/log.ts';
import type { ExecuteContext } from '../../src/execute/context.ts';
import { dropTable, prepareDrop } from '../../src/execute/drop-table.ts';
import { emptyTable, prepareEmptying } from '../../src/execute/empty-table.ts';
import { restoreForeignKey } from '../../src/execute/foreign-keys.ts';
import { executeProvision, type ProvisionStep } from '../../src/execute/provision.ts';
import { prepareSwap, swapTables } from '../../src/execute/swap.ts';
import { describeStep } from '../../src/plan/describe.ts';
import { locksOf, type Lock } from '../../src/plan/locks.ts';
import { NO_MEND } from '../../src/plan/mend.ts';
import type { Step } from '../../src/plan/plan.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { readLedger } from '../../src/postgres/ledger.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import { leaveOut } from '../../src/stream/route-target.ts';
import { until } from '../servers/processes.ts';
import { mirrorTable, type Pair, startPair } from './pair.ts';
import { OWNER, startStage } from './swap-stage.ts';

const SCHEMA = `
create table public.parent (id int primary key, code text);
create index code_idx on public.parent (code);
create table public.child (id int primary key, parent int,
  constraint to_parent foreign key (parent) references public.parent (id));
`;
const PARENT = mirrorTable('public.parent');
const CHILD = mirrorTable('public.child');

/** Both tables Live, with rows to check. */
async function livePair(): Promise<Pair> {
  const pair = await startPair([PARENT, CHILD]);
  await pair.onSource(SCHEMA);
  for (let pass = 0; pass < 3; pass += 1) await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);
  await pair.onDestination(
    'insert into public.parent values (1); insert into public.child values (1, 1)',
  );
  return pair;
}

async function contextOf(pair: Pair): Promise<ExecuteContext> {
  const { mirror, source, destination } = pair;
  const observed = await pair.observe();
  const owner = { mirror: mirror.name, epoch: observed.ledger.mirror?.epoch ?? 0n };
  return { mirror, source, destination, observed, owner, log: silentLog() };
}

/** Of tables and views that are neither the system's nor ours, the strongest of each last. */
const SELECT_LOCKS = /* sql */ `
select n.nspname || '.' || c.relname as relation, l.mode
from pg_locks l
join pg_class c on c.oid = l.relation
join pg_namespace n on n.oid = c.relnamespace
where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted and c.relkind in ('r', 'p', 'v')
  and n.nspname !~ '^(pg_|bunnydb)' and c.relname !~ '^bunny'
order by 1, array_position(array['AccessShareLock', 'RowShareLock', 'RowExclusiveLock',
  'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'AccessExclusiveLock'], l.mode)`;

/**
 * The strongest lock on each table that the work takes, all its transactions in one that is rolled back:
 * `public.parent ACCESS EXCLUSIVE`. Reading a catalog function takes ACCESS SHARE for a moment: not told.
 */
async function locksTaken(session: Session, work: () => Promise<unknown>): Promise<string[]> {
  await session.query('begin');
  session.transaction = async (inner) => inner();
  try {
    await work();
    const rows = await session.query(SELECT_LOCKS);
    const strongest = new Map(rows.map((row) => [row['relation'], modeName(row['mode'] ?? '')]));
    return [...strongest]
      .filter(([, mode]) => mode !== 'ACCESS SHARE')
      .map(([relation, mode]) => `${relation} ${mode}`);
  } finally {
    // The method of its class is there again.
    Reflect.deleteProperty(session, 'transaction');
    await session.query('rollback');
  }
}

/** `ShareUpdateExclusiveLock`: `SHARE UPDATE EXCLUSIVE`. */
function modeName(mode: string): string {
  return mode
    .replace(/Lock$/, '')
    .replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase();
}

/** The same as the plan has it: the strongest for each table that is named. */
function locksSaid(step: Step, side: Lock['side']): string[] {
  const strength = [
    'ROW SHARE',
    'SHARE UPDATE EXCLUSIVE',
    'SHARE ROW EXCLUSIVE',
    'ACCESS EXCLUSIVE',
  ];
  const said = new Map<string, string>();
  for (const { on, mode, side: where } of locksOf(step)) {
    if (mode === undefined || mode === 'ACCESS SHARE' || where !== side) continue;
    for (const [relation] of on.matchAll(/\b\w+\.\w+/g))
      if (strength.indexOf(mode) > strength.indexOf(said.get(relation) ?? ''))
        said.set(relation, mode);
  }
  return [...said].map(([relation, mode]) => `${relation} ${mode}`).sort();
}

test('what a publication and a foreign key lock is what the plan says', async () => {
  await using pair = await livePair();
  const ctx = await contextOf(pair);
  const { observed } = ctx;
  const assertSaid = async (
    step: ProvisionStep,
    side: Lock['side'],
    expected: readonly string[],
  ): Promise<void> => {
    const taken = await locksTaken(pair[side], async () => executeProvision(ctx, step));
    assert.deepEqual(taken, expected, step.kind);
    assert.deepEqual(locksSaid(step, side), expected, step.kind);
  };
  await pair.onSource(`alter publication ${pair.mirror.publication.name} drop table public.child`);
  await assertSaid({ kind: 'publish-table', table: CHILD }, 'source', [
    'public.child SHARE ROW EXCLUSIVE',
  ]);
  await assertSaid(
    { kind: 'alter-publication', add: [CHILD.source], drop: [PARENT.source] },
    'source',
    ['public.child SHARE UPDATE EXCLUSIVE', 'public.parent SHARE UPDATE EXCLUSIVE'],
  );
  await pair.onSource(`drop publication ${pair.mirror.publication.name}`);
  await assertSaid({ kind: 'create-publication', tables: [CHILD.source] }, 'source', [
    'public.child SHARE UPDATE EXCLUSIVE',
  ]);
  await pair.onDestination('alter table public.child drop constraint to_parent');
  const [foreignKey] = observed.tables[1]?.sourceShape?.foreignKeys ?? [];
  assert.ok(foreignKey);
  const references = PARENT.destination;
  await assertSaid(
    { kind: 'add-foreign-key', table: CHILD, foreignKey, references },
    'destination',
    ['public.child SHARE ROW EXCLUSIVE', 'public.parent SHARE ROW EXCLUSIVE'],
  );
  await pair.onDestination(
    'alter table public.child add constraint to_parent foreign key (parent) references public.parent (id) not valid',
  );
  const key = { table: CHILD, owner: CHILD.destination, name: 'to_parent' };
  const taken = await locksTaken(pair.destination, async () =>
    executeProvision(ctx, { kind: 'validate-foreign-key', ...key }),
  );
  assert.deepEqual(taken, ['public.child SHARE UPDATE EXCLUSIVE', 'public.parent ROW SHARE']);
  assert.deepEqual(
    locksOf({ kind: 'validate-foreign-key', ...key }).map(({ mode }) => mode),
    ['SHARE UPDATE EXCLUSIVE', 'ROW SHARE'],
  );
});

test('an index of a Live table keeps neither readers nor writers waiting while it waits for them', async () => {
  await using pair = await livePair();
  const ctx = await contextOf(pair);
  const { observed } = ctx;
  const [index] = observed.tables[0]?.sourceShape?.indexes ?? [];
  assert.ok(index);
  const step = { kind: 'create-index', table: PARENT, index } as const;
  await pair.onDestination('drop index public.code_idx');
  await using writer = await openSession(pair.mirror.destination, {
    mirror: 'test',
    role: 'writer',
  });
  await writer.query('begin');
  await writer.query('insert into public.parent values (2)');
  const built = executeProvision(ctx, step);
  const held = async (): Promise<string[]> => {
    const rows = await writer.query(
      `select l.mode from pg_locks l join pg_class c on c.oid = l.relation
      where c.relname = 'parent' and l.pid <> pg_backend_pid() and l.granted`,
    );
    return rows.map((row) => modeName(row['mode'] ?? ''));
  };
  await until(async () => (await held()).includes('SHARE UPDATE EXCLUSIVE'), {
    timeoutMs: 30_000,
    late: async () => new Error('the index is not being built'),
  });
  assert.deepEqual(await held(), ['SHARE UPDATE EXCLUSIVE']);
  assert.deepEqual(locksSaid(step, 'destination'), ['public.parent SHARE UPDATE EXCLUSIVE']);
  // Others write and read, as they are, while the first has not ended.
  await using other = await openSession(pair.mirror.destination, {
    mirror: 'test',
    role: 'writer',
  });
  await other.query('update public.parent set code = $1', ['seen']);
  await writer.query('rollback');
  assert.equal((await built).changed, true);
});

test('a truncate and a drop lock the table and those at the other end of its foreign keys', async () => {
  await using pair = await livePair();
  const { observed, owner } = await contextOf(pair);
  const both = ['public.child ACCESS EXCLUSIVE', 'public.parent ACCESS EXCLUSIVE'];
  const [parent, child] = observed.ledger.tables;
  assert.ok(parent && child);
  assert.equal(child.source.name, 'child');
  const { destination } = pair;
  const emptying = await prepareEmptying(destination, parent.destination, NO_MEND);
  assert.deepEqual(
    await locksTaken(destination, async () =>
      emptyTable(destination, owner, parent.destination, emptying),
    ),
    both,
  );
  const copy = {
    kind: 'copy-table',
    table: PARENT,
    reason: 'resync',
    generation: { table: 1, mirror: 0 },
    estimatedRows: 0,
    estimatedBytes: 0,
    relaxes: [],
    disturbs: true,
  } as const;
  const ends = (step: Step): string[] =>
    locksOf(step).flatMap(({ side, on, mode }) => (side === 'source' ? [] : [`${mode} on ${on}`]));
  assert.equal(
    ends({ ...copy, strategy: 'truncate' })[0],
    'ACCESS EXCLUSIVE on public.parent and the tables with foreign keys to it',
  );
  // What the emptying has put aside comes back when the table is Live: those locks are the copy's too.
  const bumped = { ...pair.mirror, tables: [{ ...PARENT, generation: copy.generation }, CHILD] };
  const planned = planMirror(bumped, observed).steps.find(({ kind }) => kind === 'copy-table');
  assert.ok(planned);
  assert.match(
    describeStep(planned).text,
    /; without foreign key to_parent of public\.child until/,
  );
  const back = await locksTaken(destination, async () => {
    await emptyTable(destination, owner, parent.destination, emptying);
    const [saved] = (await readLedger(destination, owner.mirror)).savedForeignKeys;
    assert.ok(saved);
    await destination.query('insert into public.parent values (1)');
    await destination.query('commit');
    await destination.query('begin');
    await restoreForeignKey({ destination }, { kind: 'restore-foreign-key', table: CHILD, saved });
  });
  assert.deepEqual(back, ['public.child SHARE ROW EXCLUSIVE', 'public.parent SHARE ROW EXCLUSIVE']);
  assert.deepEqual(ends(planned).slice(2), [
    'SHARE ROW EXCLUSIVE on public.child and public.parent',
    'SHARE UPDATE EXCLUSIVE on public.child',
    'ROW SHARE on public.parent',
  ]);
  await pair.execute();
  assert.deepEqual(
    await locksTaken(destination, async () => {
      const drop = await prepareDrop(destination, child.destination, []);
      assert.ok(drop);
      await dropTable(destination, drop);
    }),
    // The dropped one is in the catalog no more.
    ['public.parent ACCESS EXCLUSIVE'],
  );
  assert.deepEqual(ends({ kind: 'retire-table', record: child, drop: true }), [
    'ACCESS EXCLUSIVE on public.child and the tables that it references',
  ]);
});

test('what lets a column be NULL that is left out from now on locks its table, as the plan says of the copy', async () => {
  await using pair = await livePair();
  const { observed, owner, log } = await contextOf(pair);
  await pair.onDestination(
    `update public.parent set code = 'one'; alter table public.parent alter code set not null`,
  );
  const edited = pair.with({ tables: [{ ...PARENT, excludeColumns: ['code'] }, CHILD] });
  const [record] = observed.ledger.tables;
  assert.ok(record);
  const leaving = { mirror: edited.mirror, owner, log };
  const taken = await locksTaken(pair.destination, async () =>
    leaveOut(pair.destination, leaving, record),
  );
  assert.deepEqual(taken, ['public.parent ACCESS EXCLUSIVE']);
  const copy = (await edited.plan()).steps.find(({ kind }) => kind === 'copy-table');
  assert.ok(copy);
  const [said] = locksOf(copy);
  assert.deepEqual(`${said?.on} ${said?.mode}`, taken[0]);
  assert.match(said?.effect ?? '', /^as soon as the file is read/);
});

test('a swap locks the table, both ends of its foreign keys, and the views, policies and rules that read it', async () => {
  await using stage = await startStage();
  await stage.fill('second');
  const plan = await prepareSwap(stage.beside, stage.record);
  const taken = await locksTaken(stage.stream, async () =>
    swapTables(stage.stream, OWNER, stage.record, plan),
  );
  const { destination } = stage.record;
  const bound = [
    destination.name,
    'customers',
    'notes',
    'lines',
    'guarded',
    'inbox',
    'first',
    'second',
    'grouped',
  ];
  assert.deepEqual(
    taken
      .filter((lock) => lock.endsWith(' ACCESS EXCLUSIVE'))
      .map((lock) => bound.find((one) => lock.includes(`.${one} `)) ?? lock)
      .sort(),
    bound.toSorted(),
  );
  const table = { ...PARENT, resyncStrategy: 'swap' as const };
  const [, said] = locksOf({
    kind: 'copy-table',
    table,
    reason: 'resync',
    strategy: 'swap',
    generation: { table: 1, mirror: 0 },
    estimatedRows: 0,
    estimatedBytes: 0,
    relaxes: [],
    disturbs: true,
  });
  assert.equal(
    `${said?.mode} on ${said?.on}`,
    'ACCESS EXCLUSIVE on public.parent, both ends of its foreign keys, and the views, policies and rules that read it',
  );
});
