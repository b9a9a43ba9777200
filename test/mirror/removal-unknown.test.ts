/** A removed mirror that its destination does not know ends, and not without a word. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { Gate } from './gate.ts';
import { InProcess } from './in-process.ts';
import { TestMirror } from './test-mirror.ts';

test('while its source is away: one warning says what to look for there, and what to run', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), 'create table a (id int)');
  await using gate = await Gate.open(mirror.sourceEndpoint());
  await gate.shut();
  await using loop = await InProcess.start(mirror, {
    source: gate.connection,
    tables: [{ source: 'public.a' }],
  });
  await mirror.waitFor(({ status }) => status.state === 'FAILED');
  loop.become('removed');
  await loop.gone();
  const told = loop.warnings.filter((line) => line.includes('the source cannot be asked'));
  assert.equal(told.length, 1, loop.warnings.join(''));
  assert.ok(told[0]?.includes(`select pg_drop_replication_slot('bunny_${mirror.name}');`));
});
