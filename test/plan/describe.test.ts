import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unpainted } from '../../src/cli/output.ts';
import type { PlanReport } from '../../src/cli/plan-look.ts';
import { planText } from '../../src/cli/plan-text.ts';
import { MirrorError } from '../../src/core/errors.ts';
import {
  closingLine,
  describeStep,
  describeStepOf,
  formatBytes,
  totalsOf,
} from '../../src/plan/describe.ts';
import { describeLock, locksOf } from '../../src/plan/locks.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { column, mirror, name, observed, record, run, shape, table } from './fixtures.ts';

function textOf(plan: Plan): string {
  const looks = [{ plan, diff: '', isRun: false }];
  return planText({ looks, failures: [], invalid: [] }, unpainted);
}

test('a plan reads as text: steps with what they lock, refusals with their hints, notices, and the count', () => {
  const file = mirror([
    table('public.users', { generation: { table: 4, mirror: 0 } }),
    table('public.New', { destination: name('copy.New') }),
    table('public.gone'),
  ]);
  const plan = planMirror(
    file,
    observed({
      tables: {
        'public.users': {
          record: record('public.users', undefined, { observed: { table: 3, mirror: 1 } }),
        },
        'public.New': {
          destination: 'copy.New',
          destinationShape: undefined,
          record: undefined,
          sourceShape: shape('public.New', { estimatedRows: -1, totalBytes: 5_368_709_120 }),
        },
        'public.gone': { sourceShape: undefined },
      },
      publication: {
        ...observed().publication!,
        tables: [name('public.users'), name('public.old')],
      },
    }),
  );
  assert.equal(
    textOf(plan),
    `Mirror shop

    + schema copy
    + table copy.New (2 columns)
    ~ publication: drop public.old
      locks SHARE UPDATE EXCLUSIVE on public.old (source): for a moment; readers and writers go on, VACUUM and ALTER TABLE wait
    ~ publication: add public.New
      locks SHARE ROW EXCLUSIVE on public.New (source): for a moment; readers go on, writers wait; each try waits 1 s at most
    + ledger: public.New to copy.New
  -/+ rows of public.users: resync by truncate to generation 4 (mirror 1), about 1,000 rows, 128 kB with indexes
      locks ACCESS SHARE on public.users (source): while its rows are read; readers and writers go on, an ALTER TABLE waits, and others behind it
      locks ACCESS EXCLUSIVE on public.users and the tables with foreign keys to it (destination): at its start, to empty it; each try waits 200 ms at most, then lets all others pass
      locks ACCESS EXCLUSIVE on public.users (destination): after the rows, while keys are built that it lacks, if any; readers and writers wait
    + rows of public.New to copy.New: first copy, never analysed, 5.0 GB with indexes
      locks ACCESS SHARE on public.New (source): while its rows are read; readers and writers go on, an ALTER TABLE waits, and others behind it
      locks ACCESS EXCLUSIVE on copy.New and the tables with foreign keys to it (destination): at its start, to empty it; each try waits 200 ms at most, then lets all others pass
      locks ACCESS EXCLUSIVE on copy.New (destination): after the rows, while its keys are built; readers and writers wait
    x TableMissing: table public.gone does not exist on the source
      Create the table on the source or remove it from the mirror file.
    ! GenerationReverted: the mirror's resyncGeneration went back from 1 to 0; nothing is copied, and the next resync needs more than 1

Plan: 4 to create, 2 to change, 1 to replace, 1 refused.
`,
  );
});

test('what a daemon is at is no interruption, and foreign keys that a copy puts aside are named with their locks', () => {
  const kid = { owner: name('app.kid'), name: 'kid_fkey', validated: true };
  const look = observed({
    tables: {
      'public.users': {
        record: record('public.users', { phase: 'Copying', run: run() }),
        foreignKeysTo: [kid, { ...kid, name: 'old_fkey', validated: false }],
      },
    },
  });
  const plan = planMirror(mirror(), look);
  const [step] = plan.steps;
  assert.ok(step);
  const size = 'about 1,000 rows, 128 kB with indexes';
  assert.equal(
    describeStep(step).text,
    `rows of public.users: copy again after an interruption, ${size}; without foreign keys kid_fkey of app.kid, old_fkey of app.kid until it is Live`,
  );
  assert.equal(
    describeStepOf(step, { isRun: true }).text,
    `rows of public.users: copied now by a daemon, ${size}`,
  );
  assert.deepEqual(locksOf(step).slice(3).map(describeLock), [
    'locks SHARE ROW EXCLUSIVE on app.kid and public.users (destination): when it is Live, to put foreign key kid_fkey back; readers go on, writers wait; each try waits 5 s at most',
    'locks SHARE UPDATE EXCLUSIVE on app.kid (destination): when it is Live, while the rows are checked by foreign key kid_fkey; readers and writers go on',
    'locks ROW SHARE on public.users (destination): when it is Live, while the rows are checked by foreign key kid_fkey; readers and writers go on',
    'locks SHARE ROW EXCLUSIVE on app.kid and public.users (destination): when it is Live, to put foreign key old_fkey back; readers go on, writers wait; each try waits 5 s at most',
  ]);
});

