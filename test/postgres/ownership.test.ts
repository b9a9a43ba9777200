import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applicationName, type SessionRole } from '../../src/postgres/application-name.ts';
import {
  announceStandby,
  endSessions,
  endOwnSession,
  endSilentOwner,
  giveUpMirror,
  isMirrorLocked,
  nameSession,
  readStanding,
  readStandbys,
  signSession,
  tryLockMirror,
  withdrawStandby,
} from '../../src/postgres/ownership.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import type { Cluster } from '../servers/cluster.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';

interface Place {
  readonly cluster: Cluster;
  readonly database: string;
}

async function place(): Promise<Place> {
  const { destination: cluster } = await sharedClusters();
  return { cluster, database: await cluster.createDatabase() };
}

async function open({ cluster, database }: Place, role: SessionRole = 'owner'): Promise<Session> {
  return openSession(cluster.connection(database), { mirror: 'shop', role });
}

async function standbyOf(where: Place, mirror: string, id: number): Promise<Session> {
  const session = await open(where, 'standby');
  await signSession(session, id);
  await announceStandby(session, mirror);
  return session;
}

test('a name that has no room is cut, and still says whose session it is and what for', () => {
  const long = 'm'.repeat(56);
  assert.equal(applicationName('shop', 'walsender'), 'bunnydb:shop:walsender');
  const roles = ['walsender', 'owner', 'standby'] as const;
  for (const role of roles) {
    const name = applicationName(long, role);
    assert.equal(name.length, 63);
    assert.ok(name.endsWith(`:${role}`), name);
    assert.notEqual(name, applicationName(`${long.slice(1)}n`, role));
  }
});

test('who runs a mirror and who stands by for it is seen by everybody, of each mirror by itself', async () => {
  const where = await place();
  await using owner = await open(where);
  await using first = await standbyOf(where, 'shop', 2 ** 31 - 1);
  await using second = await standbyOf(where, 'shop', 7);
  await using _other = await standbyOf(where, 'crm', 8);
  assert.equal((await readStanding(first, 'shop')).owner, undefined);
  assert.equal(await isMirrorLocked(owner, 'shop'), true, 'a standby is about to run it');
  await signSession(owner, 5);
  assert.equal(await tryLockMirror(owner, 'shop'), true);
  const standing = await readStanding(first, 'shop');
  const [row] = await owner.query('select pg_backend_pid() as pid');
  assert.equal(standing.owner?.pid, Number(row?.['pid']));
  assert.equal(standing.owner?.daemon, 5);
  assert.deepEqual(standing.standbys, [7]);
  assert.deepEqual(await readStandbys(owner, 'shop'), [7, 2 ** 31 - 1]);
  await withdrawStandby(second, 'shop');
  assert.deepEqual(await readStandbys(owner, 'shop'), [2 ** 31 - 1]);
  await first.close();
  const gone = async (): Promise<boolean> => (await readStandbys(owner, 'shop')).length === 0;
  await until(gone, { timeoutMs: 5_000, late: async () => new Error('still there') });
  assert.equal((await readStanding(second, 'crm')).owner, undefined);
});

test('a standby that says nothing stands by for nobody, until it speaks again', async () => {
  const where = await place();
  await using owner = await open(where);
  await using standby = await standbyOf(where, 'shop', 1);
  await using other = await open(where, 'standby');
  const seen = async (): Promise<number> => (await readStandbys(owner, 'shop', 0.3)).length;
  const late = async (): Promise<Error> => new Error('it is as before');
  await until(async () => (await seen()) === 0, { timeoutMs: 5_000, late });
  assert.deepEqual((await readStanding(other, 'shop', 0.3)).standbys, []);
  assert.deepEqual(await readStandbys(owner, 'shop'), [1]);
  const speaks = async (): Promise<boolean> => {
    await standby.query('select 1');
    return (await seen()) === 1;
  };
  await until(speaks, { timeoutMs: 5_000, late });
});

test('a mirror that is given up is free at once, and who listens hears of it', async () => {
  const where = await place();
  await using owner = await open(where);
  await using standby = await standbyOf(where, 'shop', 1);
  await standby.query('listen bunnydb');
  const heard = new Promise((resolve) => standby.client.once('notification', resolve));
  assert.equal(await tryLockMirror(owner, 'shop'), true);
  assert.equal(await tryLockMirror(standby, 'shop'), false);
  await giveUpMirror(owner, 'shop');
  await heard;
  assert.equal(await tryLockMirror(standby, 'shop'), true);
});

test('an owner that says nothing is ended, one that works or speaks is not', async () => {
  const where = await place();
  await using owner = await open(where);
  await using standby = await standbyOf(where, 'shop', 1);
  await tryLockMirror(owner, 'shop');
  const silence = async (): Promise<number | undefined> =>
    (await readStanding(standby, 'shop')).owner?.silentSeconds;
  const long = async (): Promise<boolean> => ((await silence()) ?? 0) > 0.3;
  await until(long, { timeoutMs: 5_000, late: async () => new Error('never silent') });
  await readStandbys(owner, 'shop');
  assert.ok(((await silence()) ?? 1) < 0.3, 'it has spoken');
  const working = owner.query('select pg_sleep(1)');
  const works = async (): Promise<boolean> => (await silence()) === undefined;
  await until(works, { timeoutMs: 5_000, late: async () => new Error('not seen to work') });
  assert.equal(await endSilentOwner(standby, 'shop', 0), false);
  await working;
  assert.equal(await endSilentOwner(standby, 'shop', 60), false);
  assert.equal(await endSilentOwner(standby, 'shop', 0), true);
  assert.equal(await tryLockMirror(standby, 'shop'), true);
  await assert.rejects(owner.query('select 1'), { code: 'ConnectionFailed' });
});

