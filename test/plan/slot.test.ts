/** The slot, the source's identity and history, and which publication the file names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Lsn, LSN_ZERO } from '../../src/core/lsn.ts';
import type { Mirror } from '../../src/core/mirror.ts';
import type { PublicationIdentity } from '../../src/core/observed.ts';
import type { TableState } from '../../src/core/table-state.ts';
import { describeStep } from '../../src/plan/describe.ts';
import { earlyRefusals, mayStream, planMirror } from '../../src/plan/plan-mirror.ts';
import {
  MIRROR_RECORD,
  mirror,
  observed,
  publication,
  PUBLICATION_IDENTITY,
  record,
  run,
  SLOT,
  table,
  type World,
} from './fixtures.ts';
import { runCases } from './cases.ts';

/** The mirror's counter raised, as a human does to say: copy everything again. */
function bumped(more: Partial<Mirror> = {}): Mirror {
  const generation = { table: 0, mirror: 1 };
  return mirror([table('public.users', { generation })], { resyncGeneration: 1, ...more });
}

function inState(state: TableState, mirrorGeneration = 0): NonNullable<World['tables']> {
  const done = { observed: { table: 0, mirror: mirrorGeneration } };
  return { 'public.users': { record: record('public.users', state, done) } };
}

const RESYNC = mirror(undefined, { onSlotLoss: 'Resync' });
const AGAIN = ['reset-slot', 'create-slot', 'copy-table public.users resync truncate 0/0'];
const AGAIN_BUMPED = [...AGAIN.slice(0, 2), 'copy-table public.users resync truncate 0/1'];
const THEIRS = { publication: { name: 'theirs', managed: false } };
const CREATING = { ...MIRROR_RECORD, slotState: 'creating' as const };
const PENDING = inState({ phase: 'Pending' });
const OTHER_CLUSTER: World = { source: { systemIdentifier: '9' }, slot: undefined };
const LATER = { source: { timeline: 2 } };
const NEVER_MADE = { ...CREATING, appliedLsn: LSN_ZERO };
const IDLE = { ...SLOT, active: false };
const LOST = { ...SLOT, walStatus: 'lost' };
const ALTERED = publication(['public.users'], { identity: identity({ xmin: '701' }) });
const OF_ANOTHER = publication(['public.users'], {
  identity: identity({ xmin: '701', owner: '11' }),
});

