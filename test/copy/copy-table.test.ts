/** Copies between real servers: every row of the snapshot, once. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import type { CopyProgress } from '../../src/copy/copy-table.ts';
import { readHeap, SourceSnapshot } from '../../src/copy/snapshot.ts';
import { openSession } from '../../src/postgres/session.ts';
import { until } from '../servers/processes.ts';
import { DIGEST, TABLE, Workshop } from './workshop.ts';

const SCHEMA = 'create table t (id int primary key, v text)';
const FILL = `insert into t select i, 'v' || i || repeat('x', i % 100) from generate_series(1, 20000) as i`;

test('several workers copy each row once, while the source goes on', async () => {
  await using workshop = await Workshop.open(SCHEMA);
  await workshop.atSource(`${FILL}; delete from t where id % 7 = 0; analyze t`);
  await using snapshot = await SourceSnapshot.take(workshop.mirror);
  const [seen] = await snapshot.session.query(DIGEST);
  const [count] = await snapshot.session.query('select count(*) as count from public.t');
  const changes = (round: number): string =>
    `insert into t select i, 'late' from generate_series(${round} * 100000, ${round} * 100000 + 5000) as i;
     update t set v = 'changed' where id % 10 = ${round}; delete from t where id % 11 = ${round}`;
  let change: Promise<unknown> = Promise.resolve();
  let writers = 0;
  let commits = 0;
  const progress: CopyProgress[] = [];
  const rows = await workshop.copyFrom(snapshot, {
    maxWorkers: 4,
    // What comes and goes now is not in the snapshot: rows on new pages, on old ones, and gone ones.
    openWriter: async () => {
      writers += 1;
      const round = writers;
      change = change.then(async () => workshop.atSource(changes(round)));
      await change;
      return workshop.openWriter();
    },
    fence: async () => {
      commits += 1;
    },
    onProgress: (step) => progress.push(step),
  });
  assert.equal(String(rows), count?.['count']);
  const { source, destination } = await workshop.digests();
  assert.equal(destination, seen?.['digest']);
  assert.notEqual(source, destination);
  assert.equal(writers, 4);
  assert.ok(commits > 20, `${commits} ranges`);
  const last = progress.at(-1);
  assert.equal(last?.rows, rows);
  assert.ok(last.bytes > 0 && last.estimatedRows >= rows);
  for (const step of progress) assert.ok(step.rows <= step.estimatedRows || step.rows <= rows);
});

const TYPES = `create type mood as enum ('so so', 'happy'); create domain positive as int check (value > 0);
  create table t (id int primary key, v text, m mood, a mood[], d positive, n numeric, j json, b bytea, f float8, ts timestamptz, r int4range)`;

for (const format of ['text', 'binary'] as const)
  test(`values of all kinds, in ${format} format`, async () => {
    await using workshop = await Workshop.open(TYPES);
    await workshop.atSource(`insert into t values
      (1, E'tab\\t new\\nline back\\\\slash', 'so so', '{happy,"so so",NULL}', 1, 'NaN', '{"b":1,  "a":1}', '\\x00ff', '-0', 'infinity', 'empty'),
      (2, '', null, '{}', null, 1e-20, 'null', '', 'NaN', '0044-03-15 BC', '[1,3)'),
      (3, null, 'happy', null, 7, 12345678901234567890.5, null, null, 1e-320, now(), null),
      (4, E'\\\\N', null, null, null, null, null, null, null, null, null), (5, E'\\\\.', null, null, null, null, null, null, null, null, null)`);
    const all = ['id', 'v', 'm', 'a', 'd', 'n', 'j', 'b', 'f', 'ts', 'r'];
    // Arrays of users' types carry their oids in binary form: those columns go as text, or not at all.
    const columns =
      format === 'text' ? all : all.filter((column) => !['m', 'a', 'd'].includes(column));
    assert.equal(await workshop.copy({ format, columns }), 5);
    const list = `select ${columns.join(', ')} from t order by id`;
    assert.deepEqual(await workshop.atDestination(list), await workshop.atSource(list));
  });

const SHAPES = [
  { name: 'an empty table', schema: SCHEMA, fill: '', partitioned: false, rows: 0 },
  {
    name: 'a table whose pages are empty',
    schema: SCHEMA,
    fill: `${FILL}; delete from t`,
    partitioned: false,
    rows: 0,
  },
  {
    name: 'a table that was never analysed',
    schema: SCHEMA,
    fill: FILL,
    partitioned: false,
    rows: 20_000,
  },
  {
    name: 'a partitioned table, read by its root',
    schema: `create table t (id int primary key, v text) partition by hash (id);
      create table t0 partition of t for values with (modulus 2, remainder 0); create table t1 partition of t for values with (modulus 2, remainder 1)`,
    fill: FILL,
    partitioned: true,
    rows: 20_000,
  },
] as const;

for (const { name, schema, fill, partitioned, rows } of SHAPES)
  test(`${name}: ${rows} rows`, async () => {
    await using workshop = await Workshop.open(schema);
    await workshop.atSource(fill);
    assert.equal(await workshop.copy({ partitioned }), rows);
    const { source, destination } = await workshop.digests();
    assert.equal(destination, source);
  });

test('what inherits from the table is not copied with it', async () => {
  await using workshop = await Workshop.open(SCHEMA);
  await workshop.atSource(
    `create table child () inherits (t); insert into child values (2, 'child'); insert into t values (1, 'own')`,
  );
  assert.equal(await workshop.copy(), 1);
  assert.deepEqual(await workshop.atDestination('select id from t'), [{ id: '1' }]);
});

const REWRITES = [
  { name: 'a rewrite', sql: 'alter table t alter column id type bigint' },
  { name: 'a new column', sql: 'alter table t add column w int' },
  { name: 'a dropped column', sql: 'alter table t drop column w0' },
  { name: 'a truncate', sql: `truncate t; insert into t values (1, 'new')` },
] as const;

for (const { name, sql } of REWRITES) {
  test(`${name} after the snapshot, before the copy: the snapshot is lost`, async () => {
    await using workshop = await Workshop.open(
      'create table t (id int primary key, v text, w0 int)',
    );
    await workshop.atSource(FILL);
    await using snapshot = await SourceSnapshot.take(workshop.mirror);
    await workshop.atSource(sql);
    await assert.rejects(workshop.copyFrom(snapshot), { code: 'SnapshotLost' });
  });

  test(`${name} before the first worker reads: the snapshot is lost`, async () => {
    await using workshop = await Workshop.open(
      'create table t (id int primary key, v text, w0 int)',
    );
    await workshop.atSource(FILL);
    const openWriter = async (): ReturnType<typeof workshop.openWriter> => {
      await workshop.atSource(sql);
      return workshop.openWriter();
    };
    await assert.rejects(workshop.copy({ openWriter, maxWorkers: 1 }), { code: 'SnapshotLost' });
  });
}

test('the fingerprint of a heap: the same after writes and VACUUM, another after a rewrite', async () => {
  await using workshop = await Workshop.open(SCHEMA);
  const fingerprint = async (): Promise<string> =>
    (await readHeap(workshop.catalog, TABLE)).fingerprint;
  await workshop.atSource(FILL);
  const first = await fingerprint();
  await workshop.atSource('delete from t where id > 10000');
  await workshop.atSource('vacuum analyze t');
  assert.equal(await fingerprint(), first);
  await workshop.atSource('vacuum full t');
  const second = await fingerprint();
  assert.notEqual(second, first);
  await workshop.atSource('alter table t alter column v type varchar(1000)');
  assert.notEqual(await fingerprint(), second);
  await workshop.atSource('drop table t');
  await assert.rejects(fingerprint(), { code: 'TableMissing' });
});

test('a row the destination refuses: that is the error, whichever worker met it', async () => {
  await using workshop = await Workshop.open(
    SCHEMA,
    'create table t (id int primary key, v text check (id <> 19000))',
  );
  await workshop.atSource(`${FILL}; analyze t`);
  await assert.rejects(workshop.copy({ maxWorkers: 4, rowsPerPartition: 3_000 }), (error) => {
    assert.ok(error instanceof MirrorError);
    assert.equal(error.code, 'ConstraintViolated', error.message);
    return true;
  });
});

test('a fence that refuses: nothing of its range is committed', async () => {
  await using workshop = await Workshop.open(SCHEMA);
  await workshop.atSource(FILL);
  let fences = 0;
  const fence = async (): Promise<void> => {
    fences += 1;
    if (fences > 2) throw new MirrorError('NotOwner', 'another daemon took over');
  };
  await assert.rejects(workshop.copy({ fence, maxWorkers: 1 }), { code: 'NotOwner' });
  const [row] = await workshop.atDestination('select count(*) as count from t');
  assert.ok(Number(row?.['count']) > 0 && Number(row?.['count']) < 20_000);
});

test('readers need the session of the snapshot', async () => {
  await using workshop = await Workshop.open(SCHEMA);
  const snapshot = await SourceSnapshot.take(workshop.mirror);
  await snapshot.session.close();
  await assert.rejects(snapshot.openReader(), { code: 'SnapshotLost' });
});

/** The destination takes no row before the lock is released: the copy stands still in the middle. */
const HELD = `create function hold() returns trigger language plpgsql as $$ begin perform pg_advisory_lock_shared(1); return new; end $$;
  create trigger hold before insert on t for each row execute function hold()`;
