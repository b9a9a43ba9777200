import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableRecord } from '../../src/core/table-state.ts';
import type { Verification } from '../../src/core/verification.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { wantsVerification } from '../../src/plan/verify.ts';
import { FAILURE, mirror, observed, record, run, sketchPlan, table } from './fixtures.ts';

const AT = '2026-11-22T20:01:02.000000Z';
const LATER = '2026-11-22T20:01:02.000001Z';

function checked(more: Partial<Verification> = {}): Verification {
  return {
    result: 'Match',
    generation: { table: 0, mirror: 0 },
    rows: 1,
    destinationRows: 1,
    lsn: '0/1',
    checkedAt: AT,
    ...more,
  };
}

function copied(more: Partial<TableRecord> = {}): TableRecord {
  return record('public.users', { phase: 'Live' }, { sourceOid: 20_000, ...more });
}

interface Case {
  readonly name: string;
  readonly record: TableRecord;
  readonly wants: 'copied' | 'requested' | undefined;
}

const COPYING = { phase: 'Copying', run: run() } as const;
const DIVERGED = { phase: 'Live', diverged: FAILURE } as const;

const CASES: readonly Case[] = [
  { name: 'a copy that nobody looked at', record: copied(), wants: 'copied' },
  {
    name: 'one that was found equal',
    record: copied({ verification: checked() }),
    wants: undefined,
  },
  {
    name: 'one that was found different: told once, not looked at for ever',
    record: copied({ verification: checked({ result: 'Mismatch' }) }),
    wants: undefined,
  },
  {
    name: 'a former copy was looked at',
    record: copied({ verification: checked({ generation: { table: 0, mirror: 1 } }) }),
    wants: 'copied',
  },
  {
    name: 'asked after the last look',
    record: copied({ verification: checked(), verifyRequestedAt: LATER }),
    wants: 'requested',
  },
  {
    name: 'asked before the last look',
    record: copied({ verification: checked({ checkedAt: LATER }), verifyRequestedAt: AT }),
    wants: undefined,
  },
  {
    name: 'asked of a copy that nobody looked at: it is owed all the same',
    record: copied({ verifyRequestedAt: AT }),
    wants: 'copied',
  },
  {
    name: 'asked of a former copy',
    record: copied({
      verification: checked({ generation: { table: 0, mirror: 1 } }),
      verifyRequestedAt: LATER,
    }),
    wants: 'copied',
  },
  {
    name: 'adopted: its rows are not ours',
    record: record('public.users'),
    wants: undefined,
  },
  {
    name: 'adopted, and somebody wants to know',
    record: record('public.users', undefined, { verifyRequestedAt: AT }),
    wants: 'requested',
  },
  {
    name: 'known to be no copy any more',
    record: copied({ state: DIVERGED }),
    wants: undefined,
  },
  {
    name: 'known to be no copy any more, and somebody wants to know how',
    record: copied({ state: DIVERGED, verifyRequestedAt: AT }),
    wants: 'requested',
  },
  {
    name: 'being copied: the request waits for the copy',
    record: copied({ state: COPYING, verifyRequestedAt: AT }),
    wants: undefined,
  },
];

for (const { name, record: known, wants } of CASES)
  test(`verification: ${name}`, () => assert.equal(wantsVerification(known), wants));

test('a table with a copy to make is not compared before it', () => {
  const steps = (generation: number): readonly string[] =>
    sketchPlan(
      planMirror(
        mirror([table('public.users', { generation: { table: generation, mirror: 0 } })]),
        observed({ tables: { 'public.users': { record: copied() } } }),
      ),
    ).steps;
  assert.deepEqual(steps(0), ['verify-table public.users']);
  assert.deepEqual(steps(1), ['copy-table public.users resync truncate 1/0']);
});