runCases([
  {
    name: 'loss: in the middle of a first copy, whose rows are nobody else’s',
    mirror: RESYNC,
    world: {
      slot: undefined,
      tables: {
        'public.users': {
          hasRows: true,
          record: record('public.users', { phase: 'Copying', run: run() }, { observed: undefined }),
        },
      },
    },
    plan: {
      steps: ['reset-slot', 'create-slot', 'copy-table public.users retry truncate 0/0'],
    },
  },
  // A loss, and what answers it.
  {
    name: 'loss: gone, Stop, the counter raised: that asks for a copy of everything',
    mirror: bumped(),
    world: { slot: undefined },
    plan: { steps: AGAIN_BUMPED },
  },
  {
    name: 'loss: ahead, Stop, the counter raised',
    mirror: bumped(),
    world: { slot: { ...SLOT, confirmedFlushLsn: 1_001n as Lsn } },
    plan: { steps: AGAIN_BUMPED },
  },
  {
    name: 'loss: gone, Stop, in the middle of the resync that the counter asked for: it was raised for that',
    mirror: bumped(),
    world: {
      slot: undefined,
      tables: inState({ phase: 'Copying', run: run({ generation: { table: 0, mirror: 1 } }) }),
    },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: "loss: gone, Stop, a table's own counter raised: the others are not meant",
    mirror: mirror([table('public.users', { generation: { table: 1, mirror: 0 } })]),
    world: { slot: undefined },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'loss: gone, Stop, before anything was copied',
    world: {
      slot: undefined,
      tables: {
        'public.users': {
          record: { ...record('public.users', { phase: 'Pending' }), observed: undefined },
        },
      },
    },
    plan: {
      steps: ['reset-slot', 'create-slot', 'copy-table public.users first truncate 0/0'],
    },
  },
  {
    name: 'loss: a first try that lay so long that it lost its WAL',
    world: { mirrorRecord: CREATING, slot: LOST, tables: PENDING },
    plan: { steps: AGAIN },
  },
  {
    name: 'creating: a first try that lay so long that it lost its WAL, which would show whose it is',
    world: { mirrorRecord: NEVER_MADE, slot: { ...LOST, active: false }, tables: PENDING },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    name: 'creating: a slot that nobody reads may be of an interrupted try',
    world: { mirrorRecord: NEVER_MADE, slot: IDLE, tables: PENDING },
    plan: { steps: ['create-slot adopt', AGAIN[2] ?? ''] },
  },
  {
    name: 'creating: one that is still being made may be too',
    world: {
      mirrorRecord: NEVER_MADE,
      slot: { ...SLOT, confirmedFlushLsn: undefined },
      tables: PENDING,
    },
    plan: { steps: ['create-slot adopt', AGAIN[2] ?? ''] },
  },
  {
    name: 'creating: one that is read is somebody else’s',
    world: { mirrorRecord: NEVER_MADE, tables: PENDING },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    name: 'creating: one that was released is ours as far as it was read then, and no further',
    world: {
      mirrorRecord: CREATING,
      slot: { ...SLOT, confirmedFlushLsn: 1_001n as Lsn },
      tables: PENDING,
    },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    name: 'creating: nor after a failover, which counts anew',
    world: { ...LATER, mirrorRecord: CREATING, tables: PENDING },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    name: 'creating: one of the former database, whose WAL cannot be read from here, is not dropped',
    mirror: bumped(),
    world: {
      source: { database: 'other' },
      mirrorRecord: NEVER_MADE,
      slot: IDLE,
      tables: PENDING,
    },
    plan: { refusals: ['SlotUnknown'] },
  },

  // Failover and restore.
  {
    name: 'failover: everything that was applied lies before it',
    world: { ...LATER, sourceWal: { timelineEnd: 1_000n as Lsn } },
    plan: { steps: ['record-source'] },
  },
  {
    name: 'failover: the ledger is past it',
    world: { ...LATER, sourceWal: { timelineEnd: 999n as Lsn } },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'failover: the ledger is past it, Resync',
    mirror: RESYNC,
    world: { ...LATER, sourceWal: { timelineEnd: 999n as Lsn } },
    plan: { steps: AGAIN },
  },
  {
    name: "failover: the source does not come from the ledger's timeline",
    world: LATER,
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'failover: back to a timeline that ended',
    world: { mirrorRecord: { ...MIRROR_RECORD, sourceTimeline: 2 } },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'failover: without the slot',
    world: { ...LATER, slot: undefined, sourceWal: { timelineEnd: 2_000n as Lsn } },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'failover: a timeline that cannot be read is no other one',
    world: { source: { timeline: 0 } },
    plan: {},
  },
  {
    name: 'restore: the source is not as far as what was applied',
    world: { sourceWal: { lsn: 999n as Lsn } },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'restore: a position that cannot be read is none that is behind',
    world: { sourceWal: { lsn: undefined } },
    plan: {},
  },
  {
    name: 'a ledger of an older program learns who the source is',
    world: { mirrorRecord: withoutTimeline() },
    plan: { steps: ['record-source'] },
  },
  {
    name: 'an identity that could not be read is learned',
    world: { mirrorRecord: { ...MIRROR_RECORD, sourceSystemIdentifier: '' } },
    plan: { steps: ['record-source'] },
  },

  // Its publication, as it was when the slot was made.
  {
    name: 'publication: dropped and made again',
    world: { publication: publication(['public.users'], { identity: identity({ oid: '30001' }) }) },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'publication: altered, and as it ought to be by now',
    world: { publication: ALTERED },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'publication: altered, Resync',
    mirror: RESYNC,
    world: { publication: ALTERED },
    plan: { steps: AGAIN },
  },
  {
    name: 'publication: altered so that partitions come by themselves, of which there are none',
    world: { publication: { ...ALTERED, viaPartitionRoot: false } },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: "publication: a DBA's, altered",
    mirror: mirror(undefined, THEIRS),
    world: {
      publication: ALTERED,
      mirrorRecord: { ...MIRROR_RECORD, publication: 'theirs' },
    },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: "publication: a DBA's, altered, that does not publish everything",
    mirror: mirror(undefined, { ...THEIRS, onSlotLoss: 'Resync' }),
    world: {
      publication: { ...ALTERED, operations: ['insert'] },
      mirrorRecord: { ...MIRROR_RECORD, publication: 'theirs' },
    },
    plan: { refusals: ['NotSupported'] },
  },
  {
    name: 'publication: of another owner is the same one',
    world: { publication: OF_ANOTHER },
    plan: { steps: ['record-source'] },
  },
  {
    name: 'publication: of another owner, and mended: what was mended is known afterwards',
    world: { publication: { ...OF_ANOTHER, viaPartitionRoot: false } },
    plan: { steps: ['alter-publication +[] -[]', 'record-source'] },
  },
  {
    name: 'publication: a ledger of an older program learns which one it is',
    world: { mirrorRecord: withoutPublication(), publication: ALTERED },
    plan: { steps: ['record-source'] },
  },
  {
    name: 'publication: altered before the slot was made',
    world: { mirrorRecord: { ...withoutPublication(), slotState: 'creating' }, tables: PENDING },
    plan: { steps: ['create-slot adopt', 'copy-table public.users resync truncate 0/0'] },
  },

  // Another source.
  {
    name: 'identity: another cluster, Resync: that was meant for a loss',
    mirror: RESYNC,
    world: OTHER_CLUSTER,
    plan: { refusals: ['IdentityChanged'] },
  },
  {
    name: 'identity: another cluster, the counter raised',
    mirror: bumped(),
    world: OTHER_CLUSTER,
    plan: { steps: AGAIN_BUMPED },
  },
  {
    name: 'identity: another cluster, the counter as it was when everything was copied',
    mirror: bumped(),
    world: { ...OTHER_CLUSTER, tables: inState({ phase: 'Live' }, 1) },
    plan: { refusals: ['IdentityChanged'] },
  },
  {
    name: 'identity: another cluster that has a slot of that name already',
    mirror: bumped(),
    world: { ...OTHER_CLUSTER, slot: SLOT },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    name: 'identity: another cluster, between the reset and the new slot',
    mirror: RESYNC,
    world: { ...OTHER_CLUSTER, mirrorRecord: CREATING, tables: PENDING },
    plan: { refusals: ['IdentityChanged'] },
  },
  {
    name: 'identity: another database of the same cluster',
    world: { source: { database: 'other' } },
    plan: { refusals: ['IdentityChanged'] },
  },
  {
    name: 'identity: another database of the same cluster, the counter raised: the slot there was ours',
    mirror: bumped(),
    world: { source: { database: 'other' } },
    plan: { steps: AGAIN_BUMPED },
  },
  {
    name: 'identity: another database, and the slot is of neither',
    mirror: bumped(),
    world: { source: { database: 'other' }, slot: { ...SLOT, database: 'third' } },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    name: 'identity: another database of who knows which cluster: its slot may be of somebody else',
    mirror: bumped(),
    world: { source: { database: 'other', systemIdentifier: '' } },
    plan: { refusals: ['SlotUnknown'] },
  },

  // Another publication.
  {
    name: "publication: from ours to a DBA's",
    mirror: mirror(undefined, { ...THEIRS, onSlotLoss: 'Resync' }),
    plan: { refusals: ['ImmutableFieldChanged'] },
  },
  {
    name: "publication: from ours to a DBA's, the counter raised: nobody reads ours any more",
    mirror: bumped(THEIRS),
    plan: { steps: ['drop-publication bunny_shop', ...AGAIN_BUMPED] },
  },
  {
    name: "publication: from a DBA's to ours, the counter raised",
    mirror: bumped(),
    world: {
      mirrorRecord: { ...MIRROR_RECORD, publication: 'theirs' },
      publication: undefined,
    },
    plan: {
      steps: ['reset-slot', 'create-publication [public.users]', ...AGAIN_BUMPED.slice(1)],
    },
  },
  {
    name: 'publication: between two of a DBA, the counter raised: neither is dropped',
    mirror: bumped(THEIRS),
    world: { mirrorRecord: { ...MIRROR_RECORD, publication: 'former' } },
    plan: { steps: AGAIN_BUMPED },
  },
  {
    name: 'publication: changed before the first slot was made',
    mirror: mirror(undefined, THEIRS),
    world: { mirrorRecord: CREATING, slot: undefined, tables: PENDING },
    plan: { steps: ['drop-publication bunny_shop', ...AGAIN] },
  },
  {
    name: 'publication: changed together with the cluster: ours is not on this one',
    mirror: bumped(THEIRS),
    world: OTHER_CLUSTER,
    plan: { steps: AGAIN_BUMPED },
  },
]);

