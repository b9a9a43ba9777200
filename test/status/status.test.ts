/** What the status says in each state, and that its schema allows it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { MirrorError } from '../../src/core/errors.ts';
import type { Lsn } from '../../src/core/lsn.ts';
import type { TableRecord } from '../../src/core/table-state.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { renderStatus } from '../../src/status/status-file.ts';
import { computeStatus, isReady, type Status } from '../../src/status/status.ts';
import type { MirrorState, MirrorView, RunView, StreamView } from '../../src/status/view.ts';
import { FAILURE, mirror, observed, record, run, SLOT, table } from '../plan/fixtures.ts';

const schemaUrl = new URL('../../schemas/status.schema.json', import.meta.url);
const validate = new Ajv2020({ strict: true, allErrors: true }).compile(
  JSON.parse(readFileSync(schemaUrl, 'utf8')) as object,
);

const NOW = new Date('2026-11-22T20:01:02.345Z');
const LATER = new Date('2026-11-22T20:05:00.000Z');
const STREAM: StreamView = {
  appliedLsn: 0x1_0000_0020n as Lsn,
  lagBytes: 128,
  lagSeconds: 0.12345,
};
const EMPTY_PLAN = planMirror(mirror(), observed());
const DOWN = new MirrorError('ConnectionFailed', 'db:5432/shop: no answer');
const SPEC = { specHash: `sha256:${'0'.repeat(64)}` };

const TABLES = [
  table('public.users'),
  table('public."a.b"', { generation: { table: 3, mirror: 0 } }),
];
const LIVE: readonly TableRecord[] = [
  record('public.users'),
  record('public."a.b"', { phase: 'Live' }, { observed: { table: 3, mirror: 0 } }),
];

/** Two tables, Live, streaming, nothing to do; a case names what is otherwise. */
function view(more: Partial<MirrorView> = {}): MirrorView {
  return {
    mirror: mirror(TABLES, SPEC),
    plan: EMPTY_PLAN,
    slot: SLOT,
    records: LIVE,
    runs: new Map(),
    failures: new Map(),
    stream: STREAM,
    failure: undefined,
    problems: [],
    presence: { kind: 'present' },
    leaving: [],
    ...more,
  };
}

function copying(more: Partial<RunView> = {}): ReadonlyMap<string, RunView> {
  const running: RunView = {
    strategy: 'truncate',
    step: 'Copying',
    startedAt: NOW.toISOString(),
    rowsCopied: 120,
    rowsTotal: 500,
    bytesCopied: 4096,
    ...more,
  };
  return new Map([['public.users', running]]);
}

const COPYING = { phase: 'Copying', run: run() } as const;
const NEVER_COPIED = { observed: undefined };
const FIRST_COPY = [
  record('public.users', COPYING, NEVER_COPIED),
  record('public."a.b"', { phase: 'Pending' }, NEVER_COPIED),
];
const RESYNC = [record('public.users', COPYING), ...LIVE.slice(1)];
const FAILED_TABLE = [
  record('public.users', {
    phase: 'Failed',
    failure: FAILURE,
    resume: 'replay',
    run: undefined,
    snapshot: undefined,
  }),
  ...LIVE.slice(1),
];

interface StatusCase {
  readonly name: string;
  readonly view: MirrorView;
  readonly state: MirrorState;
  /** `type=status reason`, in order. */
  readonly conditions: readonly string[];
  /** `phase resyncStatus`, in order. */
  readonly tables?: readonly string[];
}

const UNVERIFIED = 'Verified=Unknown Progressing';
const ACCEPTED = ['SpecAccepted=True Valid', UNVERIFIED];
const STREAMING = 'Replicating=True Streaming';

