/** Somebody at the source sits in a transaction that has written: what has to wait for it says so, and what need not does not. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Client } from 'pg';
import type { Status } from '../../src/status/status.ts';
import { sharedClusters } from '../servers/shared.ts';
import { STRATEGIES } from './strategies.ts';
import { TestMirror } from './test-mirror.ts';

const SETUP = /* sql */ `
create table keyed (id int primary key, v text);
insert into keyed select g, 'old' from generate_series(1, 1000) g;
create table keyless (v text);
alter table keyless replica identity full;
insert into keyless select 'same' from generate_series(1, 100);
create table other (id int primary key);
`;
const TABLES = ['keyed', 'keyless', 'other'];

/** In one transaction, all of it on rows that a copy made meanwhile holds in their older form. */
const WRITES = /* sql */ `
insert into keyed values (2000, 'new');
update keyed set v = 'changed' where id <= 10;
update keyed set id = 3000 where id = 11;
delete from keyed where id between 20 and 30;
insert into keyless values ('same'), ('same'), ('another');
delete from keyless where ctid in (select ctid from keyless limit 5);
`;

/** A session of an application: in a transaction, with an xid, and idle. */
async function sitIdle(mirror: TestMirror): Promise<{ client: Client; pid: string }> {
  const { host, port, user } = mirror.sourceEndpoint();
  const { cluster, database } = mirror.source;
  const client = new Client({
    host,
    port,
    user,
    password: cluster.password,
    database,
    application_name: 'forgotten',
  });
  await client.connect();
  await client.query(`begin; ${WRITES}`);
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
  return { client, pid: String(rows[0]?.pid) };
}

async function assertStillIdle(mirror: TestMirror, pid: string): Promise<void> {
  const [row] = await mirror.atSource(
    `select state || ' ' || (backend_xid is not null) as state from pg_stat_activity where pid = ${pid}`,
  );
  assert.equal(row?.['state'], 'idle in transaction true');
}

async function rowsOf(mirror: TestMirror, table: string): Promise<string> {
  const [row] = await mirror.atDestination(`select count(*) as rows from ${table}`);
  return row?.['rows'] ?? '';
}

test('the first creation of a slot waits for it, and the status names pid, role, application and age', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: TABLES.map((name) => ({ source: `public.${name}` })) });
  const { client, pid } = await sitIdle(mirror);
  try {
    await mirror.start();
    const ready = ({ status }: Status): string =>
      status.conditions
        .filter(({ type, reason }) => type === 'Ready' && reason === 'SlotWaiting')
        .map(({ message }) => message)
        .join('');
    const first = ready(await mirror.waitFor((status) => ready(status) !== ''));
    assert.match(
      first,
      new RegExp(
        `^the slot waits for pid ${pid} \\(role postgres, application forgotten, idle in transaction, open for \\d+ s\\)\\. .*end the one that the message names`,
      ),
    );
    // It is told anew with each try: the age is no memory of the first.
    await mirror.waitFor((status) => ready(status) !== '' && ready(status) !== first);
    const shown = await mirror.command('status', mirror.name);
    assert.match(shown.stdout, new RegExp(`^SlotWaiting: the slot waits for pid ${pid} `, 'm'));
    await assertStillIdle(mirror, pid);
    await client.query('commit');
  } finally {
    await client.end();
  }
  await mirror.waitReady();
  await mirror.caughtUp();
  await mirror.assertSame(TABLES);
});

for (const strategy of STRATEGIES)
  test(`a resync by ${strategy} starts and ends while it sits there; its rows come when it commits, once`, async () => {
    await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
    await mirror.write({
      resyncStrategy: strategy,
      tables: TABLES.map((name) => ({ source: `public.${name}` })),
    });
    await mirror.start();
    await mirror.waitReady();
    await mirror.atDestination(`delete from keyed where id > 500`);
    const { client, pid } = await sitIdle(mirror);
    try {
      const bumped = await mirror.command(
        'resync',
        '--status-dir',
        mirror.statusDirectory,
        mirror.name,
        'public.keyed',
        'public.keyless',
      );
      assert.equal(bumped.code, 0, bumped.stderr);
      for (const table of ['public.keyed', 'public.keyless']) {
        const waited = await mirror.command('wait', mirror.name, '--for', `resync=${table}`);
        assert.equal(waited.code, 0, waited.stderr);
      }
      await mirror.waitReady();
      await assertStillIdle(mirror, pid);
      const status = await mirror.status();
      assert.deepEqual(
        status?.status.tables.map(({ resyncGeneration }) => resyncGeneration.observed),
        [1, 1, 0],
      );
      // As the source shows it: nothing of a transaction that may still roll back.
      await mirror.assertSame(TABLES);
      assert.equal(await rowsOf(mirror, 'keyed'), '1000');
      await mirror.atSource(
        `insert into other values (1); insert into keyed values (4000, 'later')`,
      );
      await mirror.waitForRows('other', 1);
      await mirror.waitForRows('keyed', 1001);
      await client.query('commit');
    } finally {
      await client.end();
    }
    await mirror.caughtUp();
    await mirror.assertSame(TABLES);
    assert.equal(await rowsOf(mirror, 'keyed'), '991');
    assert.equal(await rowsOf(mirror, 'keyless'), '98');
    await mirror.assertNothingToDo();
  });
