import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableRecord } from '../../src/core/table-state.ts';
import { openSession, type Session } from '../../src/postgres/session.ts';
import { Boundaries } from '../../src/stream/boundaries.ts';
import { sharedClusters } from '../servers/shared.ts';

const TABLE: TableRecord = {
  id: '1',
  source: { schema: 'public', name: 't' },
  destination: { schema: 'public', name: 't' },
  observed: undefined,
  state: { phase: 'Live' },
};

/** A session with one table to see commits and rollbacks in. */
async function open(): Promise<Session> {
  const { destination } = await sharedClusters();
  const connection = destination.connection(await destination.createDatabase());
  const session = await openSession(connection, { mirror: 'boundaries', role: 'writer' });
  await session.query('create table public.done (what text)');
  return session;
}

async function done(session: Session): Promise<string[]> {
  const rows = await session.query('select what from public.done order by what');
  return rows.map((row) => row['what'] ?? '');
}

async function note(session: Session, what: string): Promise<void> {
  await session.query('insert into public.done values ($1)', [what]);
}

const NOTHING = async (): Promise<() => void> => () => undefined;
const REMOVE_NOTHING = (): void => undefined;

test('requests run one at a call, oldest first, each asked for by a wake', async () => {
  await using session = await open();
  let wakes = 0;
  const boundaries = new Boundaries(() => (wakes += 1));
  assert.equal(boundaries.hasWork, false);
  const results = ['a', 'b'].map(async (what) =>
    boundaries.request(async (inside) => {
      await note(inside, what);
      return { result: `did ${what}` };
    }),
  );
  assert.equal(wakes, 2);
  await boundaries.runNext(session, NOTHING, REMOVE_NOTHING);
  assert.deepEqual(await done(session), ['a']);
  assert.equal(await results[0], 'did a');
  assert.equal(boundaries.hasWork, true);
  await boundaries.runNext(session, NOTHING, REMOVE_NOTHING);
  assert.equal(await results[1], 'did b');
  assert.equal(boundaries.hasWork, false);
  await boundaries.runNext(session, NOTHING, REMOVE_NOTHING);
  assert.deepEqual(await done(session), ['a', 'b']);
});

test('changed tables are prepared inside the transaction and routed after its commit', async () => {
  await using session = await open();
  await using watcher = await openSession(
    (await sharedClusters()).destination.connection(session.client.database ?? ''),
    { mirror: 'boundaries', role: 'observer' },
  );
  const boundaries = new Boundaries(() => undefined);
  const seen: string[] = [];
  const request = boundaries.request(async (inside) => {
    await note(inside, 'work');
    return { result: 1, changed: [TABLE], removed: TABLE.source };
  });
  await boundaries.runNext(
    session,
    async (changed) => {
      seen.push(
        `prepare ${changed.map(({ source }) => source.name).join()}: ${(await done(watcher)).length} rows`,
      );
      await note(session, 'prepare');
      return () => seen.push('committed');
    },
    ({ name }) => seen.push(`removed ${name}`),
  );
  seen.push(`result ${await request}: ${(await done(watcher)).length} rows`);
  assert.deepEqual(seen, ['prepare t: 0 rows', 'committed', 'removed t', 'result 1: 2 rows']);
});

test('a request that fails is rolled back and rejected; the next one runs', async () => {
  await using session = await open();
  const boundaries = new Boundaries(() => undefined);
  const bad = boundaries.request(async (inside) => {
    await note(inside, 'bad');
    throw new Error('no');
  });
  const good = boundaries.request(async (inside) => {
    await note(inside, 'good');
    return { result: 'yes' };
  });
  const rejected = assert.rejects(bad, /^Error: no$/);
  await boundaries.runNext(session, NOTHING, REMOVE_NOTHING);
  await rejected;
  await boundaries.runNext(session, NOTHING, REMOVE_NOTHING);
  assert.equal(await good, 'yes');
  assert.deepEqual(await done(session), ['good']);
});

test('a preparation that fails takes the work with it; nothing is routed', async () => {
  await using session = await open();
  const boundaries = new Boundaries(() => undefined);
  let routed = false;
  const request = boundaries.request(async (inside) => {
    await note(inside, 'work');
    return { result: 1, changed: [TABLE] };
  });
  const rejected = assert.rejects(request, /no target/);
  await boundaries.runNext(
    session,
    async () => {
      throw new Error('no target');
    },
    () => (routed = true),
  );
  await rejected;
  assert.equal(routed, false);
  assert.deepEqual(await done(session), []);
});

test('a broken session ends the stream: the request is rejected and the error thrown', async () => {
  await using session = await open();
  const boundaries = new Boundaries(() => undefined);
  const request = boundaries.request(async (inside) => {
    inside.destroy();
    await note(inside, 'never');
    return { result: 1 };
  });
  const rejected = assert.rejects(request, Error);
  await assert.rejects(boundaries.runNext(session, NOTHING, REMOVE_NOTHING), Error);
  await rejected;
});

test('closing rejects what waits and everything that comes', async () => {
  const boundaries = new Boundaries(() => undefined);
  const end = new Error('the stream has ended');
  const waiting = [1, 2].map(async (result) => boundaries.request(async () => ({ result })));
  const rejected = Promise.all(waiting.map(async (one) => assert.rejects(one, end)));
  boundaries.close(end);
  await rejected;
  assert.equal(boundaries.hasWork, false);
  await assert.rejects(
    boundaries.request(async () => ({ result: 3 })),
    end,
  );
});
