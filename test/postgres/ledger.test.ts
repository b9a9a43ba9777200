import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLsn } from '../../src/core/lsn.ts';
import {
  advanceProgress,
  forgetSlot,
  LEDGER_VERSION,
  migrateLedger,
  type Owner,
  readLedger,
  recordSlot,
  registerTable,
  takeEpoch,
  writeSource,
  writeTableState,
  writeVerification,
} from '../../src/postgres/ledger.ts';
import { listenForRequests, requestVerification } from '../../src/postgres/ledger-requests.ts';
import { isMirrorLocked, tryLockMirror } from '../../src/postgres/ownership.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import type { Verification } from '../../src/core/verification.ts';
import { INSERT_VERSION, LEDGER_MIGRATIONS } from '../../src/sql/ledger.ts';
import { name } from '../plan/fixtures.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';

const MATCH: Verification = {
  result: 'Match',
  generation: { table: 2, mirror: 1 },
  rows: 5,
  destinationRows: 5,
  lsn: '0/1A2B3C4',
  checkedAt: '2026-11-22T20:01:02.000003Z',
};

async function open(database: string): Promise<Session> {
  const { destination } = await sharedClusters();
  return openSession(destination.connection(database), { mirror: 'shop', role: 'owner' });
}

/** A ledger as the first version left it: one mirror, a Live table and one that is Copying. */
async function firstVersion(): Promise<{ session: Session; database: string }> {
  const { destination } = await sharedClusters();
  const database = await destination.createDatabase();
  const session = await open(database);
  await session.client.query(LEDGER_MIGRATIONS[0] ?? '');
  await session.query(INSERT_VERSION, [1]);
  await session.client.query(`
    insert into bunnydb.mirrors values
      ('shop', 7, 'sha256:0', 'bunny_shop', 'bunny_shop', 'created', '42', 'shop', '0/ABC', now());
    insert into bunnydb.tables (mirror, epoch, source_schema, source_name, destination_schema,
      destination_name, source_oid, observed_table_generation, observed_mirror_generation, state, replayed_seq)
    values
      ('shop', 7, 'public', 'a', 'crm', 'b', 16384, 2, 1, '{"phase": "Live"}', 9),
      ('shop', 7, 'public', 'c', 'public', 'c', null, null, null,
       '{"phase": "Copying", "run": {"id": "r", "strategy": "truncate", "generation": {"table": 0, "mirror": 0}, "startedAt": "x"}}', 0)`);
  return { session, database };
}

test('a ledger of the first version is read as it is, and brought up with all that is in it', async () => {
  const { session } = await firstVersion();
  await using _ = session;
  const before = await readLedger(session, 'shop');
  assert.equal(before.version, 1);
  await migrateLedger(session);
  await migrateLedger(session);
  const after = await readLedger(session, 'shop');
  assert.deepEqual(after, { ...before, version: LEDGER_VERSION });
  assert.deepEqual(
    after.tables.map(({ source, observed, state, sourceOid }) => [
      source.name,
      observed,
      state.phase,
      sourceOid,
    ]),
    [
      ['a', { table: 2, mirror: 1 }, 'Live', 16384],
      ['c', undefined, 'Copying', undefined],
    ],
  );
});

test('many daemons that find no ledger make it once', async () => {
  const { destination } = await sharedClusters();
  const database = await destination.createDatabase();
  const sessions = await Promise.all(Array.from({ length: 8 }, async () => open(database)));
  for (const session of sessions) assert.equal((await readLedger(session, 'shop')).version, 0);
  await Promise.all(sessions.map(async (session) => migrateLedger(session)));
  for (const session of sessions)
    assert.equal((await readLedger(session, 'shop')).version, LEDGER_VERSION);
  for (const session of sessions) await session.close();
});

test('what a comparison found is kept until the table is copied anew, and only its owner writes it', async () => {
  const { session } = await firstVersion();
  await using _ = session;
  await migrateLedger(session);
  const epoch = (await takeEpoch(session, 'shop')) ?? 0n;
  const owner: Owner = { mirror: 'shop', epoch };
  const verification = async (): Promise<Verification | undefined> =>
    (await readLedger(session, 'shop')).tables[0]?.verification;
  await writeVerification(session, owner, '1', MATCH);
  assert.deepEqual(await verification(), MATCH);
  await writeTableState(session, owner, '1', { state: { phase: 'Live' } });
  assert.deepEqual(await verification(), MATCH);
  const stranger = { ...owner, epoch: epoch - 1n };
  await assert.rejects(writeVerification(session, stranger, '1', MATCH), { code: 'NotOwner' });
  await writeTableState(session, owner, '1', {
    state: { phase: 'Live' },
    done: { generation: MATCH.generation },
  });
  assert.equal(await verification(), undefined);
});

