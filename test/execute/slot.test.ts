import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { silentLog } from '../../src/core/log.ts';
import { LSN_ZERO, parseLsn } from '../../src/core/lsn.ts';
import { executeRemoval } from '../../src/execute/retire-mirror.ts';
import { createSlot } from '../../src/execute/slot.ts';
import { planRemoval } from '../../src/plan/removal.ts';
import { readLedger, recordSlot } from '../../src/postgres/ledger.ts';
import { openReplication } from '../../src/postgres/replication.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import { sharedClusters } from '../servers/shared.ts';
import { mirrorTable, Pair, startPair } from './pair.ts';

const TABLE = 'create table public.t (id int primary key)';

async function withTable(): Promise<Pair> {
  const pair = await startPair([mirrorTable('public.t')]);
  await pair.onSource(TABLE);
  return pair;
}

test('a slot that has to wait says for whom, and leaves nothing behind', async () => {
  await using pair = await withTable();
  await using writer = await openSession(pair.mirror.source, { mirror: 'blocker', role: 'writer' });
  await writer.query('begin');
  await writer.query('insert into public.t values (1)');
  const [row] = await writer.query('select pg_backend_pid() as pid');
  await assert.rejects(pair.execute(), (error: unknown) => {
    assert.ok(error instanceof MirrorError);
    assert.equal(error.code, 'SlotWaiting');
    assert.match(
      error.message,
      new RegExp(
        `^the slot waits for pid ${row?.['pid']} \\(role postgres, application bunnydb:blocker:writer, idle in transaction, open for \\d+ s\\)$`,
      ),
    );
    return true;
  });
  assert.equal((await pair.observe()).slot, undefined);
  const before = await pair.plan();
  assert.equal(before.steps[0]?.kind, 'create-slot');
  await writer.query('commit');
  await pair.execute();
  const { slot, ledger } = await pair.observe();
  assert.equal(ledger.mirror?.slotState, 'created');
  assert.equal(ledger.mirror?.appliedLsn, slot?.confirmedFlushLsn);
});

