/** A swap on real servers, as a superuser and as a role that is none: what it carries over, and what it refuses. */
import assert from 'node:assert/strict';
import { subscribe } from 'node:diagnostics_channel';
import { test } from 'node:test';
import { CHECKPOINT_CHANNEL, type CheckpointMessage } from '../../src/core/checkpoint.ts';
import type { Mend } from '../../src/core/mend.ts';
import { buildShadow, createShadow, dropShadow } from '../../src/execute/shadow.ts';
import { LOCK_TIMEOUT_MS } from '../../src/execute/lock-tables.ts';
import { prepareSwap, swapTables } from '../../src/execute/swap.ts';
import { NO_MEND } from '../../src/plan/mend.ts';
import { readLedger } from '../../src/postgres/ledger.ts';
import { openSession, type Row } from '../../src/postgres/session.ts';
import { quoteTable } from '../../src/sql/quote.ts';
import { shadowOf } from '../../src/sql/shadow.ts';
import { until } from '../servers/processes.ts';
import { LIVE } from './belongings-fixture.ts';
import { difference, OWNER, rejection, startStage } from './swap-stage.ts';

for (const role of ['superuser', 'mover'] as const) {
  test(`the catalogs say the same before and after, twice in a row, as ${role}`, async (t) => {
    await using stage = await startStage(role);
    // No other role may switch the triggers by which the server keeps a foreign key.
    if (role === 'superuser')
      await stage.run(`alter table other.lines disable trigger all; alter table ${LIVE} disable trigger all;
        alter table ${LIVE} enable trigger user, enable always trigger always_it, disable trigger never_it`);
    const before = await stage.dump();
    assert.ok(before.length > 300, `${before.length} lines`);
    for (const payload of ['second', 'third']) {
      await stage.fill(payload);
      const took = await stage.swap();
      t.diagnostic(`${role}, ${payload}: the swap took ${took.toFixed(0)} ms`);
      assert.ok(took < 3000, `${took} ms`);
      // To the customer, to itself, from the lines and from the notes; the one that is NOT VALID stays so.
      assert.equal(await stage.settle(), 4);
      assert.deepEqual(difference(before, await stage.dump()), []);
      const SECOND = 'select string_agg(distinct payload, $$,$$) from other.second';
      assert.equal(await stage.value(SECOND), payload);
      assert.equal(await stage.value('select other.total(0)'), '1000');
      assert.equal(await stage.value('select n from other.third'), '1000');
      assert.equal(await stage.value('select count(*) from other.grouped'), '1000');
    }
    const { savedForeignKeys } = await readLedger(stage.beside, OWNER.mirror);
    assert.deepEqual(savedForeignKeys, []);
  });
}

test('what a sequence hands out after a swap is in no row', async () => {
  await using stage = await startStage('mover');
  await stage.fill(
    'next',
    `
    insert into SHADOW (id, by_default, serial_id, code, during) overriding system value
      values (7000, -2000, 3000, 'far', '[9000,9001)')`,
  );
  await stage.swap();
  await stage.run(`insert into ${LIVE} (code, during) values ('new', '[9001,9002)')`);
  const [row] = await stage.root.query(
    `select id, by_default, serial_id from ${LIVE} where code = 'new'`,
  );
  assert.deepEqual(row, { id: '7005', by_default: '-2001', serial_id: '3001' });
});

test('a sequence goes on from where it was when no row is beyond it', async () => {
  await using stage = await startStage();
  await stage.run(
    `insert into ${LIVE} (code, during) select 'x' || i, int4range(20000 + i, 20001 + i) from generate_series(1, 10) i`,
  );
  const next = (): Promise<Row[]> =>
    stage.root.query(
      `insert into ${LIVE} (code, during) values ('y', '[30000,30001)') returning id, by_default, serial_id`,
    );
  await stage.root.query('begin');
  const [expected] = await next();
  await stage.root.query('rollback');
  await stage.run(
    `set session_replication_role = replica; delete from ${LIVE} where code like 'x%'; set session_replication_role = origin`,
  );
  await stage.fill('next');
  await stage.swap();
  const [row] = await next();
  for (const column of ['id', 'by_default', 'serial_id'] as const) {
    const step = Number(row?.[column]) - Number(expected?.[column]);
    // What the rolled back one took, or kept ready for its session, is not handed out again.
    assert.ok(
      column === 'by_default' ? step < 0 : step > 0,
      `${column} ${expected?.[column]} ${row?.[column]}`,
    );
  }
});

