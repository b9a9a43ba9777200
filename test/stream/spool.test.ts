/** Changes into a real spool table and back, and the replay of one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn } from '../../src/core/lsn.ts';
import { replayRest, type Rest } from '../../src/execute/spool-replay.ts';
import {
  createSpool,
  dropSpool,
  migrateLedger,
  type Owner,
  readLedger,
  registerMirror,
  registerTable,
  takeEpoch,
} from '../../src/postgres/ledger.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import type { Change } from '../../src/stream/assemble.ts';
import { REPLAY_BATCH_BYTES, replayBatch } from '../../src/stream/replay.ts';
import { readFrames, type SpoolEntry, writeSpool } from '../../src/stream/spool.ts';
import { loadTarget } from '../../src/stream/target.ts';
import { parseVisibility } from '../../src/stream/visibility.ts';
import { sharedClusters } from '../servers/shared.ts';
import { changesOf, insert, relation, remove, truncate, UNCHANGED, update } from './pgoutput.ts';

const SOURCE = { schema: 'public', name: 't' };
const T = relation({ id: 1, name: 't', columns: ['id*', 'v'] });
const OTHER = relation({ id: 2, name: 'other', columns: ['id*'] });

interface Ledger extends AsyncDisposable {
  readonly session: Session;
  readonly owner: Owner;
  readonly tableId: string;
}

/** A destination with a ledger, one table in it with an empty spool, and the table itself. */
async function openLedger(): Promise<Ledger> {
  const { destination } = await sharedClusters();
  const connection = destination.connection(await destination.createDatabase());
  const session = await openSession(connection, { mirror: 'spool', role: 'writer' });
  await session.query('create table public.t (id int primary key, v text)');
  await migrateLedger(session);
  const owner = { mirror: 'spool', epoch: 0n };
  await registerMirror(session, {
    name: owner.mirror,
    epoch: owner.epoch,
    slot: 'slot',
    publication: 'publication',
    sourceSystemIdentifier: '1',
    sourceDatabase: 'shop',
  });
  await registerTable(session, owner, { source: SOURCE, destination: SOURCE });
  const [table] = (await readLedger(session, owner.mirror)).tables;
  assert.ok(table);
  await createSpool(session, owner, table.id);
  return { session, owner, tableId: table.id, [Symbol.asyncDispose]: async () => session.close() };
}

function entry(
  tableId: string,
  xid: number,
  messages: readonly Buffer[],
  commitLsn = BigInt(xid),
): SpoolEntry {
  return {
    tableId,
    xid,
    commitLsn: commitLsn as Lsn,
    changes: changesOf(messages),
  };
}

async function spooled(
  session: Session,
  tableId: string,
): Promise<{ xid: string; lsn: string; changes: string; data: Buffer }[]> {
  const rows = await session.query(
    `select xid, commit_lsn, changes, encode(data, 'hex') as data from bunnydb."spool_${tableId}" order by seq`,
  );
  return rows.map((row) => ({
    xid: row['xid'] ?? '',
    lsn: row['commit_lsn'] ?? '',
    changes: row['changes'] ?? '',
    data: Buffer.from(row['data'] ?? '', 'hex'),
  }));
}

/** All that an apply looks at. */
function essence(change: Change): object {
  if (change.tag === 'truncate') return change;
  const { tag, relation, raw } = change;
  const old = change.tag === 'insert' ? undefined : change.old;
  return { tag, relation, raw, old, new: change.tag === 'delete' ? undefined : change.new };
}

test('what was spooled is read back as it was, byte for byte', async () => {
  await using ledger = await openLedger();
  const altered = relation({ id: 1, name: 't', columns: ['v', 'id*'] });
  const entries = [
    entry(ledger.tableId, 7, [
      T,
      insert(1, ['1', Buffer.from([0xff, 0x00, 0x0a])]),
      update(1, ['1', UNCHANGED]),
      altered,
      update(1, ['', null], { kind: 'K', cells: [null, '1'] }),
      remove(1, [null, '1']),
    ]),
    entry(ledger.tableId, 0xffff_ffff, [T, insert(1, ['2', 'x'])], 0x7fff_ffff_ffff_ffffn),
  ];
  await writeSpool(ledger.session, entries);
  const rows = await spooled(ledger.session, ledger.tableId);
  assert.deepEqual(
    rows.map(({ xid, lsn, changes }) => [xid, lsn, changes]),
    [
      ['7', '0/7', '4'],
      ['4294967295', '7FFFFFFF/FFFFFFFF', '1'],
    ],
  );
  for (const [index, { data }] of rows.entries())
    assert.deepEqual(readFrames(data).map(essence), entries[index]?.changes.map(essence));
});

