/** What the status says of comparisons. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableRecord, TableState } from '../../src/core/table-state.ts';
import type { Verification } from '../../src/core/verification.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { computeStatus, type Status } from '../../src/status/status.ts';
import type { MirrorView } from '../../src/status/view.ts';
import { FAILURE, mirror, observed, record, run, shape, table } from '../plan/fixtures.ts';
import { assertValid, NOW, SPEC, view } from './views.ts';

const MATCH: Verification = {
  result: 'Match',
  generation: { table: 0, mirror: 0 },
  rows: 5,
  destinationRows: 5,
  lsn: '0/1A2B3C4',
  checkedAt: '2026-11-22T20:00:00.000001Z',
};
const MISMATCH: Verification = {
  ...MATCH,
  result: 'Mismatch',
  destinationRows: 4,
  message:
    '5 rows at the source, 4 at the destination; 1 key differs (id): 7 missing at the destination',
};

const USERS = table('public.users');
const OTHER = table('public.other');

/** The first table compared with that result, the second alike. */
function compared(first: Verification, state: TableState = { phase: 'Live' }): TableRecord[] {
  return [
    record('public.users', state, { verification: first }),
    record('public.other', undefined, { verification: MATCH }),
  ];
}

function statusOf(more: Partial<MirrorView>): Status {
  const known = view({ mirror: mirror([USERS, OTHER], SPEC), records: compared(MATCH), ...more });
  const status = computeStatus(known, undefined, NOW);
  assertValid(status);
  return status;
}

/** The conditions that a comparison has to do with, and the first table. */
function sketch({ status }: Status): string[] {
  const told = status.conditions.filter(({ type }) =>
    ['Ready', 'Stalled', 'Verified'].includes(type),
  );
  const [first] = status.tables;
  return [
    ...told.map(({ type, status: value, reason }) => `${type}=${value} ${reason}`),
    `${first?.resyncStatus} ${first?.verification?.result} ${first?.error?.code}`,
  ];
}

const VERIFYING = planMirror(
  mirror(),
  observed({
    tables: {
      'public.users': {
        record: record('public.users', undefined, { sourceOid: shape('public.users').oid }),
      },
    },
  }),
);
/** Its last copy left out what the file names by now. */
const OTHER_COLUMNS = planMirror(
  mirror(),
  observed({
    tables: {
      'public.users': {
        record: record('public.users', undefined, { excludeColumns: ['note'] }),
      },
    },
  }),
);
const FAILED: TableState = {
  phase: 'Failed',
  failure: FAILURE,
  resume: 'replay',
  run: undefined,
  snapshot: undefined,
};
const NOT_YET = [record('public.users'), record('public.other')];
const RUN = {
  strategy: 'truncate',
  step: 'Verifying',
  startedAt: NOW.toISOString(),
  rowsCopied: 0,
  rowsTotal: 0,
  bytesCopied: 0,
} as const;
const BUMPED = { ...USERS, generation: { table: 1, mirror: 0 } };
const PROGRESSING = 'Verified=Unknown Progressing';

const CASES: readonly (readonly [name: string, view: Partial<MirrorView>, told: string[]])[] = [
  [
    'every table is like its source',
    {},
    [
      'Ready=True ReconciliationSucceeded',
      'Verified=True ReconciliationSucceeded',
      'none Match undefined',
    ],
  ],
  [
    'a table is not like its source',
    { records: compared(MISMATCH) },
    [
      'Ready=False VerificationFailed',
      'Stalled=True VerificationFailed',
      'Verified=False VerificationFailed',
      'none Mismatch VerificationFailed',
    ],
  ],
  [
    'a table is not like its source, and about to be copied afresh',
    { mirror: mirror([BUMPED, OTHER], SPEC), records: compared(MISMATCH) },
    [
      'Ready=False ResyncInProgress',
      'Verified=False VerificationFailed',
      'in_progress Mismatch undefined',
    ],
  ],
  [
    'what was compared is a former copy',
    { records: compared({ ...MISMATCH, generation: { table: 0, mirror: 7 } }) },
    ['Ready=True ReconciliationSucceeded', PROGRESSING, 'none undefined undefined'],
  ],
  [
    'a table is being compared: not there yet, and no resync',
    { plan: VERIFYING, records: NOT_YET, runs: new Map([['public.users', RUN]]) },
    ['Ready=False Progressing', PROGRESSING, 'none undefined undefined'],
  ],
  [
    'a table failed since: its changes are kept, and it lacks them',
    { records: compared(MATCH, FAILED) },
    ['Ready=False ConstraintViolated', PROGRESSING, 'none Match ConstraintViolated'],
  ],
  [
    'a table is copied again',
    { records: compared(MATCH, { phase: 'Copying', run: run() }) },
    ['Ready=False Progressing', PROGRESSING, 'none Match undefined'],
  ],
  [
    'a table lacks columns that the file asks for: their copy is on the way',
    {
      plan: OTHER_COLUMNS,
      records: [
        record('public.users', undefined, { verification: MATCH, excludeColumns: ['note'] }),
        ...compared(MATCH).slice(1),
      ],
    },
    ['Ready=False Progressing', PROGRESSING, 'none Match undefined'],
  ],
  [
    'rows were found missing before: that is what is told of the table',
    { records: compared(MISMATCH, { phase: 'Live', diverged: FAILURE }) },
    [
      'Ready=False ConstraintViolated',
      'Verified=False VerificationFailed',
      'none Mismatch ConstraintViolated',
    ],
  ],
];

for (const [name, view, told] of CASES)
  test(`comparisons: ${name}`, () => assert.deepEqual(sketch(statusOf(view)), told));

test('what a comparison found is shown with its counts and keys', () => {
  const { tables, conditions } = statusOf({ records: compared(MISMATCH) }).status;
  const { generation: _generation, destinationRows: _rows, ...shown } = MISMATCH;
  assert.deepEqual(tables[0]?.verification, shown);
  assert.equal(tables[0]?.error?.message, `public.users is not like its source: ${shown.message}`);
  assert.equal(tables[1]?.error, undefined);
  assert.equal(
    conditions.find(({ type }) => type === 'Verified')?.message,
    `public.users: ${shown.message}`,
  );
});