test('readers never see an empty table, and wait for a moment only', async (t) => {
  await using stage = await startStage('mover');
  await stage.fill('new');
  const FROM = [LIVE, 'other.second', 'other.third, other.second', LIVE];
  const stop = new AbortController();
  let begun = 0;
  const readers = FROM.map(async (from) => {
    await using session = await openSession(stage.connection, {
      mirror: 'reader',
      role: 'observer',
    });
    let [longest, reads] = [0, 0];
    const seen = new Set<string>();
    while (!stop.signal.aborted) {
      const begin = performance.now();
      const [row] = await session.query(
        `select count(*) as n, string_agg(distinct payload, ',') as payload from ${from}`,
      );
      longest = Math.max(longest, performance.now() - begin);
      assert.equal(row?.['n'], '1000');
      seen.add(row['payload'] ?? '');
      if (reads === 0) begun += 1;
      reads += 1;
    }
    return { longest, reads, seen: [...seen] };
  });
  await until(() => begun === FROM.length, {
    timeoutMs: 30_000,
    late: async () => new Error(`${begun} of ${FROM.length} readers have begun`),
  });
  await stage.swap();
  await stage.settle();
  await stage.fill('newer');
  await stage.swap();
  stop.abort();
  for (const { longest, reads, seen } of await Promise.all(readers)) {
    t.diagnostic(`${reads} reads, the longest ${longest.toFixed(0)} ms`);
    assert.ok(longest < 2000, `${longest} ms`);
    assert.ok(
      seen.includes('old') && seen.every((payload) => !payload.includes(',')),
      seen.join(' '),
    );
  }
});

test('a reader that does not let go: the swap gives up within a moment and names it', async () => {
  await using stage = await startStage('mover');
  await stage.fill('new');
  const before = await stage.dump();
  const holds = async (sql: string, on: string): Promise<void> => {
    await stage.root.query('begin');
    await stage.root.query(sql);
    const begin = performance.now();
    const { message } = await rejection(stage.swap(), 'LockTimeout');
    const took = performance.now() - begin;
    assert.ok(took > LOCK_TIMEOUT_MS / 2 && took < LOCK_TIMEOUT_MS * 10, `${took} ms`);
    const pid = await stage.value('select pg_backend_pid()');
    assert.match(
      message,
      new RegExp(`process ${pid} \\(postgres, bunnydb:test:observer.* on ${on}`),
    );
    await stage.root.query('rollback');
    assert.deepEqual(difference(before, await stage.dump()), []);
    const [timeouts] = await stage.stream.query(
      `select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement`,
    );
    assert.deepEqual(timeouts, { lock: '5s', statement: '0' });
  };
  await holds(`select from ${LIVE} limit 1`, '"Mixed');
  await holds('select from other.lines limit 1', 'other.lines');
  await holds(`lock table other.guarded in row exclusive mode`, 'other.guarded');
  await holds('alter view other.grouped alter column title set default 1', 'other.grouped');
  const shadow = quoteTable(shadowOf(stage.record));
  await holds(`lock table ${shadow} in access share mode`, 'bunnydb_shadow_');
  await stage.swap();
  assert.equal(await stage.value(`select max(payload) from ${LIVE}`), 'new');
});

test('the rest is replayed in the same transaction, the settings are put back in it', async () => {
  await using stage = await startStage();
  await stage.fill('new');
  const plan = await prepareSwap(stage.beside, stage.record);
  await stage.stream.transaction(async () => {
    await stage.stream.query(`set local lock_timeout = '7s'`);
    await stage.stream.query(`set local statement_timeout = '9s'`);
    const shadow = quoteTable(shadowOf(stage.record));
    for (const table of [LIVE, shadow])
      await stage.stream.query(
        `update ${table} set code = 'rest', payload = 'rest' where serial_id = 7`,
      );
    await swapTables(stage.stream, OWNER, stage.record, plan);
    const [row] = await stage.stream.query(
      `select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement, current_setting('plan_cache_mode') as plans, current_user as role`,
    );
    assert.deepEqual(row, { lock: '7s', statement: '9s', plans: 'auto', role: 'postgres' });
  });
});

