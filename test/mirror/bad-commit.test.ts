/** A commit that is refused as a whole: the status says why, and everything streams on. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { reasonOf } from './reason-of.ts';
import { TestMirror } from './test-mirror.ts';

test('what cannot change is refused, and the mirror streams on, also after kill -9, until it is taken back', async () => {
  await using mirror = await TestMirror.create(
    await sharedClusters(),
    'create table a (id int primary key)',
  );
  const tables = [{ source: 'public.a' }];
  await mirror.write({ tables });
  await mirror.start();
  await mirror.waitReady();
  await mirror.atSource('create publication theirs for table a');
  let rows = 0;
  const streams = async (): Promise<void> => {
    rows += 1;
    await mirror.atSource(`insert into a values (${rows})`);
    await mirror.waitForRows('a', rows);
  };
  const refused = async (field: string): Promise<void> => {
    const { status } = await mirror.waitFor(
      (now) =>
        now.status.conditions[0]?.message.includes(`${field} is `) === true &&
        reasonOf(now, 'Replicating') === 'Streaming',
    );
    const told = status.conditions.map(({ type, status: is, reason }) => `${type}=${is} ${reason}`);
    for (const line of [
      'Ready=False ImmutableFieldChanged',
      'SpecAccepted=False ImmutableFieldChanged',
      'Stalled=True ImmutableFieldChanged',
    ])
      assert.ok(told.includes(line), told.join());
  };

  await mirror.write({ tables, publication: 'theirs' });
  await refused('spec.publication');
  await streams();
  await mirror.kill();
  await mirror.start();
  await refused('spec.publication');
  await streams();
  const other = { ...mirror.destinationEndpoint(), database: 'postgres' };
  await mirror.write({ tables, destination: other });
  await refused('spec.destination.database');
  await streams();
  const waited = await mirror.command('wait', mirror.name, '--timeout', '1s');
  assert.equal(waited.code, 4);
  assert.match(
    waited.stderr,
    /not taken this file up yet: .*spec\.destination\.database is postgres/,
  );

  await mirror.write({ tables });
  await mirror.waitReady();
  await streams();
  await mirror.assertNothingToDo();
  assert.deepEqual(
    await mirror.destination.cluster.query(
      'postgres',
      `select to_regnamespace('bunnydb') is null as untouched`,
    ),
    [{ untouched: 't' }],
  );
});