test('of several the slot names the oldest, not the one whose age has the larger first digit', async () => {
  await using pair = await withTable();
  const open = async (name: string): Promise<Session> => {
    const session = await openSession(pair.mirror.source, { mirror: name, role: 'writer' });
    await session.query('begin');
    await session.query(`insert into public.t values (${name === 'oldest' ? 1 : 2})`);
    return session;
  };
  await using oldest = await open('oldest');
  for (let count = 0; count < 110; count += 1) await pair.onSource('select pg_current_xact_id()');
  await using newest = await open('newest');
  await assert.rejects(
    pair.execute(),
    /the slot waits for pid \d+ \(role postgres, application bunnydb:oldest:/,
  );
  await oldest.query('rollback');
  await newest.query('rollback');
  await pair.execute();
});

test('a role that may not see other sessions is told who it is and how to see the rest', async () => {
  await using pair = await withTable();
  const role = `blind_${pair.mirror.source.database.replaceAll(/[^a-z0-9]/g, '_')}`;
  await pair.onSource(
    `create role ${role} login replication password 'x'; grant ${role} to current_user`,
  );
  try {
    await using writer = await openSession(pair.mirror.source, {
      mirror: 'blocker',
      role: 'writer',
    });
    await writer.query('begin');
    await writer.query('insert into public.t values (1)');
    await assert.rejects(pair.execute(), { code: 'SlotWaiting' });
    const observed = await pair.observe();
    const owner = { mirror: pair.mirror.name, epoch: 0n };
    const { mirror, source, destination } = pair;
    const ctx = { mirror, source, destination, observed, owner, log: silentLog() };
    await source.query(`set role ${role}`);
    await assert.rejects(
      createSlot(ctx, { kind: 'create-slot', adopt: false }),
      /^MirrorError: the slot waits for pid \d+ \(role postgres, application bunnydb:blocker:writer, its age is shown to members of pg_read_all_stats\)$/,
    );
  } finally {
    await pair.source.query('reset role');
    await pair.onSource(`drop role ${role}`);
  }
});

test('a session that has only read keeps no slot waiting', async () => {
  await using pair = await withTable();
  await using reader = await openSession(pair.mirror.source, { mirror: 'idle', role: 'observer' });
  await reader.query('begin transaction isolation level repeatable read');
  await reader.query('select id from public.t');
  await pair.execute();
  assert.equal((await pair.plan()).steps.length, 0);
});

test('a slot that an interrupted try left is adopted where it stands', async () => {
  await using pair = await withTable();
  await pair.execute();
  const { slot, ledger } = await pair.observe();
  await pair.onDestination(
    `update bunnydb.mirrors set slot_state = 'creating', applied_lsn = '0/0'`,
  );
  assert.deepEqual((await pair.plan()).steps, [{ kind: 'create-slot', adopt: true }]);
  await pair.execute();
  const after = await readLedger(pair.destination, pair.mirror.name);
  assert.deepEqual(after.mirror, ledger.mirror);
  assert.equal(after.mirror?.appliedLsn, slot?.confirmedFlushLsn);
});

test("a slot that another destination's mirror made meanwhile is left to it: used, idle, and when this one is removed", async () => {
  await using theirs = await withTable();
  const { mirror } = theirs;
  const { destination: cluster } = await sharedClusters();
  const destination = cluster.connection(await cluster.createDatabase());
  const session = await openSession(destination, { mirror: mirror.name, role: 'owner' });
  await using ours = new Pair({ ...mirror, destination }, theirs.source, session);
  await using writer = await openSession(mirror.source, { mirror: 'blocker', role: 'writer' });
  await writer.query('begin');
  await writer.query('insert into public.t values (1)');
  await assert.rejects(ours.execute(), { code: 'SlotWaiting' });
  await writer.query('commit');
  await theirs.execute();
  const before = (await theirs.observe()).slot;

  assert.deepEqual((await ours.plan()).steps[0], { kind: 'create-slot', adopt: true });
  await assert.rejects(ours.execute(), {
    code: 'SlotUnknown',
    message: `slot ${mirror.slot} is there, and was not made by this destination's mirror`,
    hint: /^Rename the mirror; or, only if no mirror \S+ runs anywhere and nobody else uses the slot, .*pg_drop_replication_slot/,
  });
  const stream = await openReplication(mirror.source, {
    mirror: mirror.name,
    slot: mirror.slot,
    publication: mirror.publication.name,
    from: LSN_ZERO,
    onMessage: () => undefined,
    onKeepalive: () => undefined,
  });
  await stream.started;
  const [refusal, ...others] = (await ours.plan()).refusals;
  assert.equal(refusal?.error.code, 'SlotUnknown');
  assert.deepEqual(others, []);
  await stream.close();

  const look = await ours.observe();
  const { mirror: record, tables } = look.ledger;
  assert.ok(record);
  const owner = { mirror: mirror.name, epoch: record.epoch };
  const ends = { mirror: ours.mirror, source: ours.source, destination: session };
  const ctx = { ...ends, owner, look, record, tables, log: silentLog() };
  for (const step of planRemoval(ours.mirror, look).steps) await executeRemoval(ctx, step);
  assert.equal((await ours.observe()).ledger.mirror, undefined);
  const after = (await theirs.observe()).slot;
  assert.equal(after?.confirmedFlushLsn, before?.confirmedFlushLsn);
  assert.deepEqual((await theirs.plan()).steps, []);
});

test('a lost slot is made again, and every table copied again; a rewound one likewise', async () => {
  await using stopped = await withTable();
  await stopped.execute();
  const drop = `select pg_drop_replication_slot('${stopped.mirror.slot}')`;
  await stopped.onSource(drop);
  const refused = await stopped.plan();
  assert.deepEqual(
    refused.refusals.map((refusal) => refusal.error.code),
    ['SlotLost'],
  );
  assert.deepEqual(refused.steps, []);
  const pair = stopped.with({ onSlotLoss: 'Resync' });
  const kinds = ['reset-slot', 'create-slot', 'copy-table'];
  assert.deepEqual(
    (await pair.plan()).steps.map((step) => step.kind),
    kinds.toSpliced(2, 0, 'accept-spec'),
  );
  await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);

  const { ledger } = await pair.observe();
  const owner = { mirror: pair.mirror.name, epoch: ledger.mirror?.epoch ?? 0n };
  await recordSlot(pair.destination, owner, {
    lsn: parseLsn('0/1'),
    timeline: 1,
    publication: ledger.mirror?.publicationIdentity,
  });
  assert.deepEqual(
    (await pair.plan()).steps.map((step) => step.kind),
    kinds,
  );
  await pair.execute();
  assert.deepEqual((await pair.plan()).steps, []);
  assert.equal((await pair.observe()).ledger.tables[0]?.state.phase, 'Live');
});

test("somebody else's slot of that name is left alone", async () => {
  await using pair = await withTable();
  await pair.onSource(
    `select pg_create_logical_replication_slot('${pair.mirror.slot}', 'pgoutput')`,
  );
  const plan = await pair.plan();
  assert.deepEqual(plan.steps, []);
  assert.deepEqual(
    plan.refusals.map((refusal) => refusal.error.code),
    ['SlotUnknown'],
  );
});