const LONG = `insert into t select i, repeat(md5(i::text), 50) from generate_series(1, 20000) as i`;

const COPYING = `select pid from pg_stat_activity where datname = current_database() and query like 'copy%' and pid <> pg_backend_pid()`;

const KILL = `select pg_terminate_backend(pid) from (${COPYING}) as copying`;

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = delay(ms, undefined, { signal: late.signal }).then(() => {
    throw new Error(`not done after ${ms} ms`);
  });
  try {
    return await Promise.race([work, timer]);
  } finally {
    late.abort();
    timer.catch(() => undefined);
  }
}

interface StuckCopy {
  readonly workshop: Workshop;
  readonly copy: Promise<number>;
  readonly stop: AbortController;
  /** Lets it go on. */
  readonly release: () => Promise<unknown>;
}

async function stuckCopy(use: (stuck: StuckCopy) => Promise<void>): Promise<void> {
  await using workshop = await Workshop.open(SCHEMA, `${SCHEMA}; ${HELD}`);
  await workshop.atSource(LONG);
  await using holder = await openSession(workshop.mirror.destination, {
    mirror: 'holder',
    role: 'observer',
  });
  await holder.query('select pg_advisory_lock(1)');
  const stop = new AbortController();
  const copy = workshop.copy({ signal: stop.signal, maxWorkers: 1, rowsPerPartition: 1e6 });
  copy.catch(() => undefined);
  await until(async () => (await workshop.atDestination(COPYING)).length > 0, {
    timeoutMs: 20_000,
    late: async () => new Error('the copy does not begin'),
  });
  const release = async (): Promise<unknown> => holder.query('select pg_advisory_unlock_all()');
  await use({ workshop, copy, stop, release });
  await release();
  const left = async (): Promise<number> =>
    (await workshop.atSource(COPYING)).length + (await workshop.atDestination(COPYING)).length;
  await until(async () => (await left()) === 0, {
    timeoutMs: 20_000,
    late: async () => new Error('a copy is left over'),
  });
  assert.deepEqual(await workshop.atDestination('select id from t'), []);
}

test('a copy that is told to stop stops at once, with everything it had open', async () => {
  await stuckCopy(async ({ copy, stop }) => {
    stop.abort();
    await within(5_000, assert.rejects(copy, { name: 'AbortError' }));
  });
});

test('a copy whose session at the destination is killed fails at once, as a connection', async () => {
  await stuckCopy(async ({ workshop, copy }) => {
    await workshop.atDestination(KILL);
    await within(5_000, assert.rejects(copy, { code: 'ConnectionFailed' }));
  });
});

test('a copy whose session at the source is killed fails, as a connection', async () => {
  await stuckCopy(async ({ workshop, copy, release }) => {
    await workshop.atSource(KILL);
    // What was on the wire is taken first.
    await release();
    await within(20_000, assert.rejects(copy, { code: 'ConnectionFailed' }));
  });
});
