/** A mirror from nothing, the slot, the publication, suspension. */
import type { Lsn } from '../../src/core/lsn.ts';
import {
  column,
  MIRROR_RECORD,
  mirror,
  name,
  publication,
  record,
  shape,
  SLOT,
  table,
  type World,
} from './fixtures.ts';
import { runCases } from './cases.ts';

const NOTHING_YET: World = {
  slot: undefined,
  publication: undefined,
  mirrorRecord: undefined,
  ledger: { version: 0 },
  tables: { 'public.users': { destinationShape: undefined, record: undefined } },
};

const CREATING = { ...MIRROR_RECORD, slotState: 'creating' as const };
const RESYNC = mirror(undefined, { onSlotLoss: 'Resync' });
const LOST_STEPS = ['reset-slot', 'create-slot', 'copy-table public.users resync truncate 0/0'];
const UNMANAGED = mirror(undefined, { publication: { name: 'theirs', managed: false } });
const THEIRS = { ...MIRROR_RECORD, publication: 'theirs' };

runCases([
  { name: 'everything as the file says: the empty plan', plan: {} },
  {
    name: 'from nothing',
    world: NOTHING_YET,
    plan: {
      steps: [
        'migrate-ledger',
        'register-mirror',
        'create-table public.users',
        'create-publication [public.users]',
        'create-slot',
        'register-table public.users',
        'accept-spec',
        'copy-table public.users first truncate 0/0',
      ],
    },
  },
  {
    name: 'from nothing with schema, types and sequence, each once and before what needs it',
    mirror: mirror([table('app.a', { destination: name('copy.a') }), table('app.b')]),
    world: {
      ...NOTHING_YET,
      schemas: ['public'],
      tables: Object.fromEntries(
        ['app.a', 'app.b'].map((source) => [
          source,
          {
            destination: source === 'app.a' ? 'copy.a' : source,
            destinationShape: undefined,
            record: undefined,
            types: [
              {
                name: name('kinds.mood'),
                kind: 'enum',
                state: 'missing',
                createSql: ['create type'],
                problem: undefined,
              },
            ],
            sourceShape: shape(source, {
              sequences: [
                {
                  name: name(`${source}_id_seq`),
                  column: 'id',
                  kind: 'serial',
                  options: '',
                  literal: `'${source}_id_seq'::regclass`,
                },
              ],
            }),
          },
        ]),
      ),
    },
    plan: {
      steps: [
        'migrate-ledger',
        'register-mirror',
        'create-schema kinds',
        'create-schema copy',
        'create-schema app',
        'create-type kinds.mood',
        'create-sequence a_id_seq',
        'create-sequence b_id_seq',
        'create-table app.a',
        'create-table app.b',
        'create-publication [app.a app.b]',
        'create-slot',
        'register-table app.a',
        'register-table app.b',
        'accept-spec',
        'copy-table app.a first truncate 0/0',
        'copy-table app.b first truncate 0/0',
      ],
    },
  },
  {
    name: 'snapshot.initial false: nothing is copied',
    mirror: mirror(undefined, { snapshot: { ...mirror().snapshot, initial: false } }),
    world: { tables: { 'public.users': { record: undefined, hasRows: true } } },
    plan: { steps: ['register-table public.users', 'adopt-table public.users'] },
  },
  {
    name: 'suspended: nothing at all, whatever differs',
    mirror: mirror(undefined, { suspend: true }),
    world: NOTHING_YET,
    plan: { notices: ['Suspended'] },
  },
  {
    name: 'a ledger of an older program',
    world: { ledger: { version: 0 } },
    plan: { steps: ['migrate-ledger'] },
  },

  // The slot.
  {
    name: 'slot: there, but the ledger knows no mirror',
    world: { mirrorRecord: undefined, ledger: { tables: [] } },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    name: 'slot: interrupted before it was made',
    world: { mirrorRecord: CREATING, slot: undefined },
    plan: { steps: ['create-slot'] },
  },
  {
    name: 'slot: interrupted after it was made',
    world: { mirrorRecord: CREATING },
    plan: { steps: ['create-slot adopt'] },
  },
  {
    name: 'slot: of another plugin',
    world: { slot: { ...SLOT, plugin: 'test_decoding' } },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    name: 'slot: of another database',
    world: { slot: { ...SLOT, database: 'other' } },
    plan: { refusals: ['SlotUnknown'] },
  },
  {
    name: 'slot: gone, Stop',
    world: { slot: undefined },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'slot: WAL lost, Stop',
    world: { slot: { ...SLOT, walStatus: 'lost' } },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'slot: ahead of what was applied, Stop',
    world: { slot: { ...SLOT, confirmedFlushLsn: 1_001n as Lsn } },
    plan: { refusals: ['TargetRewound'] },
  },
  {
    name: 'slot: behind what was applied, as after a crash of the source: nothing is lost',
    world: { slot: { ...SLOT, confirmedFlushLsn: 1n as Lsn } },
    plan: {},
  },
  {
    name: 'slot: gone, Resync',
    mirror: RESYNC,
    world: { slot: undefined },
    plan: { steps: LOST_STEPS },
  },
  {
    name: 'slot: ahead, Resync',
    mirror: RESYNC,
    world: { slot: { ...SLOT, confirmedFlushLsn: 1_001n as Lsn } },
    plan: { steps: LOST_STEPS },
  },
  {
    name: 'slot: gone, Resync, snapshot.initial false: adopting would hide the gap',
    mirror: { ...RESYNC, snapshot: { ...RESYNC.snapshot, initial: false } },
    world: { slot: undefined },
    plan: { steps: LOST_STEPS },
  },
  {
    name: 'slot: gone, Resync, a table in the middle of its resync',
    mirror: RESYNC,
    world: {
      slot: undefined,
      tables: {
        'public.users': {
          record: record('public.users', {
            phase: 'CatchingUp',
            run: undefined,
            snapshot: undefined,
          }),
        },
      },
    },
    plan: { steps: LOST_STEPS },
  },
  {
    name: 'slot: gone together with the cluster: the other cluster is what is said',
    mirror: RESYNC,
    world: { slot: undefined, source: { systemIdentifier: '9' } },
    plan: { refusals: ['IdentityChanged'] },
  },

  // The publication.
  {
    name: 'publication: gone, and with it what was written since',
    world: { publication: undefined },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'publication: gone, Resync',
    mirror: RESYNC,
    world: { publication: undefined },
    plan: {
      steps: [
        'reset-slot',
        'create-publication [public.users]',
        'create-slot',
        'copy-table public.users resync truncate 0/0',
      ],
    },
  },
  {
    name: 'publication: interrupted before the slot was made',
    world: {
      mirrorRecord: CREATING,
      slot: undefined,
      publication: publication([]),
      tables: { 'public.users': { record: undefined } },
    },
    plan: {
      steps: [
        'alter-publication +[public.users] -[]',
        'create-slot',
        'register-table public.users',
        'copy-table public.users first truncate 0/0',
      ],
    },
  },
  {
    name: 'publication: a table too many',
    world: { publication: publication(['public.users', 'public.old']) },
    plan: { steps: ['alter-publication +[] -[public.old]'] },
  },
  {
    name: 'publication: a table taken out by hand: published again it would hide the gap',
    world: { publication: publication([]) },
    plan: { refusals: ['SlotLost public.users'] },
  },
  {
    name: 'publication: a table taken out by hand, bumped',
    mirror: mirror([table('public.users', { generation: { table: 1, mirror: 0 } })]),
    world: { publication: publication([]) },
    plan: {
      steps: ['publish-table public.users', 'copy-table public.users resync truncate 1/0'],
    },
  },
  {
    name: 'publication: partitions under their own names, and no table that has any',
    world: { publication: publication(['public.users'], { viaPartitionRoot: false }) },
    plan: { steps: ['alter-publication +[] -[]'] },
  },
  {
    name: 'publication: an operation left out, and with it changes',
    world: { publication: publication(['public.users'], { operations: ['insert'] }) },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'publication: an operation left out, Resync',
    mirror: RESYNC,
    world: { publication: publication(['public.users'], { operations: ['insert'] }) },
    plan: {
      steps: [
        'reset-slot',
        'alter-publication +[] -[]',
        'create-slot',
        'copy-table public.users resync truncate 0/0',
      ],
    },
  },
  {
    name: 'publication: partitions under their own names, and a table that has some',
    world: {
      publication: publication(['public.users'], { viaPartitionRoot: false }),
      tables: { 'public.users': { sourceShape: shape('public.users', { kind: 'partitioned' }) } },
    },
    plan: { refusals: ['SlotLost'] },
  },
  {
    name: 'publication: with a row filter',
    world: {
      publication: publication(['public.users'], {
        partial: [{ table: name('public.users'), rowFilter: true, columns: undefined }],
      }),
    },
    plan: { refusals: ['NotSupported public.users'] },
  },
  {
    name: 'publication: a column list that leaves out only what is excluded',
    mirror: mirror([table('public.users', { excludeColumns: ['note'] })]),
    world: {
      tables: {
        'public.users': {
          destinationShape: shape('public.users', { columns: [column('id', { notNull: true })] }),
        },
      },
      publication: publication(['public.users'], {
        partial: [{ table: name('public.users'), rowFilter: false, columns: ['id'] }],
      }),
    },
    plan: {},
  },
  {
    name: 'publication: a column list that leaves out what is mirrored',
    world: {
      publication: publication(['public.users'], {
        partial: [{ table: name('public.users'), rowFilter: false, columns: ['id'] }],
      }),
    },
    plan: { refusals: ['NotSupported public.users'] },
  },
  {
    name: "publication: somebody's, and not there",
    mirror: UNMANAGED,
    world: { mirrorRecord: THEIRS, publication: undefined },
    plan: { refusals: ['TableMissing'] },
  },
  {
    name: "publication: somebody's, without one of the tables",
    mirror: { ...UNMANAGED, tables: [table('public.users'), table('public.b')] },
    world: {
      mirrorRecord: THEIRS,
      publication: publication(['public.b', 'public.c']),
      tables: { 'public.users': { record: undefined }, 'public.b': { record: undefined } },
    },
    plan: {
      steps: ['register-table public.b', 'copy-table public.b first truncate 0/0'],
      refusals: ['TableMissing public.users'],
      notices: ['ExtraTable'],
    },
  },
  {
    name: "publication: somebody's, without DELETE",
    mirror: UNMANAGED,
    world: {
      mirrorRecord: THEIRS,
      publication: publication(['public.users'], { operations: ['insert', 'update'] }),
    },
    plan: { refusals: ['NotSupported'] },
  },
  {
    name: "publication: somebody's, partitions under their own names",
    mirror: UNMANAGED,
    world: {
      mirrorRecord: THEIRS,
      publication: publication(['public.users'], { viaPartitionRoot: false }),
      tables: { 'public.users': { sourceShape: shape('public.users', { kind: 'partitioned' }) } },
    },
    plan: { refusals: ['NotSupported public.users'] },
  },
]);