test('a truncate of several tables is, in each spool, one of its own table', async () => {
  await using ledger = await openLedger();
  const messages = [OTHER, T, insert(1, ['1', 'x']), truncate([2, 1]), insert(1, ['2', 'y'])];
  const whole = entry(ledger.tableId, 7, messages);
  // As the router hands it out: the message names both, the change this table alone.
  const changes = whole.changes.map((change) =>
    change.tag === 'truncate' ? { ...change, relations: change.relations.slice(1) } : change,
  );
  await writeSpool(ledger.session, [{ ...whole, changes }]);
  const [row] = await spooled(ledger.session, ledger.tableId);
  assert.ok(row);
  const read = readFrames(row.data);
  assert.deepEqual(
    read.map(({ tag }) => tag),
    ['insert', 'truncate', 'insert'],
  );
  const [, truncated] = read;
  assert.ok(truncated?.tag === 'truncate');
  assert.deepEqual(
    truncated.relations.map(({ name }) => name),
    ['t'],
  );
});

test('entries of several tables go to their own spools, in order', async () => {
  await using ledger = await openLedger();
  const other = { schema: 'public', name: 'other' };
  await registerTable(ledger.session, ledger.owner, { source: other, destination: other });
  const second = (await readLedger(ledger.session, ledger.owner.mirror)).tables[1];
  assert.ok(second);
  await createSpool(ledger.session, ledger.owner, second.id);
  const ofOther = (xid: number): SpoolEntry => entry(second.id, xid, [OTHER, insert(2, ['1'])]);
  const ofTable = (xid: number): SpoolEntry =>
    entry(ledger.tableId, xid, [T, insert(1, ['1', 'x'])]);
  await writeSpool(ledger.session, [ofTable(1), ofOther(2), ofTable(3), ofOther(4)]);
  await writeSpool(ledger.session, []);
  await writeSpool(ledger.session, [ofTable(5)]);
  const xids = async (id: string): Promise<string[]> =>
    (await spooled(ledger.session, id)).map(({ xid }) => xid);
  assert.deepEqual(await xids(ledger.tableId), ['1', '3', '5']);
  assert.deepEqual(await xids(second.id), ['2', '4']);
});

test('bytes that are no frames are refused', () => {
  const [insertOnly] = [insert(1, ['1', 'x'])];
  const frame = (message: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(message.length);
    return Buffer.concat([length, message]);
  };
  assert.throws(() => readFrames(frame(insertOnly)), /before its description/);
  assert.throws(
    () => readFrames(Buffer.concat([frame(T), frame(insertOnly)]).subarray(0, -1)),
    Error,
  );
  assert.throws(() => readFrames(Buffer.concat([frame(T), Buffer.from([0, 0])])), Error);
  assert.deepEqual(readFrames(Buffer.alloc(0)), []);
});

/** Replays until nothing is left; returns how many spool rows each batch read. */
async function replayAll(ledger: Ledger, snapshot?: string): Promise<number[]> {
  const { session, owner, tableId } = ledger;
  const target = await loadTarget(session, SOURCE, []);
  const copied =
    snapshot === undefined
      ? undefined
      : { visibility: parseVisibility(snapshot), lsn: 1000n as Lsn };
  const batches: number[] = [];
  for (;;) {
    const { rows, missingRows } = await session.transaction(async () =>
      replayBatch(session, owner, { tableId, target, copied }),
    );
    assert.equal(missingRows, 0);
    if (rows === 0) return batches;
    batches.push(rows);
  }
}

test('a replay leaves out what the copy holds, and goes on where it stopped', async () => {
  await using ledger = await openLedger();
  const { session, tableId } = ledger;
  // The copy holds 10 and 12; 11 was in progress.
  await session.query(`insert into public.t values (10, 'copied'), (12, 'copied')`);
  const one = (xid: number): SpoolEntry =>
    entry(tableId, xid, [T, insert(1, [String(xid), 'spooled'])]);
  await writeSpool(session, [one(10), one(11), one(12), one(13)]);
  assert.deepEqual(await replayAll(ledger, '11:13:11'), [4]);
  const rows = async (): Promise<string[]> =>
    (await session.query('select id, v from public.t order by id')).map(
      (row) => `${row['id']} ${row['v']}`,
    );
  assert.deepEqual(await rows(), ['10 copied', '11 spooled', '12 copied', '13 spooled']);
  await writeSpool(session, [one(14)]);
  assert.deepEqual(await replayAll(ledger, '11:13:11'), [1]);
  assert.deepEqual(await rows(), [
    '10 copied',
    '11 spooled',
    '12 copied',
    '13 spooled',
    '14 spooled',
  ]);
});

