/** What is to be undone of a removed mirror, by what the ledger says was made. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { LSN_ZERO } from '../../src/core/lsn.ts';
import type { Mirror } from '../../src/core/mirror.ts';
import type { SavedForeignKey } from '../../src/core/observed.ts';
import { releasedState, type TableState } from '../../src/core/table-state.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import {
  byHandSql,
  halfCopied,
  planRemoval,
  withWayOut,
  withWayOutUnknown,
} from '../../src/plan/removal.ts';
import {
  FAILURE,
  mirror,
  MIRROR_RECORD,
  name,
  observed,
  record,
  run,
  type Sketch,
  sketchPlan,
  SLOT,
  table,
  type World,
} from './fixtures.ts';

const RELEASE = ['release-slot', 'drop-publication bunny_shop'];
const DELETE = mirror([table('public.users'), table('public.orders')], {
  deletionPolicy: 'Delete',
});
const BOTH = { 'public.users': {}, 'public.orders': {} };
const DBA = mirror(undefined, { publication: { name: 'shop_pub', managed: false } });
const CREATING = { ...MIRROR_RECORD, slotState: 'creating' } as const;
const NEVER_MADE = { ...CREATING, appliedLsn: LSN_ZERO };

function saved(owner: string, to: string): SavedForeignKey {
  const id = `${owner} to ${to}`;
  return { id, table: name(to), owner: name(owner), name: id, definition: '' };
}

interface RemovalCase {
  readonly what: string;
  readonly mirror?: Mirror;
  readonly world?: World;
  readonly plan: Sketch;
}

const CASES: readonly RemovalCase[] = [
  {
    what: 'with Retain: the slot, the publication, then what the ledger knows; no table',
    plan: { steps: [...RELEASE, 'forget-mirror'] },
  },
  {
    what: 'with Delete: every table of the ledger, and no other one',
    mirror: mirror([table('public.users'), table('public.never')], { deletionPolicy: 'Delete' }),
    world: { tables: { ...BOTH, 'public.never': { record: undefined } } },
    plan: {
      steps: [...RELEASE, 'drop-table public.users', 'drop-table public.orders', 'forget-mirror'],
    },
  },
  {
    what: 'what has our names, and is not in the ledger, is left alone',
    world: { mirrorRecord: undefined, tables: { 'public.users': { record: undefined } } },
    plan: { steps: [] },
  },
  {
    what: 'also a slot that nobody reads, but it is told: the mirror had another destination, maybe',
    world: { mirrorRecord: undefined, slot: { ...SLOT, active: false } },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    what: 'not one of another database',
    world: { mirrorRecord: undefined, slot: { ...SLOT, active: false, database: 'other' } },
    plan: {},
  },
  {
    what: 'a slot that was dropped by hand is forgotten',
    world: { slot: undefined, publication: undefined },
    plan: { steps: ['release-slot', 'forget-mirror'] },
  },
  {
    what: 'released already: what is left',
    world: { slot: undefined, mirrorRecord: CREATING },
    plan: { steps: ['drop-publication bunny_shop', 'forget-mirror'] },
  },
  {
    what: 'a slot that an interrupted try left, or an interrupted release',
    world: { mirrorRecord: CREATING },
    plan: { steps: [...RELEASE, 'forget-mirror'] },
  },
  {
    what: 'a slot that an interrupted try may have left: whose it is shows when it is released',
    world: { mirrorRecord: NEVER_MADE, slot: { ...SLOT, active: false } },
    plan: { steps: [...RELEASE, 'forget-mirror'] },
  },
  {
    what: 'never made: a slot that somebody reads is none of ours, and the publication is read by it',
    world: { mirrorRecord: NEVER_MADE },
    plan: { steps: ['forget-mirror'] },
  },
  {
    what: 'never made: a slot of that name in another database is none of ours',
    world: { mirrorRecord: CREATING, slot: { ...SLOT, database: 'other' }, publication: undefined },
    plan: { steps: ['forget-mirror'] },
  },
  {
    what: "a DBA's publication stays",
    mirror: DBA,
    world: { mirrorRecord: { ...MIRROR_RECORD, publication: 'shop_pub' } },
    plan: { steps: ['release-slot', 'forget-mirror'] },
  },
  {
    what: "a DBA's publication stays also under the name that ours would have",
    mirror: mirror(undefined, { publication: { name: 'bunny_shop', managed: false } }),
    plan: { steps: ['release-slot', 'forget-mirror'] },
  },
  {
    what: 'ours goes by its recorded name when the file named another one last',
    mirror: DBA,
    world: { publication: undefined },
    plan: { steps: [...RELEASE, 'forget-mirror'] },
  },
  {
    what: 'foreign keys that a truncate took come back',
    world: {
      tables: BOTH,
      ledger: {
        savedForeignKeys: [
          saved('public.outside', 'public.users'),
          saved('public.orders', 'public.users'),
        ],
      },
    },
    plan: {
      steps: [
        ...RELEASE,
        'restore-foreign-key public.outside to public.users',
        'restore-foreign-key public.orders to public.users',
        'forget-mirror',
      ],
    },
  },
  {
    what: 'with Delete only those of tables that stay: they then forbid the drop',
    mirror: DELETE,
    world: {
      tables: BOTH,
      ledger: {
        savedForeignKeys: [
          saved('public.outside', 'public.users'),
          saved('public.orders', 'public.users'),
        ],
      },
    },
    plan: {
      steps: [
        ...RELEASE,
        'restore-foreign-key public.outside to public.users',
        'drop-table public.users',
        'drop-table public.orders',
        'forget-mirror',
      ],
    },
  },
  {
    what: 'a ledger of an older version is brought up first',
    world: { ledger: { version: 1 } },
    plan: { steps: ['migrate-ledger', ...RELEASE, 'forget-mirror'] },
  },
  {
    what: 'another cluster behind the same address is not touched',
    world: { source: { systemIdentifier: 'another' } },
    plan: { refusals: ['IdentityChanged'] },
  },
];

for (const { what, mirror: file = mirror(), world, plan } of CASES)
  test(what, () => {
    const seen = observed(world);
    const first = planRemoval(file, seen);
    assert.deepEqual(sketchPlan(first), { steps: [], refusals: [], notices: [], ...plan });
    assert.deepEqual(planRemoval(file, seen), first);
  });

test('a refusal says what to run by hand, and the way out', () => {
  const { refusals } = planRemoval(mirror(), observed({ source: { systemIdentifier: 'other' } }));
  assert.equal(
    refusals[0]?.error.hint,
    'It is tried again. By hand, at the source in database shop: ' +
      `select pg_drop_replication_slot('bunny_shop'); drop publication if exists "bunny_shop"; ` +
      'If that source is gone for ever, delete .applied/shop.yaml in the status directory.',
  );
});

test('what to run by hand is quoted, and names no publication of a DBA', () => {
  const odd = { ...MIRROR_RECORD, slot: `o'dd`, publication: `o"dd` };
  assert.deepEqual(byHandSql(mirror(undefined, { slot: `o"dd` }), odd), [
    `select pg_drop_replication_slot('o''dd')`,
    'drop publication if exists "o""dd"',
  ]);
  const foreign = { ...MIRROR_RECORD, publication: 'shop_pub' };
  assert.deepEqual(byHandSql(DBA, foreign), [`select pg_drop_replication_slot('bunny_shop')`]);
});

test('of a destination that is away it is not known what was made: a human can tell', () => {
  const error = new MirrorError('ConnectionFailed', 'staging:5432/shop: refused');
  assert.equal(
    withWayOutUnknown(error, mirror()).hint,
    'It is tried again. If that destination is gone for ever: what this mirror made at the source goes, in database shop, ' +
      `by select pg_drop_replication_slot('bunny_shop'); drop publication if exists "bunny_shop"; ` +
      'Then delete .applied/shop.yaml in the status directory.',
  );
  assert.doesNotMatch(withWayOutUnknown(error, DBA).hint, /publication/);
});

test('an error keeps its code, its words and its cause', () => {
  const cause = new Error('down');
  const error = new MirrorError('ConnectionFailed', 'db:5432/shop: refused', { cause });
  const { code, message, cause: kept } = withWayOut(error, mirror(), MIRROR_RECORD);
  assert.deepEqual([code, message, kept], ['ConnectionFailed', 'db:5432/shop: refused', cause]);
});

test('a table that leaves the list is dropped with Delete, but for one that another source table fills', () => {
  const moved = record('public.old', { phase: 'Live' }, { destination: name('public.users') });
  const plan = (policy: Mirror['deletionPolicy']): string[] => {
    const tables = { 'public.users': { record: undefined }, 'public.gone': {} };
    const seen = observed({ tables });
    const ledger = { ...seen.ledger, tables: [...seen.ledger.tables, moved] };
    const file = mirror([table('public.users')], { deletionPolicy: policy });
    return sketchPlan(planMirror(file, { ...seen, ledger })).steps.filter((step) =>
      step.startsWith('retire'),
    );
  };
  assert.deepEqual(plan('Retain'), ['retire-table public.gone', 'retire-table public.old']);
  assert.deepEqual(plan('Delete'), ['retire-table public.gone drop', 'retire-table public.old']);
});

const SNAPSHOT = { visible: '1:1:', lsn: '0/1' };
const COPYING: TableState = { phase: 'Copying', run: run() };
const UNFINISHED: readonly TableState[] = [
  COPYING,
  { phase: 'CatchingUp', run: run(), snapshot: SNAPSHOT },
  { phase: 'Failed', failure: FAILURE, resume: 'copy', run: run(), snapshot: undefined },
];

test('without its slot a table that was copied is Pending', () => {
  for (const state of [...UNFINISHED, { phase: 'Live' } as const, { phase: 'Pending' } as const])
    assert.deepEqual(releasedState(record('public.users', state)), { phase: 'Pending' });
});

test('a first copy that was under way is known for one: its rows are nobody else’s', () => {
  for (const state of UNFINISHED)
    assert.deepEqual(
      releasedState(record('public.users', state, { observed: undefined })),
      COPYING,
    );
  assert.deepEqual(
    releasedState(record('public.users', { phase: 'Pending' }, { observed: undefined })),
    { phase: 'Pending' },
  );
});

test('half copied is what a copy was filling in place', () => {
  const swap = run({ strategy: 'swap' });
  const whole: readonly TableState[] = [
    { phase: 'Live' },
    { phase: 'Pending' },
    { phase: 'Copying', run: swap, fed: true },
    { phase: 'Failed', failure: FAILURE, resume: 'replay', run: undefined, snapshot: undefined },
  ];
  const records = [...UNFINISHED, ...whole].map((state, at) => record(`public.t${at}`, state));
  assert.deepEqual(
    halfCopied(records).map(({ source }) => source.name),
    ['t0', 't1', 't2'],
  );
});
