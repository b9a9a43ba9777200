/** Keys, indexes and foreign keys of tables that are Live. */
import type { SavedForeignKey, TableShape } from '../../src/core/observed.ts';
import {
  column,
  FAILURE,
  foreignKey,
  mirror,
  name,
  NOTE_INDEX,
  PRIMARY_KEY,
  record,
  shape,
  table,
  UNIQUE_NOTE,
  type World,
} from './fixtures.ts';
import { runCases } from './cases.ts';

const FULL = { constraints: [PRIMARY_KEY, UNIQUE_NOTE], indexes: [NOTE_INDEX] };

function keys(source: Partial<TableShape>, destination: Partial<TableShape>): World {
  return {
    tables: {
      'public.users': {
        sourceShape: shape('public.users', source),
        destinationShape: shape('public.users', destination),
      },
    },
  };
}

const TWO = mirror([table('public.users'), table('public.b')]);
const KEY = foreignKey('public.b');
const NOTHING = mirror(undefined, { replicateIndexes: false, replicateForeignKeys: false });

function linked(destination: Partial<TableShape>, b: object = {}, users: object = {}): World {
  return {
    tables: {
      'public.users': {
        sourceShape: shape('public.users', { foreignKeys: [KEY] }),
        destinationShape: shape('public.users', destination),
        ...users,
      },
      'public.b': b,
    },
  };
}

const SAVED: SavedForeignKey = {
  id: '1',
  table: name('public.b'),
  owner: name('public.users'),
  name: 'note_fkey',
  definition: 'FOREIGN KEY (note) REFERENCES public.b(id)',
};

function saved(keys: readonly SavedForeignKey[], world: World): World {
  const tables = Object.entries(world.tables ?? {}).map(([source, look]) =>
    'record' in look && look.record ? look.record : record(source),
  );
  return { ...world, ledger: { tables, savedForeignKeys: keys } };
}

const PENDING_B = {
  record: record(
    'public.b',
    {
      phase: 'Failed',
      failure: { ...FAILURE, code: 'SpoolFull' },
      resume: 'replay',
      run: undefined,
      snapshot: undefined,
    },
    {},
  ),
};