test('a replay writes the changes of many transactions in one statement', async () => {
  await using ledger = await openLedger();
  const entries = Array.from({ length: 50 }, (_, xid) =>
    entry(ledger.tableId, xid + 1, [T, insert(1, [String(xid), 'x'])]),
  );
  await writeSpool(ledger.session, entries);
  assert.deepEqual(await replayAll(ledger), [50]);
  // The number of the statement within its transaction that made each row.
  const [row] = await ledger.session.query(
    'select count(*) as rows, count(distinct cmin::text) as statements from public.t',
  );
  assert.deepEqual(row, { rows: '50', statements: '1' });
});

test('a replay that is rolled back comes again', async () => {
  await using ledger = await openLedger();
  const { session, owner, tableId } = ledger;
  await writeSpool(session, [entry(tableId, 1, [T, insert(1, ['1', 'x'])])]);
  const target = await loadTarget(session, SOURCE, []);
  await assert.rejects(
    session.transaction(async () => {
      await replayBatch(session, owner, { tableId, target, copied: undefined });
      throw new Error('no');
    }),
    /no/,
  );
  assert.deepEqual(await session.query('select id from public.t'), []);
  assert.deepEqual(await replayAll(ledger), [1]);
  assert.deepEqual(await session.query('select id from public.t'), [{ id: '1' }]);
});

test('a large spool is replayed in batches of bytes, at least one row each', async () => {
  await using ledger = await openLedger();
  const big = 'x'.repeat(REPLAY_BATCH_BYTES / 2);
  const one = (id: number, value: string): SpoolEntry =>
    entry(ledger.tableId, id, [T, insert(1, [String(id), value])]);
  const huge = 'y'.repeat(2 * REPLAY_BATCH_BYTES);
  await writeSpool(ledger.session, [
    one(1, big),
    one(2, big),
    one(3, big),
    one(4, huge),
    one(5, 'z'),
  ]);
  const batches = await replayAll(ledger);
  assert.equal(
    batches.reduce((sum, rows) => sum + rows, 0),
    5,
  );
  assert.ok(batches.length >= 3, batches.join());
  const [count] = await ledger.session.query('select count(*) as count from public.t');
  assert.equal(count?.['count'], '5');
});

test('a new spool is empty and its replay begins anew; one that is dropped twice is gone', async () => {
  await using ledger = await openLedger();
  const { session, owner, tableId } = ledger;
  await writeSpool(session, [entry(tableId, 1, [T, insert(1, ['1', 'x'])])]);
  assert.deepEqual(await replayAll(ledger), [1]);
  await createSpool(session, owner, tableId);
  assert.deepEqual(await spooled(session, tableId), []);
  await writeSpool(session, [entry(tableId, 2, [T, insert(1, ['2', 'x'])])]);
  assert.deepEqual(await replayAll(ledger), [1]);
  await dropSpool(session, tableId);
  await dropSpool(session, tableId);
  await assert.rejects(spooled(session, tableId), { code: 'TableMissing' });
});

test('who lost the mirror replays nothing', async () => {
  await using ledger = await openLedger();
  await writeSpool(ledger.session, [entry(ledger.tableId, 1, [T, insert(1, ['1', 'x'])])]);
  assert.equal(await takeEpoch(ledger.session, ledger.owner.mirror), 1n);
  await assert.rejects(replayAll(ledger), { code: 'NotOwner' });
  await assert.rejects(createSpool(ledger.session, ledger.owner, ledger.tableId), {
    code: 'NotOwner',
  });
  assert.deepEqual(await ledger.session.query('select id from public.t'), []);
});

test('what is replayed while the stream waits is little: when much came, the rest is left for later', async () => {
  await using ledger = await openLedger();
  const { session, owner, tableId } = ledger;
  const [record] = (await readLedger(session, owner.mirror)).tables;
  assert.ok(record);
  const table = {
    source: SOURCE,
    destination: SOURCE,
    excludeColumns: [],
    generation: { table: 0, mirror: 0 },
    resyncStrategy: 'truncate',
  } as const;
  const replay = { record, snapshot: undefined, missing: 0 };
  const rest = async (): Promise<Rest> =>
    session.transaction(async () => replayRest({ owner, table }, session, replay));
  const big = 'x'.repeat(600_000);
  await writeSpool(session, [
    entry(tableId, 1, [T, insert(1, ['1', big])]),
    entry(tableId, 2, [T, insert(1, ['2', big])]),
    entry(tableId, 3, [T, remove(1, ['9', null])]),
  ]);
  assert.deepEqual(await rest(), { isWhole: false, missing: 1 });
  assert.deepEqual(await session.query('select id from public.t order by id'), [
    { id: '1' },
    { id: '2' },
  ]);
  await writeSpool(session, [entry(tableId, 4, [T, insert(1, ['4', 'small'])])]);
  assert.deepEqual(await rest(), { isWhole: true, missing: 0 });
  assert.deepEqual(await rest(), { isWhole: true, missing: 0 });
});
