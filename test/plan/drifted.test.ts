/** What was changed by hand, told apart from what the file asks for and what a copy is about to bring. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mirror } from '../../src/core/mirror.ts';
import type { ConstraintShape } from '../../src/core/observed.ts';
import { driftOf } from '../../src/plan/drifted.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import {
  column,
  FAILURE,
  foreignKey,
  mirror,
  MIRROR_RECORD,
  NOTE_INDEX,
  observed,
  PRIMARY_KEY,
  publication,
  record,
  run,
  shape,
  table,
  UNIQUE_NOTE,
  type World,
  type WorldTable,
} from './fixtures.ts';

const NOTE = column('note', { type: 'text' });
const CHECK: ConstraintShape = {
  name: 'note_check',
  kind: 'check',
  definition: "CHECK ((note <> 'x'::text))",
  columns: [],
  touches: ['note'],
  validated: true,
  indexDefinition: undefined,
};
const INDEXED = shape('public.users', { indexes: [NOTE_INDEX] });
const PAIR = mirror([table('public.users'), table('public.orders')]);
const REFERENCING = {
  sourceShape: shape('public.orders', { foreignKeys: [foreignKey('public.users')] }),
};

function users(look: WorldTable): World {
  return { tables: { 'public.users': look } };
}

const COPIED = {
  generation: { table: 0, mirror: 0 },
  lsn: '0/1',
  rows: 1,
  destinationRows: 1,
  checkedAt: '2026-01-01T00:00:00.000000Z',
  result: 'Match',
} as const;
const PROVEN = record('public.users', undefined, { sourceOid: 20_000, verification: COPIED });

for (const [what, world, lines, file = mirror()] of [
  ['nothing', {}, []],
  [
    'an index',
    users({ sourceShape: INDEXED, record: PROVEN }),
    ['index users_note_idx on public.users'],
  ],
  [
    'a primary key',
    users({ destinationShape: shape('public.users', { constraints: [] }), record: PROVEN }),
    ['primary key users_pkey on public.users'],
  ],
  [
    'a foreign key',
    { tables: { 'public.users': {}, 'public.orders': REFERENCING } },
    ['foreign key note_fkey from public.orders to public.users'],
    PAIR,
  ],
  [
    'a foreign key of a table whose copy is not proven',
    {
      tables: {
        'public.users': { record: record('public.users', undefined, { sourceOid: 20_000 }) },
        'public.orders': REFERENCING,
      },
    },
    [],
    PAIR,
  ],
  [
    'a publication of too many tables',
    { publication: publication(['public.users', 'public.old']) },
    ['publication: drop public.old'],
  ],
  [
    'an index that says something else',
    users({
      sourceShape: INDEXED,
      destinationShape: shape('public.users', {
        indexes: [{ ...NOTE_INDEX, definition: 'USING hash (note)' }],
      }),
    }),
    [
      'IndexDiffers: public.users: users_note_idx is defined otherwise than at the source; it is left as it is until a resync',
    ],
  ],
  [
    'a foreign key to where its table was mirrored before',
    {
      tables: {
        'public.users': {},
        'public.orders': {
          ...REFERENCING,
          destinationShape: shape('public.orders', { foreignKeys: [foreignKey('old.users')] }),
        },
      },
    },
    [
      'IndexDiffers: public.orders: foreign key note_fkey references old.users, and public.users is mirrored; it is left as it is until a resync',
    ],
    PAIR,
  ],
  [
    'a foreign key that was altered',
    {
      tables: {
        'public.users': {},
        'public.orders': {
          ...REFERENCING,
          destinationShape: shape('public.orders', {
            foreignKeys: [foreignKey('public.users', { definition: '(id) ON DELETE CASCADE' })],
          }),
        },
      },
    },
    [
      'IndexDiffers: public.orders: foreign key note_fkey is defined otherwise than at the source; it is left as it is until a resync',
    ],
    PAIR,
  ],
  [
    'a check, a default and a NOT NULL that were dropped',
    users({
      sourceShape: shape('public.users', {
        columns: [
          column('id', { notNull: true }),
          { ...NOTE, notNull: true, defaultExpression: "''" },
        ],
        constraints: [PRIMARY_KEY, CHECK],
      }),
    }),
    [
      'ShapeDiffers: public.users: a resync makes column note NOT NULL as at the source',
      "ShapeDiffers: public.users: a resync adds the source's check note_check",
      "ShapeDiffers: public.users: column note has no default, at the source ''; it is left as it is",
    ],
  ],
  [
    'a table that was never copied, in the way of its first copy',
    users({
      destinationShape: shape('public.users', { columns: [column('id', { notNull: true })] }),
      record: record('public.users', { phase: 'Pending' }, { observed: undefined }),
    }),
    [],
  ],
  [
    'the same before the ledger knows of it',
    users({ destinationShape: shape('public.users', { kind: 'view' }), record: undefined }),
    [],
  ],
  [
    'a column that was dropped',
    users({
      destinationShape: shape('public.users', { columns: [column('id', { notNull: true })] }),
    }),
    ['SchemaMismatch: public.users: column note (text) is missing'],
  ],
  [
    'the table itself',
    users({ destinationShape: undefined, record: PROVEN }),
    ['table public.users (2 columns)'],
  ],
  ['a table to be copied first', users({ destinationShape: undefined, record: undefined }), []],
  [
    'a column that a copy under way brings',
    users({
      sourceShape: INDEXED,
      destinationShape: shape('public.users', { columns: [column('id', { notNull: true })] }),
      record: record('public.users', {
        phase: 'Failed',
        failure: FAILURE,
        resume: 'copy',
        run: run(),
        snapshot: undefined,
      }),
    }),
    [],
  ],
  [
    'a column that a swap brings when it may take its place',
    {
      ...users({
        sourceShape: INDEXED,
        destinationShape: shape('public.users', { columns: [column('id', { notNull: true })] }),
        record: record('public.users', {
          phase: 'CatchingUp',
          run: run({ strategy: 'swap' }),
          snapshot: undefined,
          fed: true,
        }),
      }),
      shadows: ['1'],
    },
    [],
  ],
  [
    'an index that the edited file asks for',
    { ...users({ sourceShape: INDEXED }), mirrorRecord: { ...MIRROR_RECORD, specHash: 'other' } },
    [],
  ],
] as const satisfies readonly (
  | readonly [string, World, readonly string[]]
  | readonly [string, World, readonly string[], Mirror]
)[])
  test(`drift: ${what}`, () => {
    const look = observed(world);
    assert.deepEqual(driftOf(planMirror(file, look), look.ledger.tables), lines);
  });

test('what replicateIndexes and replicateForeignKeys made is kept when they are off, and told with how to drop it', () => {
  const parts = {
    constraints: [PRIMARY_KEY, UNIQUE_NOTE],
    indexes: [NOTE_INDEX],
    foreignKeys: [foreignKey('public.users')],
  };
  const sourceShape = shape('public.orders', parts);
  const own = { ...NOTE_INDEX, name: 'mine', definition: 'USING hash (id)' };
  const destinationShape = shape('public.orders', {
    ...parts,
    indexes: [{ ...NOTE_INDEX, name: 'as_there' }, own],
  });
  const world = {
    tables: { 'public.users': {}, 'public.orders': { sourceShape, destinationShape } },
  };
  const notices = (more: Partial<Mirror>): string[] => {
    const look = observed(world);
    const plan = planMirror({ ...PAIR, ...more }, look);
    assert.deepEqual([plan.steps, driftOf(plan, look.ledger.tables)], [[], []]);
    return plan.notices.map(({ message }) => message);
  };
  assert.deepEqual(notices({}), []);
  assert.deepEqual(notices({ replicateIndexes: false, replicateForeignKeys: false }), [
    'public.orders: replicateIndexes and replicateForeignKeys are false, and what is there is kept; to drop it: drop index concurrently "public"."as_there"; alter table "public"."orders" drop constraint "users_note_key"; alter table "public"."orders" drop constraint "note_fkey"',
  ]);
  assert.deepEqual(notices({ replicateForeignKeys: false }), [
    'public.orders: replicateForeignKeys is false, and what is there is kept; to drop it: alter table "public"."orders" drop constraint "note_fkey"',
  ]);
});