test('what a copy was made of and into what is its own: the next one has its own or none', async () => {
  const { session } = await firstVersion();
  await using _ = session;
  await migrateLedger(session);
  const owner: Owner = { mirror: 'shop', epoch: 7n };
  const known = async (): Promise<unknown[]> => {
    const { tables, mirror } = await readLedger(session, 'shop');
    return [tables[0]?.memberships, tables[0]?.filled, mirror?.publicationIdentity];
  };
  const memberships = ['table 40000'];
  const filled = {
    oid: 4_000_000_000,
    databaseOid: 16_384,
    systemIdentifier: '7200000000000000001',
  };
  const publication = { oid: '4000000000', xmin: '3000000000', owner: '10' };
  const { generation } = MATCH;
  const state = { phase: 'Live' } as const;
  const start = { lsn: parseLsn('0/ABC'), timeline: 1 };
  await recordSlot(session, owner, { ...start, publication });
  await writeTableState(session, owner, '1', { state, done: { generation, memberships, filled } });
  await writeTableState(session, owner, '1', { state });
  await writeSource(session, owner, {
    systemIdentifier: '42',
    timeline: 2,
    publication: undefined,
  });
  assert.deepEqual(await known(), [memberships, filled, publication]);
  await writeTableState(session, owner, '1', { state, done: { generation } });
  await forgetSlot(session, owner);
  assert.deepEqual(await known(), [undefined, undefined, undefined]);
});

test('a table has one writer: another one is told who that is', async () => {
  const { session } = await firstVersion();
  await using _ = session;
  await session.query(
    `insert into bunnydb.mirrors values ('other', 1, '', 's', 'p', 'created', '42', 'shop', '0/0', now())`,
  );
  const [ours, its] = [name('public.a'), name('crm.b')];
  await registerTable(session, { mirror: 'shop', epoch: 7n }, { source: ours, destination: its });
  const other = { mirror: 'other', epoch: 1n };
  await assert.rejects(registerTable(session, other, { source: ours, destination: its }), {
    code: 'DestinationTaken',
    message: 'crm.b is still written by mirror shop',
  });
});

test('a request is heard by the owner of the mirror, and its time compares with that of an answer', async () => {
  const { session, database } = await firstVersion();
  await using owner = session;
  await using other = await open(database);
  await migrateLedger(owner);
  let heard = 0;
  await listenForRequests(owner, 'shop', () => (heard += 1));
  await requestVerification(other, 'somebody_else', []);
  await requestVerification(other, 'shop', ['1']);
  await until(() => heard > 0, { timeoutMs: 10_000, late: async () => new Error('not heard') });
  assert.equal(heard, 1);
  const [asked, unasked] = (await readLedger(other, 'shop')).tables;
  assert.match(asked?.verifyRequestedAt ?? '', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
  assert.ok((asked?.verifyRequestedAt ?? '') > MATCH.checkedAt.replace('2026', '2020'));
  assert.equal(unasked?.verifyRequestedAt, undefined);
});

test('who runs a mirror is seen without taking it', async () => {
  const { session, database } = await firstVersion();
  await using other = await open(database);
  {
    await using owner = session;
    // Keys of either sign.
    for (const name of ['shop', 'a', 'b', 'c', 'd']) {
      assert.equal(await isMirrorLocked(other, name), false, name);
      assert.equal(await tryLockMirror(owner, name), true);
      assert.equal(await isMirrorLocked(other, name), true, name);
    }
    assert.equal(await isMirrorLocked(other, 'e'), false);
  }
  await until(async () => !(await isMirrorLocked(other, 'shop')), {
    timeoutMs: 10_000,
    late: async () => new Error('still locked'),
  });
});

test('a ledger that is gone, or has a state that nobody knows, is told as that', async () => {
  const { session } = await firstVersion();
  await using _ = session;
  await migrateLedger(session);
  await session.query(
    `update bunnydb.tables set state = '{"phase": "Melting"}' where source_name = 'c'`,
  );
  await assert.rejects(readLedger(session, 'shop'), {
    code: 'LedgerTooNew',
    message: "the ledger's state of public.c is none that this program knows",
  });
  await session.client.query('drop schema bunnydb cascade');
  const owner = { mirror: 'shop', epoch: 7n };
  await assert.rejects(advanceProgress(session, owner, parseLsn('0/1')), {
    message: 'the ledger, schema bunnydb, is gone from the destination',
    hint: /^Nothing is applied\./,
  });
});
