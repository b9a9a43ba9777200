/** The daemon on real directories and servers: what runs goes on, what is removed goes, nothing else does. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Status } from '../../src/status/status.ts';
import { readStatus } from '../../src/status/read-status.ts';
import { TestMirror } from '../mirror/test-mirror.ts';
import { until } from '../servers/processes.ts';
import { sharedClusters } from '../servers/shared.ts';
import { mirrorFile, PEER } from './folder.ts';

const SETUP = `create table a (id int primary key, note text); insert into a values (1, 'one');
  create table b (id int primary key)`;
const TABLES = [{ source: 'public.a' }, { source: 'public.b' }];
const GRACE = ['--removal-grace', '1s'];

function reasonOf(status: Status, type: string): string | undefined {
  return status.status.conditions.find((condition) => condition.type === type)?.reason;
}

/** The next number goes from one side to the other. */
function counter(mirror: TestMirror): () => Promise<void> {
  let next = 1;
  return async () => {
    next += 1;
    await mirror.atSource(`insert into a values (${next}, 'after')`);
    await mirror.waitForRows('a', next);
  };
}

test('kill -9, and a restart with the file broken, missing, the directory gone or empty: it streams on', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const streams = counter(mirror);
  const [dir, file] = [mirror.mirrorDirectory, join(mirror.mirrorDirectory, 'mirror.yaml')];
  await mirror.write({ tables: TABLES });
  await mirror.start(GRACE);
  await mirror.waitReady();
  const until = async (reason: string): Promise<void> => {
    await mirror.waitFor(
      (status) =>
        reasonOf(status, 'Ready') === reason && reasonOf(status, 'Replicating') === 'Streaming',
    );
    await streams();
  };
  writeFileSync(file, 'kind: [');
  await until('SchemaInvalid');
  await mirror.kill();
  await mirror.start(GRACE);
  await until('SchemaInvalid');
  await mirror.kill();
  rmSync(dir, { recursive: true });
  await mirror.start(GRACE);
  await until('SpecMissing');
  mkdirSync(dir);
  await until('SpecMissing');
  assert.match(JSON.stringify(await mirror.status()), /taken for a lost mount|cannot read/);
  await mirror.write({ tables: TABLES });
  await mirror.waitReady();
  await mirror.assertNothingToDo();
  const lines = (await mirror.readLog()).split('\n');
  assert.equal(
    lines.filter((line) => line.includes('its file is back')).length,
    1,
    'a line for each transition',
  );
});

test('a file that is removed: first the grace, then slot, status and last good spec are gone; --once tells', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const file = join(mirror.mirrorDirectory, 'mirror.yaml');
  const applied = join(mirror.statusDirectory, '.applied', `${mirror.name}.yaml`);
  const once = async (): Promise<number> => {
    const args = [
      'run',
      '--once',
      '--status-dir',
      mirror.statusDirectory,
      '--removal-grace',
      '300ms',
    ];
    const { code } = await mirror.command(args[0] ?? '', ...args.slice(1));
    return code;
  };
  const slots = async (): Promise<number> =>
    (
      await mirror.atSource(
        `select 1 from pg_replication_slots where slot_name = 'bunny_${mirror.name}'`,
      )
    ).length;
  await mirror.write({ tables: TABLES });
  assert.equal(await once(), 0);
  renameSync(file, `${file}.away`);
  assert.equal(await once(), 1, 'an empty directory is no removal');
  assert.equal(await slots(), 1);
  assert.ok(existsSync(applied));
  writeFileSync(join(mirror.mirrorDirectory, 'from.yaml'), PEER);
  assert.equal(await once(), 0);
  assert.equal(await slots(), 0);
  assert.deepEqual([existsSync(applied), await mirror.status()], [false, undefined]);
});

test('one who was never taken has a status while it is so; a mirror can be forgotten by hand', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const [dir, statusDir] = [mirror.mirrorDirectory, mirror.statusDirectory];
  const crm = async (): Promise<Status | undefined> => readStatus(statusDir, 'crm');
  const seen = async (what: string, condition: () => Promise<boolean>): Promise<void> =>
    until(condition, {
      timeoutMs: 60_000,
      late: async () => new Error(`${what}: ${await mirror.readLog()}`),
    });
  writeFileSync(join(dir, 'crm.yaml'), mirrorFile('crm', ['leads']).replace('tables', 'tabels'));
  await mirror.write({ tables: TABLES });
  await mirror.start(GRACE);
  await seen('refused', async () => (await crm())?.status.state === 'FAILED');
  const refused = (await crm()) ?? assert.fail();
  assert.equal(reasonOf(refused, 'SpecAccepted'), 'SchemaInvalid');
  rmSync(join(dir, 'crm.yaml'));
  await seen('gone', async () => (await crm()) === undefined);
  // Its servers do not exist: it can never be taken down.
  writeFileSync(
    join(dir, 'crm.yaml'),
    mirrorFile('crm', ['leads']).replaceAll('.internal', '.invalid'),
  );
  await seen('taken', async () => (await crm())?.status.observedSpecHash !== undefined);
  writeFileSync(join(dir, 'from.yaml'), PEER);
  rmSync(join(dir, 'crm.yaml'));
  await seen('terminating', async () => (await crm())?.status.state === 'TERMINATING');
  rmSync(join(statusDir, '.applied', 'crm.yaml'));
  await seen('forgotten', async () => (await crm()) === undefined);
  await mirror.waitReady();
});