function identity(more: Partial<PublicationIdentity>): PublicationIdentity {
  return { ...PUBLICATION_IDENTITY, ...more };
}

function withoutPublication(): typeof MIRROR_RECORD {
  const { publicationIdentity: _unknown, ...rest } = MIRROR_RECORD;
  return rest;
}

function withoutTimeline(): typeof MIRROR_RECORD {
  const { sourceTimeline: _unknown, ...rest } = MIRROR_RECORD;
  return rest;
}

test('nothing is streamed before what may have been lost was judged', () => {
  const may = (world: World, file = mirror()): boolean =>
    mayStream(file, { ...observed(world), gone: [] });
  assert.ok(may({}));
  const none: [string, World, Mirror?][] = [
    ['gone', { slot: undefined }],
    ['gone, and to be made again', { slot: undefined }, RESYNC],
    ['lost', { slot: LOST }],
    ['ahead', { slot: { ...SLOT, confirmedFlushLsn: 1_001n as Lsn } }],
    ['failed over, too far', { ...LATER, sourceWal: { timelineEnd: 999n as Lsn } }],
    ['failed over, not recorded yet', { ...LATER, sourceWal: { timelineEnd: 1_000n as Lsn } }],
    ['restored', { sourceWal: { lsn: 1n as Lsn } }],
    ['another cluster', { source: { systemIdentifier: '9' } }],
    ['another cluster, acknowledged', { source: { systemIdentifier: '9' } }, bumped()],
    ['another publication', {}, mirror(undefined, THEIRS)],
    ['the publication altered', { publication: ALTERED }],
    ['the publication of another, not recorded yet', { publication: OF_ANOTHER }],
    ['another publication, acknowledged', {}, bumped(THEIRS)],
  ];
  for (const [what, world, file] of none) assert.ok(!may(world, file), what);
  const early = (world: World): string[] =>
    earlyRefusals(mirror(), { ...observed(world), gone: [] }).map(({ error }) => error.code);
  assert.deepEqual(early({}), []);
  assert.deepEqual(early({ slot: LOST }), ['SlotLost']);
});