test('maintenance by hand holds the swap up, outside the stream, and is named', async () => {
  await using stage = await startStage();
  await stage.fill('new');
  await stage.root.query('begin');
  await stage.root.query(`lock table ${LIVE} in share update exclusive mode`);
  const { message } = await rejection(prepareSwap(stage.beside, stage.record), 'LockTimeout');
  assert.match(message, /process \d+ \(postgres, bunnydb:test:observer/);
  await stage.root.query('rollback');
});

const OBSTACLES: readonly { readonly made: string; readonly named: RegExp }[] = [
  {
    made: `create materialized view other.direct as select id from ${LIVE}`,
    named: /materialized view other\.direct/,
  },
  {
    made: `create function other.one(o ${LIVE}) returns int language sql as 'select 1'`,
    named: /function other\.one/,
  },
  { made: `create table other.typed (o ${LIVE})`, named: /other\.typed/ },
  { made: `create view other.whole as select o from ${LIVE} o`, named: /other\.whole|column "o"/ },
  { made: `create table other.heir () inherits (${LIVE})`, named: /table other\.heir/ },
];

for (const { made, named } of OBSTACLES)
  test(`what cannot be carried over is named, and nothing changes: ${made.slice(0, 40)}`, async () => {
    await using stage = await startStage();
    await stage.fill('new');
    await stage.run(made);
    const before = await stage.dump();
    const { message } = await rejection(stage.swap(), 'SwapObstructed');
    assert.match(message, named);
    assert.deepEqual(difference(before, await stage.dump()), []);
  });

test('what the live table got since is built for the shadow; a column is not', async () => {
  await using stage = await startStage();
  await stage.fill('new');
  await stage.run(`create index late on ${LIVE} (payload); comment on table ${LIVE} is null;
    create statistics other.late on id, payload from ${LIVE}; alter table ${LIVE} no force row level security`);
  const before = (await stage.dump()).filter((line) => !/bunnydb_|pg_toast_/.test(line));
  const plan = await prepareSwap(stage.beside, stage.record);
  await stage.run(`create index later on ${LIVE} (secret)`);
  const tryNow = stage.stream.transaction(async () =>
    swapTables(stage.stream, OWNER, stage.record, plan),
  );
  assert.match((await rejection(tryNow, 'LockTimeout')).message, /got later at this very moment/);
  await stage.run(`drop index "Mixed ""Case"" dots.".later;
    alter table ${LIVE} replica identity default; alter table ${LIVE} set without cluster`);
  await stage.stream.transaction(async () => swapTables(stage.stream, OWNER, stage.record, plan));
  const state = `select relreplident || (select count(*) from pg_index where indrelid = c.oid and indisclustered) from pg_class c where oid = $$${LIVE}$$::regclass`;
  assert.equal(await stage.value(state), 'd0');
  await stage.run(
    `alter table ${LIVE} replica identity using index identity_idx; alter table ${LIVE} cluster on twin_b`,
  );
  const members = `select string_agg(prrelid::regclass::text, ' ') from pg_publication_rel where prrelid::regclass::text like 'bunnydb_%'`;
  assert.equal(await stage.value(members), null);
  await stage.settle();
  assert.deepEqual(
    difference(
      before,
      (await stage.dump()).filter((line) => !line.includes('pg_toast_')),
    ),
    [],
  );
  await stage.fill('newer');
  await stage.run(`alter table ${LIVE} add column late int`);
  assert.match((await rejection(stage.swap(), 'SchemaMismatch')).message, /got column late/);
});

test('what mend drops does not come back, and what it adds is there', async () => {
  await using stage = await startStage();
  const mend: Mend = {
    ...NO_MEND,
    added: [
      {
        name: 'extra',
        attnum: 20,
        type: 'integer',
        baseType: 'integer',
        typeOid: 23,
        builtIn: true,
        notNull: false,
        defaultExpression: '42',
        generated: 'no',
        identity: 'no',
        collation: undefined,
        touches: [],
      },
    ],
    checks: [
      {
        name: 'from the source',
        kind: 'check',
        definition: 'CHECK ((extra > 0))',
        columns: [],
        touches: ['extra'],
        validated: true,
        indexDefinition: undefined,
      },
    ],
    droppedConstraints: ['code once', 'positive', 'to_parent'],
    droppedIndexes: ['twin_a', 'twin_b'],
  };
  await createShadow(stage.beside, OWNER, stage.record, mend);
  await buildShadow(stage.beside, stage.record, mend);
  await stage.swap();
  await dropShadow(stage.beside, OWNER, stage.record);
  const lines = (await stage.dump()).join('\n');
  for (const name of ['code once', 'positive', 'to_parent', 'twin_a', 'twin_b'])
    assert.ok(!lines.includes(name), name);
  for (const name of ['.extra ', 'from the source', 'to_customer'])
    assert.ok(lines.includes(name), name);
});

test('a shadow made again is a new one, a dropped one leaves nothing, a schema of others is left alone', async () => {
  await using stage = await startStage('mover');
  const before = await stage.dump();
  const passed: string[] = [];
  subscribe(CHECKPOINT_CHANNEL, (message) =>
    passed.push((message as CheckpointMessage).checkpoint),
  );
  await stage.fill('once');
  await stage.fill('again');
  assert.equal(
    await stage.value(`select count(*) from ${quoteTable(shadowOf(stage.record))}`),
    '1000',
  );
  assert.deepEqual(passed, []);
  await dropShadow(stage.beside, OWNER, stage.record);
  await dropShadow(stage.beside, OWNER, stage.record);
  assert.deepEqual(passed, ['old-dropped']);
  assert.deepEqual(difference(before, await stage.dump()), []);
  const { schema } = shadowOf(stage.record);
  await stage.run(`create schema ${schema}; create table ${schema}.mine (id int)`);
  await rejection(createShadow(stage.beside, OWNER, stage.record, NO_MEND), 'SwapObstructed');
  await rejection(dropShadow(stage.beside, OWNER, stage.record), 'SwapObstructed');
});