test('what is left of a daemon’s own session is ended though it works, and another daemon’s is not', async () => {
  const where = await place();
  await using owner = await open(where);
  await using next = await open(where, 'standby');
  await signSession(owner, 5);
  await tryLockMirror(owner, 'shop');
  const working = owner.query('select pg_sleep(60)');
  working.catch(() => undefined);
  await endOwnSession(next, 'shop', 6);
  assert.equal((await readStanding(next, 'shop')).owner?.daemon, 5);
  await endOwnSession(next, 'shop', 5);
  await assert.rejects(working, { code: 'ConnectionFailed' });
  assert.equal(await tryLockMirror(next, 'shop'), true);
});

test('mirrors whose names have one hash of 32 bits are run each by itself', async () => {
  const where = await place();
  const names = ['m11320', 'm73331'] as const;
  const [row] = await where.cluster.query(
    where.database,
    `select hashtext('${names[0]}') = hashtext('${names[1]}') as same`,
  );
  assert.equal(row?.['same'], 't');
  await using one = await open(where);
  await using two = await open(where);
  for (const [session, mirror] of [
    [one, names[0]],
    [two, names[1]],
  ] as const) {
    await nameSession(session, mirror, 'owner');
    await signSession(session, 5);
    assert.equal((await readStanding(session, mirror)).owner, undefined);
    assert.equal(await isMirrorLocked(session, mirror), false);
    assert.equal(await tryLockMirror(session, mirror), true);
  }
  await using standby = await standbyOf(where, names[0], 7);
  assert.deepEqual(await readStandbys(two, names[1]), []);
  // A lock that is another mirror's by its holder's name is none of ours to end, whatever its key says.
  await nameSession(one, names[1], 'owner');
  await endOwnSession(standby, names[0], 5);
  await one.query('select 1');
  await nameSession(one, names[0], 'owner');
  await endOwnSession(standby, names[0], 5);
  await assert.rejects(one.query('select 1'), { code: 'ConnectionFailed' });
});

test('an owner whose client takes no more of a result is silent, and is ended', async () => {
  const where = await place();
  await using owner = await open(where);
  await using standby = await standbyOf(where, 'shop', 1);
  await tryLockMirror(owner, 'shop');
  owner.client.connection.stream.pause();
  const large = owner.query("select repeat('x', 1000) from generate_series(1, 100000)");
  large.catch(() => undefined);
  const isSilent = async (): Promise<boolean> =>
    ((await readStanding(standby, 'shop')).owner?.silentSeconds ?? 0) > 0.3;
  await until(isSilent, { timeoutMs: 10_000, late: async () => new Error('never silent') });
  assert.equal(await endSilentOwner(standby, 'shop', 0), true);
  assert.equal(await tryLockMirror(standby, 'shop'), true);
  owner.client.connection.stream.resume();
  await assert.rejects(large, { code: 'ConnectionFailed' });
});

test('an owner that waits for what its own paused sessions hold is silent too', async () => {
  const where = await place();
  await where.cluster.query(where.database, 'create table t (id int)');
  await using owner = await open(where);
  await using writer = await open(where, 'writer');
  await using stranger = await open(where, 'observer');
  await using standby = await standbyOf(where, 'shop', 1);
  await tryLockMirror(owner, 'shop');
  for (const [holder, isSilent] of [
    [stranger, false],
    [writer, true],
  ] as const) {
    await holder.query('begin');
    await holder.query('lock table public.t');
    await owner.query('set lock_timeout = 0');
    const blocked = owner.query('drop table if exists public.t, public.u');
    const waits = async (): Promise<boolean> => {
      const [row] = await standby.query(
        `select count(*) as n from pg_locks where not granted and locktype = 'relation'`,
      );
      return row?.['n'] === '1';
    };
    await until(waits, { timeoutMs: 5_000, late: async () => new Error('does not wait') });
    const { owner: seen } = await readStanding(standby, 'shop');
    assert.equal(seen?.silentSeconds !== undefined, isSilent);
    await holder.query('rollback');
    await blocked;
    await where.cluster.query(where.database, 'create table if not exists t (id int)');
  }
});

test('the sessions of a former owner are ended by their names, and nobody else’s', async () => {
  const where = await place();
  await using taker = await open(where, 'standby');
  await nameSession(taker, 'shop', 'writer');
  await using writer = await open(where, 'writer');
  await using reader = await open(where, 'observer');
  await using other = await openSession(where.cluster.connection(where.database), {
    mirror: 'shop_2',
    role: 'writer',
  });
  const elsewhere = await place();
  await using far = await open(elsewhere, 'writer');
  assert.equal(await endSessions(taker, 'shop', ['writer', 'copier']), 1);
  await assert.rejects(writer.query('select 1'), { code: 'ConnectionFailed' });
  for (const session of [taker, reader, other, far]) await session.query('select 1');
});