test('the empty plan and the suspended one say so', () => {
  assert.equal(
    textOf(planMirror(mirror(), observed())),
    'Mirror shop\n\nNo changes. The mirror matches its file.\n',
  );
  const lacking = shape('public.users', {
    columns: [column('id'), column('note', { type: 'text' })],
  });
  assert.match(
    textOf(
      planMirror(mirror(), observed({ tables: { 'public.users': { destinationShape: lacking } } })),
    ),
    /! ShapeDiffers: .* NOT NULL as at the source\n\nNo changes will be made: 1 difference is left as told above\.\n$/,
  );
  assert.match(
    textOf(planMirror(mirror(undefined, { suspend: true }), observed())),
    /! Suspended: .*\n\nNothing to do: the mirror is suspended\.\n$/,
  );
});

test('the diff comes before the steps; what fails and what is invalid has its x, and only a symbol is coloured', () => {
  const plan = planMirror(mirror(), observed({ schemas: [], shadows: ['1'] }));
  const diff = '--- actual/shop\n+++ desired/shop\n@@ -1,1 +1,1 @@\n-a: 1\n+a: 2\n';
  const report: PlanReport = {
    looks: [{ plan, diff, isRun: true }],
    failures: [{ mirror: 'far', error: new MirrorError('ConnectionFailed', 'no answer') }],
    invalid: [
      {
        severity: 'error',
        code: 'NotSupported',
        message: 'no such thing',
        file: 'mirrors.d/bad.yaml',
        line: 3,
        column: 5,
      },
    ],
  };
  assert.equal(
    planText(report, unpainted),
    `Mirror shop

${diff}
    - public.users: drop what an ended swap left

Plan: 1 to remove.
A daemon runs this mirror, and may be at work on it: bunnydb status shop

Mirror far

    x ConnectionFailed: no answer
      Check that the server is up and that host and port in the mirror file are right.

Invalid files

    x mirrors.d/bad.yaml:3:5: no such thing
`,
  );
  const painted = planText(report, (style, text) => `<${style}>${text}</>`);
  assert.match(
    painted,
    /<bold>--- actual\/shop<\/>\n.*\n<cyan>@@.*\n<red>-a: 1<\/>\n<green>\+a: 2<\/>/,
  );
  assert.match(painted, / {2}<red> {2}-<\/> public\.users/);
  assert.equal(painted.replaceAll(/<\/?[a-z]*>/g, ''), planText(report, unpainted));
});

test('the closing line and the totals count the same', () => {
  const plan: Plan = {
    ...planMirror(mirror(), observed()),
    steps: [
      { kind: 'create-schema', schema: 'a' },
      { kind: 'create-slot', adopt: false },
      { kind: 'publish-table', table: table('public.users') },
      { kind: 'reset-slot', reason: 'is gone' },
    ],
  };
  assert.deepEqual(totalsOf(plan), { create: 2, change: 1, replace: 0, remove: 1, refused: 0 });
  assert.equal(closingLine(plan), 'Plan: 2 to create, 1 to change, 1 to remove.');
});

test('a reset says why', () => {
  assert.deepEqual(describeStep({ kind: 'reset-slot', reason: 'is gone' }), {
    symbol: '-',
    text: 'slot: it is gone; every table is copied again',
  });
});

test('sizes have the digits that say something', () => {
  const sizes = [0, 1_023, 1_024, 10_240, 1_572_864, 1_099_511_627_776_000];
  assert.deepEqual(sizes.map(formatBytes), [
    '0 bytes',
    '1023 bytes',
    '1.0 kB',
    '10 kB',
    '1.5 MB',
    '1000 TB',
  ]);
});
