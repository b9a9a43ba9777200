/** A destination table of another shape: a copy that was asked for mends it and says what it will do; else it is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableShape } from '../../src/core/observed.ts';
import { describeMend, isEmptyMend, planMend } from '../../src/plan/mend.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import {
  column,
  foreignKey,
  mirror,
  NOTE_INDEX,
  observed,
  PRIMARY_KEY,
  record,
  run,
  shape,
  table,
  type WorldTable,
} from './fixtures.ts';
import { type Case, runCases } from './cases.ts';

const ID = column('id', { notNull: true });
const NOTE = column('note', { type: 'text' });
const DRIFTED = shape('public.users', { columns: [ID, column('old', { type: 'text' })] });
const BUMPED = mirror([table('public.users', { generation: { table: 1, mirror: 0 } })]);
const MENDED = ['ShapeDiffers', 'ExtraColumn'];
const COPY = 'copy-table public.users';

function drifted(name: string, more: WorldTable, plan: Case['plan'], file = BUMPED): Case {
  const world = { tables: { 'public.users': { destinationShape: DRIFTED, ...more } } };
  return { name, mirror: file, world, plan };
}

const REFUSED = { refusals: ['SchemaMismatch public.users'], notices: ['ExtraColumn'] };
const SWAPPED = drifted(
  'a swap whose shadow has the rows: it takes the place of the table that differs',
  {
    record: record('public.users', {
      phase: 'CatchingUp',
      run: run({ strategy: 'swap', generation: { table: 1, mirror: 0 } }),
      snapshot: { visible: '1:1:', lsn: '0/0' },
    }),
  },
  { steps: ['replay-table public.users'], notices: MENDED },
);

runCases([
  drifted('no copy is asked for: refused', {}, REFUSED, mirror()),
  drifted('a resync', {}, { steps: [`${COPY} resync truncate 1/0`], notices: MENDED }),
  drifted(
    'a resync that is tried again',
    { record: record('public.users', { phase: 'Copying', run: run() }) },
    { steps: [`${COPY} retry truncate 1/0`], notices: MENDED },
  ),
  { ...SWAPPED, world: { ...SWAPPED.world, shadows: ['1'] } },
  drifted(
    'a first copy into a table that is empty replaces nothing',
    { record: undefined, hasRows: false },
    REFUSED,
    mirror(),
  ),
  drifted(
    'a first copy that may replace',
    { record: undefined, hasRows: true },
    { steps: ['register-table public.users', `${COPY} first truncate 1/0`], notices: MENDED },
  ),
  drifted(
    'a table that is not ours to alter',
    { destinationShape: { ...DRIFTED, owned: false } },
    { refusals: ['PermissionDenied public.users'], notices: MENDED },
  ),
  drifted(
    'a virtual column that the destination’s version does not have',
    {
      destinationShape: shape('public.users'),
      sourceShape: shape('public.users', {
        columns: [ID, { ...NOTE, generated: 'virtual', defaultExpression: "'x'" }],
      }),
    },
    { refusals: ['SchemaMismatch public.users'], notices: ['ShapeDiffers'] },
  ),
]);

test('what plan says', () => {
  const messages = (file = mirror()): string[] => {
    const world = observed({ tables: { 'public.users': { destinationShape: DRIFTED } } });
    const plan = planMirror(file, world);
    return [
      ...plan.refusals.flatMap(({ error }) => [error.message, error.hint]),
      ...plan.notices.map(({ message }) => message),
    ];
  };
  assert.deepEqual(messages(), [
    'public.users: column note (text) is missing',
    'Make the destination table like the source, or bump its resyncGeneration: the copy gives it the shape of the source.',
    'public.users: column old is at the destination only; it is left as it is',
  ]);
  assert.deepEqual(messages(BUMPED), [
    'public.users: a resync adds column note (text)',
    'public.users: column old is at the destination only; it is kept with its default, and its values are lost',
  ]);
});

/** The lines for a destination table that differs from the source's in this. */
function lines(desired: Partial<TableShape>, actual: Partial<TableShape>): string[] {
  return describeMend(planMend(shape('public.users', desired), shape('public.users', actual)));
}

test('a table that differs in nothing that counts is left alone', () => {
  const actual = shape('public.users', {
    columns: [column('more'), { ...NOTE, defaultExpression: "'x'" }, ID],
    indexes: [NOTE_INDEX],
  });
  assert.ok(isEmptyMend(planMend(shape('public.users'), actual)));
});

test('a generated column that reads one that changes is made anew, the destination’s own too', () => {
  const twice = column('twice', { generated: 'stored', touches: ['size'] });
  assert.deepEqual(
    lines(
      { columns: [ID, column('size'), twice] },
      {
        columns: [
          ID,
          column('size', { type: 'text' }),
          twice,
          { ...twice, name: 'thrice' },
          column('plain'),
        ],
        indexes: [{ ...NOTE_INDEX, touches: ['thrice'] }],
      },
    ),
    [
      "a resync gives column size the source's type integer (it is text)",
      'a resync makes column twice anew as a generated one (integer), in the last place',
      'a resync makes column thrice anew as a generated one (integer), in the last place',
      'a resync drops index users_note_idx, which is not as at the source',
    ],
  );
});

test('a key that holds a column NOT NULL goes with the NOT NULL', () => {
  assert.deepEqual(
    lines(
      { constraints: [] },
      {
        columns: [ID, { ...NOTE, notNull: true }],
        constraints: [{ ...PRIMARY_KEY, columns: ['note'], definition: 'PRIMARY KEY (note)' }],
      },
    ),
    [
      'a resync drops the NOT NULL of column note',
      'a resync drops constraint users_pkey, which is not as at the source',
    ],
  );
});

test('a foreign key under the source’s name goes only when it says something else', () => {
  const key = foreignKey('public.b');
  assert.deepEqual(lines({ foreignKeys: [key] }, { foreignKeys: [key] }), []);
  assert.deepEqual(lines({ foreignKeys: [] }, { foreignKeys: [key] }), []);
  assert.deepEqual(lines({ foreignKeys: [key] }, { foreignKeys: [{ ...key, columns: ['id'] }] }), [
    'a resync drops constraint note_fkey, which is not as at the source',
  ]);
});

test('an identity does not take the name of a sequence that a renamed column still has', () => {
  const id = { ...ID, identity: 'always' } as const;
  const sequence = {
    name: { schema: 'public', name: 'users_id_seq' },
    column: 'id',
    kind: 'identity',
    options: '',
    literal: '',
  } as const;
  const desired = shape('public.users', { columns: [id, NOTE], sequences: [sequence] });
  const without = shape('public.users', { columns: [NOTE] });
  assert.deepEqual(planMend(desired, without).sequences, [sequence]);
  const renamed = shape('public.users', {
    columns: [{ ...id, name: 'old' }, NOTE],
    sequences: [{ ...sequence, column: 'old' }],
  });
  assert.deepEqual(planMend(desired, renamed).sequences, []);
});
