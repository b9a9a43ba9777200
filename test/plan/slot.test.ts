/** The slot, the source's identity and history, and which publication the file names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Lsn, LSN_ZERO } from '../../src/core/lsn.ts';
import type { Mirror } from '../../src/core/mirror.ts';
import type { PublicationIdentity } from '../../src/core/observed.ts';
import type { TableState } from '../../src/core/table-state.ts';
import { earlyRefusals, mayStream } from '../../src/plan/plan-mirror.ts';
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
import { bumped, LATER, LOST, OTHER_CLUSTER } from './slot-worlds.ts';

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
const NEVER_MADE = { ...CREATING, appliedLsn: LSN_ZERO };
const IDLE = { ...SLOT, active: false };
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
