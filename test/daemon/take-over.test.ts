/** What a daemon that takes a mirror ends at the source, where no fence of the ledger reaches. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../src/core/log.ts';
import { formatLsn, LSN_ZERO, type Lsn } from '../../src/core/lsn.ts';
import { takeOver, type TakenOver } from '../../src/daemon/ownership/take-over.ts';
import { openReplication, type ReplicationStream } from '../../src/postgres/replication.ts';
import { openSession } from '../../src/postgres/session.ts';
import { mirrorTable, type Pair, startPair } from '../execute/pair.ts';

/** As a daemon that never saw another one with the mirror. */
async function take({ mirror, source, destination }: Pair): Promise<TakenOver> {
  const log = silentLog();
  return takeOver({ mirror: mirror.name, source, destination, isFromAnother: false, log });
}

/** A reader of the slot that says nothing, as a paused daemon's. */
async function read({ mirror }: Pair): Promise<ReplicationStream> {
  const stream = await openReplication(mirror.source, {
    mirror: mirror.name,
    slot: mirror.slot,
    publication: mirror.publication.name,
    from: LSN_ZERO,
    onMessage: () => undefined,
    onKeepalive: () => undefined,
  });
  await stream.started;
  return stream;
}

test('sessions of a former owner that are left at the source alone are ended, those of another mirror of that name are not', async () => {
  await using pair = await startPair([mirrorTable('public.t')]);
  await pair.onSource('create table public.t (id int primary key)');
  await pair.execute();
  const { source, name } = pair.mirror;
  // Somebody who plans meanwhile is no former owner.
  await using observer = await openSession(source, { mirror: name, role: 'observer' });

  const stream = await read(pair);
  await using former = await openSession(source, { mirror: name, role: 'source' });
  const taken = await take(pair);
  assert.equal(taken.isFromAnother, true);
  await assert.rejects(stream.done, { code: 'ConnectionFailed' });
  await assert.rejects(former.query('select 1'), { code: 'ConnectionFailed' });
  await observer.query('select 1');
  assert.equal((await pair.observe()).slot?.active, false);
  assert.equal((await take(pair)).isFromAnother, false, 'nothing is left of it');

  const other = await read(pair);
  const { slot } = await pair.observe();
  const confirmed = slot?.confirmedFlushLsn ?? LSN_ZERO;
  const set = async (change: string): Promise<void> =>
    pair.onDestination(`update bunnydb.mirrors set ${change}`);
  for (const change of [
    `applied_lsn = '${formatLsn((confirmed - 1n) as Lsn)}'`,
    `applied_lsn = '${formatLsn(confirmed)}', source_database = 'elsewhere'`,
    `source_database = '${pair.mirror.source.database}', slot_state = 'creating'`,
  ]) {
    await set(change);
    assert.equal((await take(pair)).isFromAnother, false, change);
    assert.equal((await pair.observe()).slot?.active, true, change);
  }
  await other.close();
});
