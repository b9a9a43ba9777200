/** What keeps a table, or a part of it, from being made at the destination. */
import type { Mirror } from '../../src/core/mirror.ts';
import type { ConstraintShape, NeededObject, TableShape } from '../../src/core/observed.ts';
import { mirror, NOTE_INDEX, PRIMARY_KEY, shape, table } from './fixtures.ts';
import { type Case, runCases } from './cases.ts';

const EXCLUDES_NOTE = mirror([table('public.users', { excludeColumns: ['note'] })]);
const FUNCTION = { object: 'function public.f(integer)', schema: 'public', extension: undefined };

/** `there`: the destination's table, Live; without it the table has yet to be made. */
function missing(
  what: string,
  neededBy: NeededObject['neededBy'],
  { isRefused, there, file }: { isRefused: boolean; there?: Partial<TableShape>; file?: Mirror },
): Case {
  const sourceShape = shape('public.users', {
    indexes: [NOTE_INDEX],
    constraints: [PRIMARY_KEY, CHECK],
  });
  const made = { destinationShape: there && shape('public.users', there) };
  const isToMake = !isRefused && there === undefined;
  const create = ['create-table public.users', 'register-table public.users'];
  return {
    name: `missing: ${what}`,
    ...(file === undefined ? {} : { mirror: file }),
    world: {
      tables: {
        'public.users': {
          sourceShape,
          ...made,
          ...(there === undefined ? { record: undefined } : {}),
          missingObjects: [{ ...FUNCTION, neededBy }],
        },
      },
    },
    plan: {
      ...(isRefused ? { refusals: ['ObjectMissing public.users'] } : {}),
      ...(isToMake ? { steps: [...create, 'copy-table public.users first truncate 0/0'] } : {}),
      // What a Live table does without is told.
      ...(there === undefined ? {} : { notices: ['ShapeDiffers'] }),
    },
  };
}

const CHECK: ConstraintShape = {
  name: 'users_check',
  kind: 'check',
  definition: 'CHECK (public.f(id) > 0)',
  columns: [],
  touches: ['id'],
  validated: true,
  indexDefinition: undefined,
};

runCases([
  missing('what a column needs', { kind: 'column', name: 'note' }, { isRefused: true }),
  missing('what a check needs', { kind: 'constraint', name: 'users_check' }, { isRefused: true }),
  missing('what an index needs', { kind: 'index', name: 'users_note_idx' }, { isRefused: true }),
  missing(
    'what an excluded column needs',
    { kind: 'column', name: 'note' },
    { isRefused: false, file: EXCLUDES_NOTE },
  ),
  missing(
    'what an index needs that nobody wants',
    { kind: 'index', name: 'users_note_idx' },
    { isRefused: false, file: mirror(undefined, { replicateIndexes: false }) },
  ),
  missing(
    'what an index of a Live table needs that it has yet to get',
    { kind: 'index', name: 'users_note_idx' },
    { isRefused: true, there: {} },
  ),
  missing(
    'what a Live table does without, a check',
    { kind: 'constraint', name: 'users_check' },
    { isRefused: false, there: { indexes: [NOTE_INDEX] } },
  ),
  missing(
    'what a Live table does without, a default',
    { kind: 'column', name: 'note' },
    { isRefused: false, there: { indexes: [NOTE_INDEX] } },
  ),
  {
    ...missing(
      'a check that a copy gives a table',
      { kind: 'constraint', name: 'users_check' },
      { isRefused: true, there: { indexes: [NOTE_INDEX] } },
    ),
    mirror: mirror([table('public.users', { generation: { table: 1, mirror: 0 } })]),
    plan: { refusals: ['ObjectMissing public.users'], notices: ['ShapeDiffers'] },
  },
  {
    name: 'the name of a table that is to be made is a type’s',
    world: {
      tables: {
        'public.users': {
          destinationShape: undefined,
          record: undefined,
          nameTakenBy: 'a type (public.users)',
        },
      },
    },
    plan: { refusals: ['NameTaken public.users'] },
  },
  {
    name: 'a schema bunnydb that is somebody else’s',
    world: {
      ledger: { version: 0, mirror: undefined, tables: [], foreign: true },
      slot: undefined,
      tables: { 'public.users': { destinationShape: undefined, record: undefined } },
    },
    plan: { refusals: ['NameTaken'] },
  },
  ...[
    { by: ['id'], hasExpression: false, refusals: [] },
    { by: ['note'], hasExpression: false, refusals: ['SchemaMismatch public.users'] },
    { by: ['id', 'note'], hasExpression: false, refusals: ['SchemaMismatch public.users'] },
    { by: [], hasExpression: true, refusals: ['SchemaMismatch public.users'] },
  ].map(({ by: columns, hasExpression, refusals }): Case => ({
    name: `partitioned at the destination by ${columns.join(', ')}${hasExpression ? 'an expression' : ''}`,
    world: {
      tables: {
        'public.users': {
          record: undefined,
          destinationShape: shape('public.users', {
            kind: 'partitioned',
            constraints: [],
            partitionKey: { columns, hasExpression },
          }),
        },
      },
    },
    plan:
      refusals.length > 0
        ? { refusals }
        : {
            steps: ['register-table public.users', 'copy-table public.users first truncate 0/0'],
          },
  })),
]);
