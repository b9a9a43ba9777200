import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDestination } from '../../src/execute/table-run.ts';
import { migrateLedger, registerMirror, takeEpoch } from '../../src/postgres/ledger.ts';
import { openSession } from '../../src/postgres/session.ts';
import { mirror as mirrorOf } from '../plan/fixtures.ts';
import { sharedClusters } from '../servers/shared.ts';

test('a run of a daemon that lost its mirror opens no session any more', async () => {
  const { destination } = await sharedClusters();
  const connection = destination.connection(await destination.createDatabase());
  const mirror = { ...mirrorOf(), destination: connection };
  const { name } = mirror;
  await using next = await openSession(connection, { mirror: name, role: 'owner' });
  await migrateLedger(next);
  await registerMirror(next, {
    name,
    epoch: 0n,
    slot: mirror.slot,
    publication: mirror.publication.name,
    sourceSystemIdentifier: '1',
    sourceDatabase: 'shop',
  });
  const epoch = (await takeEpoch(next, name)) ?? 0n;
  const { signal } = new AbortController();
  const options = { mirror, owner: { mirror: name, epoch }, signal };
  await (await openDestination(options, 'writer')).close();
  await takeEpoch(next, name);
  await assert.rejects(openDestination(options, 'writer'), { code: 'NotOwner' });
});
