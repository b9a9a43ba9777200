/** Between the look at a slot and the stream from it: what the slot has become by then is judged again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import { formatLsn, type Lsn, LSN_ZERO, parseLsn } from '../../src/core/lsn.ts';
import { Receiver } from '../../src/stream/receive.ts';
import { mirror } from '../plan/fixtures.ts';
import { sharedClusters } from '../servers/shared.ts';

const ANY_SOURCE = { systemIdentifier: '', timeline: undefined };

test('a slot that was made again since it was looked at is not followed on, nor taken back to where it was', async () => {
  const { source: cluster } = await sharedClusters();
  const database = await cluster.createDatabase();
  const query = async (sql: string): Promise<Record<string, string | null>[]> =>
    cluster.query(database, sql);
  const slot = `made_again_${database}`;
  const create = `select lsn from pg_create_logical_replication_slot('${slot}', 'pgoutput')`;
  await query(`create table t (id int primary key); create publication "${slot}" for table t`);
  const publication = { ...mirror().publication, name: slot };
  const file = mirror([], { source: cluster.connection(database), slot, publication });
  const open = async (from: Lsn): Promise<Receiver> => {
    const receiver = new Receiver(() => undefined, systemClock);
    // Far more often than a stream does: none of it may be told to the source before the slot was judged.
    const confirming = setInterval(() => receiver.confirm(from), 1);
    try {
      await receiver.open(file, from, ANY_SOURCE);
      return receiver;
    } catch (error) {
      await receiver.close();
      throw error;
    } finally {
      clearInterval(confirming);
    }
  };

  const from = parseLsn((await query(create))[0]?.['lsn'] ?? '');
  await (await open(from)).close();
  await query(`select pg_drop_replication_slot('${slot}')`);
  await query('insert into t values (1)');
  const again = parseLsn((await query(create))[0]?.['lsn'] ?? '');
  await assert.rejects(open(from), {
    code: 'TargetRewound',
    message: new RegExp(
      `^slot ${slot} has confirmed ${formatLsn(again)}, and only ${formatLsn(from)} was applied`,
    ),
  });
  const [now] = await query(
    `select confirmed_flush_lsn as lsn from pg_replication_slots where slot_name = '${slot}'`,
  );
  assert.equal(now?.['lsn'], formatLsn(again));
  await (await open(again)).close();
  await assert.rejects(open(LSN_ZERO), { code: 'TargetRewound' });
});