const CASES: readonly StatusCase[] = [
  {
    name: 'before the first pass',
    view: view({ plan: undefined, slot: undefined, records: [], stream: undefined }),
    state: 'PENDING',
    conditions: ['Ready=False Progressing', 'Replicating=Unknown Progressing', ...ACCEPTED],
    tables: ['Pending none', 'Pending none'],
  },
  {
    name: 'streaming, and nothing copied yet',
    view: view({
      records: FIRST_COPY.map(({ source }) =>
        record(`${source.schema}."${source.name}"`, { phase: 'Pending' }, NEVER_COPIED),
      ),
    }),
    state: 'PENDING',
    conditions: ['Ready=False Progressing', STREAMING, ...ACCEPTED],
    tables: ['Pending none', 'Pending none'],
  },
  {
    name: 'the first copies',
    view: view({ records: FIRST_COPY, runs: copying() }),
    state: 'SNAPSHOTTING',
    conditions: ['Ready=False InitialCopy', STREAMING, 'Reconciling=True Progressing', ...ACCEPTED],
    tables: ['Copying none', 'Pending none'],
  },
  {
    name: 'all is well',
    view: view(),
    state: 'RUNNING',
    conditions: ['Ready=True ReconciliationSucceeded', STREAMING, ...ACCEPTED],
    tables: ['Live none', 'Live completed'],
  },
  {
    name: 'a resync',
    view: view({ records: RESYNC, runs: copying({ strategy: 'swap' }) }),
    state: 'RESYNCING',
    conditions: [
      'Ready=False ResyncInProgress',
      STREAMING,
      'Reconciling=True Progressing',
      ...ACCEPTED,
    ],
    tables: ['Copying in_progress', 'Live completed'],
  },
  {
    name: 'a resync whose pace is known and that is held up',
    view: view({
      records: RESYNC,
      runs: copying({ rowsPerSecond: 60, secondsLeft: 7, waitsFor: 'pid 4711', tries: 2 }),
    }),
    state: 'RESYNCING',
    conditions: [
      'Ready=False ResyncInProgress',
      STREAMING,
      'Reconciling=True Progressing',
      ...ACCEPTED,
    ],
    tables: ['Copying in_progress', 'Live completed'],
  },
  {
    name: 'a resync that waits for its turn',
    view: view({
      mirror: mirror([table('public.users', { generation: { table: 1, mirror: 0 } })], SPEC),
      records: LIVE,
    }),
    state: 'RESYNCING',
    conditions: ['Ready=False ResyncInProgress', STREAMING, ...ACCEPTED],
    tables: ['Live in_progress'],
  },
  {
    name: 'a resync that failed',
    view: view({
      mirror: mirror([table('public.users', { generation: { table: 1, mirror: 0 } })], SPEC),
      failures: new Map([['public.users', { ...FAILURE, attempts: 3 }]]),
    }),
    state: 'RUNNING',
    conditions: ['Ready=False ConstraintViolated', STREAMING, ...ACCEPTED],
    tables: ['Live failed'],
  },
  {
    name: 'a table that failed while the others stream',
    view: view({ records: FAILED_TABLE }),
    state: 'RUNNING',
    conditions: ['Ready=False ConstraintViolated', STREAMING, ...ACCEPTED],
    tables: ['Failed none', 'Live completed'],
  },
  {
    name: 'a table that only a human can help',
    view: view({ failures: new Map([['public.users', { ...FAILURE, code: 'SpoolFull' }]]) }),
    state: 'RUNNING',
    conditions: ['Ready=False SpoolFull', STREAMING, 'Stalled=True SpoolFull', ...ACCEPTED],
  },
  {
    name: 'suspended',
    view: view({ mirror: mirror(TABLES, { ...SPEC, suspend: true }), stream: undefined }),
    state: 'SUSPENDED',
    conditions: ['Ready=False Suspended', 'Replicating=False Suspended', ...ACCEPTED],
  },
  {
    name: 'suspended before anything else, whatever failed',
    view: view({
      mirror: mirror(TABLES, { ...SPEC, suspend: true }),
      plan: undefined,
      slot: undefined,
      records: [],
      stream: undefined,
      failure: DOWN,
    }),
    state: 'SUSPENDED',
    conditions: ['Ready=False Suspended', 'Replicating=False Suspended', ...ACCEPTED],
  },
  {
    name: 'no server',
    view: view({ plan: undefined, slot: undefined, records: [], stream: undefined, failure: DOWN }),
    state: 'FAILED',
    conditions: ['Ready=False ConnectionFailed', 'Replicating=False ConnectionFailed', ...ACCEPTED],
  },
  {
    name: 'an error that only the file can mend',
    view: view({
      stream: undefined,
      failure: new MirrorError('IdentityChanged', 'another cluster'),
    }),
    state: 'FAILED',
    conditions: [
      'Ready=False IdentityChanged',
      'Replicating=False IdentityChanged',
      'Stalled=True IdentityChanged',
      ...ACCEPTED,
    ],
  },
  {
    name: 'a refusal of the whole mirror',
    view: view({
      plan: planMirror(mirror(), observed({ source: { walLevel: 'replica' } })),
      stream: undefined,
    }),
    state: 'FAILED',
    conditions: [
      'Ready=False WalLevelNotLogical',
      'Replicating=False WalLevelNotLogical',
      ...ACCEPTED,
    ],
  },
  {
    name: 'a newer file that is refused',
    view: view({
      problems: [{ reason: 'SchemaInvalid', text: 'shop.yaml:3:1 unknown key sorce' }],
    }),
    state: 'RUNNING',
    conditions: [
      'Ready=False SchemaInvalid',
      STREAMING,
      'SpecAccepted=False SchemaInvalid',
      UNVERIFIED,
    ],
  },
  {
    name: 'a counter that went back',
    view: view({
      mirror: mirror(TABLES, SPEC),
      plan: planMirror(
        mirror([table('public.users', { generation: { table: 1, mirror: 0 } })]),
        observed({
          tables: {
            'public.users': {
              record: record(
                'public.users',
                { phase: 'Live' },
                { observed: { table: 2, mirror: 0 } },
              ),
            },
          },
        }),
      ),
    }),
    state: 'RUNNING',
    conditions: [
      'Ready=True ReconciliationSucceeded',
      STREAMING,
      ...ACCEPTED,
      'ResyncGenerationBehind=True GenerationReverted',
    ],
  },
  {
    name: 'steps that are still to be carried out',
    view: view({
      plan: planMirror(mirror(), observed({ slot: undefined, mirrorRecord: undefined })),
    }),
    state: 'RUNNING',
    conditions: ['Ready=False Progressing', STREAMING, 'Reconciling=True Progressing', ...ACCEPTED],
  },
];