runCases([
  {
    name: 'keys and indexes that are missing',
    world: keys(FULL, { constraints: [], indexes: [] }),
    plan: {
      steps: [
        'create-constraint users_pkey',
        'create-constraint users_note_key',
        'create-index users_note_idx',
      ],
    },
  },
  {
    name: 'under other names they are as good',
    world: keys(FULL, {
      constraints: [
        { ...PRIMARY_KEY, name: 'a' },
        { ...UNIQUE_NOTE, name: 'b' },
      ],
      indexes: [{ ...NOTE_INDEX, name: 'c' }],
    }),
    plan: {},
  },
  {
    name: 'a unique index is as good as the constraint',
    world: keys(FULL, {
      constraints: [PRIMARY_KEY],
      indexes: [NOTE_INDEX, { ...NOTE_INDEX, name: 'u', unique: true }],
    }),
    plan: {},
  },
  {
    name: 'one that is invalid is missing',
    world: keys(FULL, {
      constraints: [PRIMARY_KEY, UNIQUE_NOTE],
      indexes: [{ ...NOTE_INDEX, valid: false }],
    }),
    plan: { steps: ['create-index users_note_idx'] },
  },
  {
    name: 'one that is invalid at the source is not wanted',
    world: keys({ indexes: [{ ...NOTE_INDEX, valid: false }] }, {}),
    plan: {},
  },
  {
    name: 'a name that is taken is left alone',
    world: keys(FULL, {
      constraints: [PRIMARY_KEY, UNIQUE_NOTE],
      indexes: [{ ...NOTE_INDEX, definition: 'USING hash (note)' }],
    }),
    plan: { notices: ['IndexDiffers'] },
  },
  {
    name: 'what only the destination has is left alone',
    world: keys({}, FULL),
    plan: {},
  },
  {
    name: 'without replicateIndexes only the primary key',
    mirror: NOTHING,
    world: keys(FULL, { constraints: [] }),
    plan: { steps: ['create-constraint users_pkey'] },
  },
  {
    name: 'without replicateIndexes the replica identity',
    mirror: NOTHING,
    world: keys(
      {
        ...FULL,
        constraints: [],
        indexes: [NOTE_INDEX, { ...NOTE_INDEX, name: 'identity', unique: true }],
        replicaIdentity: { kind: 'index', columns: ['note'] },
      },
      { constraints: [] },
    ),
    plan: { steps: ['create-index identity'] },
  },
  {
    name: 'nothing that reads an excluded column',
    mirror: mirror([table('public.users', { excludeColumns: ['note'] })]),
    world: keys(FULL, { columns: [column('id', { notNull: true })] }),
    plan: {},
  },
  {
    name: 'a table that is not Live gets its keys from its copy',
    world: {
      tables: {
        'public.users': {
          sourceShape: shape('public.users', FULL),
          record: record('public.users', {
            phase: 'CatchingUp',
            run: undefined,
            snapshot: undefined,
          }),
        },
      },
    },
    plan: { steps: ['replay-table public.users'] },
  },

  {
    name: 'foreign key: both ends Live',
    mirror: TWO,
    world: linked({}),
    plan: { steps: ['add-foreign-key note_fkey to public.b'] },
  },
  {
    name: 'foreign key: there, under another name',
    mirror: TWO,
    world: linked({ foreignKeys: [{ ...KEY, name: 'other' }] }),
    plan: {},
  },
  {
    name: 'foreign key: there, printed otherwise by another major',
    mirror: TWO,
    world: {
      ...linked({ foreignKeys: [{ ...KEY, definition: '(id) ON DELETE RESTRICT' }] }),
      destination: { version: 160_000 },
    },
    plan: {},
  },
  {
    name: 'foreign key: there, and altered',
    mirror: TWO,
    world: linked({ foreignKeys: [{ ...KEY, definition: '(id) ON DELETE CASCADE' }] }),
    plan: { notices: ['IndexDiffers'] },
  },
  {
    name: 'foreign key: not validated yet',
    mirror: TWO,
    world: linked({ foreignKeys: [{ ...KEY, validated: false }] }),
    plan: { steps: ['validate-foreign-key note_fkey'] },
  },
  {
    name: 'foreign key: not valid at the source either',
    mirror: TWO,
    world: {
      tables: {
        'public.users': {
          sourceShape: shape('public.users', { foreignKeys: [{ ...KEY, validated: false }] }),
          destinationShape: shape('public.users', {
            foreignKeys: [{ ...KEY, validated: false }],
          }),
        },
        'public.b': {},
      },
    },
    plan: {},
  },
  {
    name: 'foreign key: to a table outside the mirror',
    world: {
      tables: { 'public.users': { sourceShape: shape('public.users', { foreignKeys: [KEY] }) } },
    },
    plan: {},
  },
  {
    name: 'foreign key: to a table under another name',
    mirror: mirror([table('public.users'), table('public.b', { destination: name('copy.b') })]),
    world: {
      tables: {
        'public.users': { sourceShape: shape('public.users', { foreignKeys: [KEY] }) },
        'public.b': { destination: 'copy.b' },
      },
    },
    plan: { steps: ['add-foreign-key note_fkey to copy.b'] },
  },
  {
    name: 'foreign key: one end is not Live',
    mirror: TWO,
    world: linked({}, PENDING_B),
    plan: { refusals: ['SpoolFull public.b'] },
  },
  {
    name: 'foreign key: not asked for',
    mirror: { ...TWO, replicateForeignKeys: false },
    world: linked({}),
    plan: {},
  },
  {
    name: 'saved foreign key: back, and not added beside it',
    mirror: TWO,
    world: saved([SAVED], linked({})),
    plan: { steps: ['restore-foreign-key note_fkey'] },
  },
  {
    name: "saved foreign key: a user's, of a table that is not mirrored, also when none are asked for",
    mirror: { ...TWO, replicateForeignKeys: false },
    world: saved([{ ...SAVED, owner: name('public.reports') }], linked({})),
    plan: { steps: ['restore-foreign-key note_fkey'] },
  },
  {
    name: 'saved foreign key: waits for the table',
    mirror: TWO,
    world: saved([SAVED], linked({}, PENDING_B)),
    plan: { refusals: ['SpoolFull public.b'] },
  },
  {
    name: 'saved foreign key: of a table that leaves the mirror',
    world: {
      tables: { 'public.users': {} },
      ledger: {
        tables: [record('public.users'), record('public.b', { phase: 'Pending' })],
        savedForeignKeys: [SAVED],
      },
    },
    plan: { steps: ['restore-foreign-key note_fkey', 'retire-table public.b'] },
  },
]);
