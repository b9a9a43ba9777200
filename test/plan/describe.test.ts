import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describePlan, describeStep, formatBytes } from '../../src/plan/describe.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { mirror, name, observed, record, shape, table } from './fixtures.ts';

test('a plan reads as text: steps, refusals with their hints, notices, and the count', () => {
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
    describePlan(plan),
    `Mirror shop

    + schema copy
    + table copy.New (2 columns)
    ~ publication: drop public.old
    ~ publication: add public.New
    + ledger: public.New to copy.New
  -/+ rows of public.users: resync by truncate to generation 4 (mirror 1), about 1,000 rows, 128 kB with indexes
    + rows of public.New to copy.New: first copy, never analysed, 5.0 GB with indexes
    x TableMissing: table public.gone does not exist on the source
      Create the table on the source or remove it from the mirror file.
    ! GenerationReverted: the mirror's resyncGeneration went back from 1 to 0; nothing is copied, and the next resync needs more than 1

Plan: 4 to create, 2 to change, 1 to replace, 1 refused.`,
  );
});

test('the empty plan and the suspended one say so', () => {
  assert.equal(
    describePlan(planMirror(mirror(), observed())),
    'Mirror shop\n\nNo changes. The mirror matches its file.',
  );
  assert.match(
    describePlan(planMirror(mirror(undefined, { suspend: true }), observed())),
    /! Suspended: .*\n\nNothing to do: the mirror is suspended\.$/,
  );
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