function sketch({ status: { conditions } }: Status): string[] {
  return conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
}

for (const { name, view: known, state, conditions, tables } of CASES)
  test(`${name}: ${state}`, () => {
    const status = computeStatus(known, undefined, NOW);
    assert.equal(status.status.state, state);
    assert.deepEqual(sketch(status), conditions);
    assert.equal(
      isReady(status),
      conditions.some((condition) => condition.startsWith('Ready=True')),
    );
    if (tables !== undefined)
      assert.deepEqual(
        status.status.tables.map(({ phase, resyncStatus }) => `${phase} ${resyncStatus}`),
        tables,
      );
    const written: unknown = parse(renderStatus(status));
    assert.deepEqual(written, JSON.parse(JSON.stringify(status)), 'the file says all of it');
    assert.ok(validate(written), JSON.stringify(validate.errors, undefined, 2));
    for (const condition of status.status.conditions)
      assert.equal(condition.lastTransitionTime, NOW.toISOString());
  });

test('every state that is computed is among the cases', () => {
  const states = new Set(CASES.map(({ state }) => state));
  assert.deepEqual([...states].sort(), [
    'FAILED',
    'PENDING',
    'RESYNCING',
    'RUNNING',
    'SNAPSHOTTING',
    'SUSPENDED',
  ]);
});

test('the validation can fail: the schema is closed', () => {
  const status = computeStatus(view(), undefined, NOW);
  assert.equal(validate({ ...status, more: 1 }), false);
  assert.equal(validate({ ...status, status: { ...status.status, state: 'HAPPY' } }), false);
});

test('the time of a condition is that of its status, not of its reason or message', () => {
  const first = computeStatus(
    view({ plan: undefined, stream: undefined, failure: DOWN }),
    undefined,
    NOW,
  );
  const otherWords = new MirrorError('AuthenticationFailed', 'wrong password');
  const second = computeStatus(
    view({ plan: undefined, stream: undefined, failure: otherWords }),
    first,
    LATER,
  );
  const third = computeStatus(view(), second, LATER);
  const times = (status: Status): Record<string, string> =>
    Object.fromEntries(
      status.status.conditions.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
    );
  assert.deepEqual(sketch(second)[0], 'Ready=False AuthenticationFailed');
  assert.deepEqual(times(second), times(first));
  assert.deepEqual(times(third), {
    Ready: LATER.toISOString(),
    Replicating: LATER.toISOString(),
    SpecAccepted: NOW.toISOString(),
    Verified: NOW.toISOString(),
  });
});

test('the same view gives the same status, and so the same text', () => {
  const first = computeStatus(view(), undefined, NOW);
  assert.equal(renderStatus(computeStatus(view(), first, LATER)), renderStatus(first));
});

test('what is shown of a table, of lag and slot', () => {
  const { status } = computeStatus(view({ records: RESYNC, runs: copying() }), undefined, NOW);
  assert.deepEqual(status.lag, { bytes: 128, seconds: 0.123, appliedLsn: '1/20' });
  assert.deepEqual(status.source, { slot: 'bunny_shop', walStatus: 'reserved', retainedBytes: 0 });
  assert.deepEqual(status.tables[1], {
    source: 'public."a.b"',
    destination: 'public."a.b"',
    phase: 'Live',
    resyncStatus: 'completed',
    resyncGeneration: { desired: 3, observed: 3 },
  });
  assert.equal(status.tables[0]?.resync?.percent, 24);
});

const PERCENTS = [
  { step: 'Waiting', rowsCopied: 0, rowsTotal: 0, percent: 0 },
  { step: 'Preparing', rowsCopied: 0, rowsTotal: 100, percent: 0 },
  { step: 'Copying', rowsCopied: 0, rowsTotal: 0, percent: 0 },
  { step: 'Copying', rowsCopied: 1, rowsTotal: 3, percent: 33 },
  // An estimate that was reached is not the end yet.
  { step: 'Copying', rowsCopied: 100, rowsTotal: 100, percent: 99 },
  { step: 'Copying', rowsCopied: 300, rowsTotal: 100, percent: 99 },
  { step: 'Indexing', rowsCopied: 100, rowsTotal: 100, percent: 100 },
  { step: 'CatchingUp', rowsCopied: 0, rowsTotal: 0, percent: 100 },
  { step: 'HandingOver', rowsCopied: 5, rowsTotal: 5, percent: 100 },
] as const;

for (const { step, rowsCopied, rowsTotal, percent } of PERCENTS)
  test(`${step}, ${rowsCopied} of ${rowsTotal} rows: ${percent} %`, () => {
    const status = computeStatus(
      view({ records: RESYNC, runs: copying({ step, rowsCopied, rowsTotal }) }),
      undefined,
      NOW,
    );
    assert.equal(status.status.tables[0]?.resync?.percent, percent);
    assert.ok(validate(parse(renderStatus(status))), JSON.stringify(validate.errors));
  });
