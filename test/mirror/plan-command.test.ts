/** `bunnydb plan` as a process, on real servers: what it shows, what it leaves alone, how it ends. */
import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { stringify } from 'yaml';
import { assertJsonText } from '../plan/agreement.ts';
import { findFreePort } from '../servers/cluster.ts';
import { runCommand } from '../servers/daemon.ts';
import { sharedClusters } from '../servers/shared.ts';
import { TestMirror } from './test-mirror.ts';

const SETUP = /* sql */ `
create table parents (id int primary key, note text default 'none');
create index parents_note_idx on parents (note);
create table children (id int primary key, parent int references parents);
insert into parents select g, 'n' from generate_series(1, 10) g; insert into children values (1, 1);
analyze parents; analyze children;
`;
const TABLES = [{ source: 'public.parents' }, { source: 'public.children' }];

/** What a colour begins with. */
const ESCAPE = '\u001B';

interface PlanJson {
  readonly plans: readonly {
    readonly mirror: string;
    readonly running: boolean;
    readonly diff: string;
    readonly steps: readonly {
      kind: string;
      text: string;
      locks: object[];
      estimatedRows?: number;
    }[];
    readonly totals: { create: number };
  }[];
  readonly errors: readonly { mirror: string; code: string; hint: string }[];
  readonly invalid: readonly { file: string; code: string; line: number }[];
}

async function planJson(
  mirror: TestMirror,
  ...args: string[]
): Promise<PlanJson & { code: number }> {
  const { code, stdout, stderr } = await mirror.command('plan', '-o', 'json', ...args);
  assert.ok(!stdout.includes(ESCAPE), stderr);
  assertJsonText(stdout);
  return { ...(JSON.parse(stdout) as PlanJson), code };
}

const EVERYTHING_THERE = /* sql */ `
select string_agg(what, ', ' order by what) as there from (
  select 'relation ' || oid::regclass as what from pg_class where oid >= 16384
  union all select 'schema ' || nspname from pg_namespace where oid >= 16384
  union all select 'publication ' || pubname from pg_publication
  union all select 'slot ' || slot_name from pg_replication_slots where database = current_database()) found`;

test('plan shows a mirror that is right beside one that is invalid and one that cannot be reached, and changes nothing', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  const file = (name: string): string => join(mirror.mirrorDirectory, name);
  await mirror.write({ tables: TABLES });
  const far = {
    apiVersion: 'bunnydb/v1',
    kind: 'Mirror',
    metadata: { name: 'far' },
    spec: {
      source: { ...mirror.sourceEndpoint(), port: await findFreePort() },
      destination: { ...mirror.destinationEndpoint(), database: 'nowhere' },
      tables: [{ source: 'public.parents' }],
    },
  };
  await writeFile(file('far.yaml'), stringify(far));
  await writeFile(file('bad.yaml'), stringify({ ...far, metadata: { name: 'Bad Name' } }));
  const before = [
    await mirror.atSource(EVERYTHING_THERE),
    await mirror.atDestination(EVERYTHING_THERE),
  ];

  const all = await planJson(mirror, '--detailed-exitcode');
  assert.equal(all.code, 3);
  assert.deepEqual(
    all.plans.map((plan) => [plan.mirror, plan.running]),
    [[mirror.name, false]],
  );
  assert.deepEqual(
    all.errors.map((error) => [error.mirror, error.code]),
    [['far', 'ConnectionFailed']],
  );
  assert.deepEqual(
    all.invalid.map((found) => [found.file, found.line]),
    [[file('bad.yaml'), 4]],
  );
  const [plan] = all.plans;
  assert.match(plan?.diff ?? '', /^\+ {2}note: text default 'none'::text$/m);
  assert.match(plan?.diff ?? '', /^\+ {2}parents_note_idx: USING btree \(note\)$/m);
  const copy = plan?.steps.find(({ kind }) => kind === 'copy-table');
  assert.equal(copy?.estimatedRows, 10);
  assert.ok(copy.locks.length > 1);

  const text = await mirror.command('plan', '--detailed-exitcode');
  assert.equal(text.code, 3);
  assert.ok(!text.stdout.includes(ESCAPE));
  assert.ok(text.stdout.includes(plan?.diff ?? 'no plan'));
  assert.match(text.stdout, /^ {4}\+ slot$/m);
  assert.match(text.stdout, /^Mirror far\n\n {4}x ConnectionFailed: /m);
  assert.match(text.stdout, /^Invalid files\n\n {4}x .*bad\.yaml:4:/m);

  await rm(file('bad.yaml'));
  assert.equal((await planJson(mirror, '--detailed-exitcode')).code, 1);
  const args = ['plan', mirror.name, '--dir', mirror.mirrorDirectory, '--detailed-exitcode'];
  const painted = await runCommand(args, { FORCE_COLOR: '1' });
  assert.equal(painted.code, 2);
  assert.ok(painted.stdout.includes(`${ESCAPE}[32m`), painted.stdout);
  assert.equal((await planJson(mirror, mirror.name)).code, 0);
  assert.deepEqual(
    [await mirror.atSource(EVERYTHING_THERE), await mirror.atDestination(EVERYTHING_THERE)],
    before,
  );
});

test('what plan says is what run does, in the same words; then there is nothing left to say', async () => {
  await using mirror = await TestMirror.create(await sharedClusters(), SETUP);
  await mirror.write({ tables: TABLES });
  const { plans } = await planJson(mirror);
  const said =
    plans[0]?.steps.filter(({ kind }) => kind !== 'copy-table').map(({ text }) => text) ?? [];
  assert.ok(said.length > 5);
  await mirror.start();
  await mirror.waitReady();
  const done = (await mirror.readLog())
    .split('\n')
    .filter((line) => line.includes('"step done"'))
    .map((line) => (JSON.parse(line) as { what: string }).what);
  assert.deepEqual(
    said.filter((text) => !done.includes(text)),
    [],
  );
  const after = await planJson(mirror, '--detailed-exitcode');
  assert.equal(after.code, 0);
  assert.deepEqual(
    after.plans.map(({ running, diff, steps }) => ({ running, diff, steps })),
    [{ running: true, diff: '', steps: [] }],
  );
  await mirror.atDestination('drop index parents_note_idx');
  await mirror.stop();
  const drifted = await planJson(mirror, '--detailed-exitcode');
  assert.equal(drifted.code, 2);
  assert.match(
    drifted.plans[0]?.diff ?? '',
    /^\+\+\+ desired\/\w+\/public\.parents\n@@.*\n(?: .*\n)*\+indexes:\n\+ {2}parents_note_idx/m,
  );
  await mirror.atDestination('create index parents_note_idx on parents (note)');
  await mirror.assertNothingToDo();
});