test('a refusal says what is wrong and every way out', () => {
  const told = (world: World, file = mirror()): string =>
    planMirror(file, observed(world))
      .refusals.map(({ error }) => `${error.message} | ${error.hint}`)
      .join('\n');
  const wayOut =
    "nothing is applied. Set onSlotLoss: Resync, or raise the mirror's resyncGeneration: every table is copied again.";
  assert.equal(
    told({ slot: { ...SLOT, confirmedFlushLsn: 1_001n as Lsn } }),
    'slot bunny_shop has confirmed 0/3E9, and only 0/3E8 was applied: the destination was restored from a backup, or somebody made or moved the slot by hand' +
      ` | The source was told to forget changes that are not here, and ${wayOut}`,
  );
  assert.equal(
    told({ slot: { ...LOST, invalidationReason: 'wal_removed' } }),
    `slot bunny_shop was invalidated (wal_status lost, wal_removed) | Changes are gone from the source, and ${wayOut}`,
  );
  assert.match(
    told({ ...LATER, sourceWal: { timelineEnd: 999n as Lsn } }),
    /applied up to 0\/3E8 on timeline 1, and the source left that at 0\/3E7 when it failed over to timeline 2: the destination holds changes that this source never had/,
  );
  assert.match(told({ ...LATER, slot: undefined }), /failed over from timeline 1 to 2 without it/);
  assert.match(
    told({ mirrorRecord: undefined, ledger: { tables: [] } }),
    /exists on the source, in use, but this destination knows no mirror shop \| It may be this mirror's own: if its file led to another destination before, take that edit back\. Rename the mirror; or, only if no mirror shop runs anywhere and nobody else uses the slot, on the source, in database shop: select pg_drop_replication_slot\('bunny_shop'\);$/,
  );
  assert.match(
    told(OTHER_CLUSTER),
    /^the source is cluster 9; what was copied came from cluster 1 \| Correct the connection, or raise the mirror's resyncGeneration, in the same commit or a later one/,
  );
});

test('who takes another source is told what stays at the former one', () => {
  const left = (world: World): string => {
    const plan = planMirror(bumped(), observed({ publication: publication([]), ...world }));
    const reset = plan.steps.find(({ kind }) => kind === 'reset-slot');
    return reset === undefined ? '' : describeStep(reset).text;
  };
  assert.equal(
    left(OTHER_CLUSTER),
    'slot: it is of the former source, cluster 1; every table is copied again; left behind in cluster 1, database shop: ' +
      `select pg_drop_replication_slot('bunny_shop'); drop publication if exists "bunny_shop";`,
  );
  assert.equal(
    left({ source: { database: 'other' } }),
    'slot: it is of the former source, database shop; every table is copied again; left behind in database shop: drop publication if exists "bunny_shop";',
  );
  assert.doesNotMatch(left({ slot: undefined }), /left behind/);
});
