/** What keeps a mirror or a table from going on, and that it stops nobody else. */
import type { ObservedServer, ObservedType, TableShape } from '../../src/core/observed.ts';
import {
  column,
  FAILURE,
  mirror,
  name,
  PRIMARY_KEY,
  publication,
  record,
  shape,
  table,
} from './fixtures.ts';
import { type Case, runCases } from './cases.ts';

function source(change: Partial<ObservedServer>, refusal: string): Case {
  return {
    name: `source: ${JSON.stringify(change)}`,
    world: { source: change },
    plan: { refusals: [refusal] },
  };
}

function sourceTable(what: string, change: Partial<TableShape>, refusal: string): Case {
  return {
    name: `source table: ${what}`,
    world: { tables: { 'public.users': { sourceShape: shape('public.users', change) } } },
    plan: { refusals: [`${refusal} public.users`] },
  };
}

function destinationTable(what: string, change: Partial<TableShape>, refusal?: string): Case {
  return {
    name: `destination table: ${what}`,
    world: { tables: { 'public.users': { destinationShape: shape('public.users', change) } } },
    plan: refusal === undefined ? {} : { refusals: [`${refusal} public.users`] },
  };
}

const ID = column('id', { notNull: true });
const NOTE = column('note', { type: 'text' });

function type(more: Partial<ObservedType>): ObservedType {
  return {
    name: name('public.mood'),
    kind: 'enum',
    state: 'missing',
    createSql: [],
    problem: undefined,
    ...more,
  };
}

function withType(what: string, more: Partial<ObservedType>, plan: Case['plan']): Case {
  return {
    name: `type: ${what}`,
    world: { tables: { 'public.users': { types: [type(more)] } } },
    plan,
  };
}

const EXCLUDES_NOTE = mirror([table('public.users', { excludeColumns: ['note'] })]);
const ENUM_GREW = {
  state: 'different',
  problem: "lacks 'calm'",
  createSql: ['alter type'],
} as const;

runCases([
  source({ walLevel: 'replica' }, 'WalLevelNotLogical'),
  source({ version: 130_012 }, 'ServerTooOld'),
  source({ systemIdentifier: '9' }, 'IdentityChanged'),
  source({ role: { name: 'bunny', superuser: false, replication: false } }, 'PermissionDenied'),
  {
    name: 'an unknown system identifier is no other one',
    world: { source: { systemIdentifier: '' } },
    plan: {},
  },
  {
    name: 'no right to make the publication',
    world: {
      source: { canCreate: false },
      publication: undefined,
      slot: undefined,
      mirrorRecord: undefined,
      ledger: { tables: [] },
    },
    plan: { refusals: ['PermissionDenied'] },
  },
  {
    name: 'no right to make the ledger',
    world: { destination: { canCreate: false }, ledger: { version: 0 } },
    plan: { refusals: ['PermissionDenied'] },
  },
  {
    name: 'everything that is refused is named at once',
    world: {
      source: { walLevel: 'replica' },
      tables: { 'public.users': { sourceShape: undefined } },
    },
    plan: { refusals: ['WalLevelNotLogical', 'TableMissing public.users'] },
  },
  {
    name: 'a mirror onto itself',
    world: { destination: { systemIdentifier: '1' } },
    plan: { refusals: ['NotSupported public.users'] },
  },
  {
    name: 'a copy under another name in the same database',
    mirror: mirror([table('public.users', { destination: name('public.copy') })]),
    world: {
      destination: { systemIdentifier: '1' },
      tables: { 'public.users': { destination: 'public.copy' } },
    },
    plan: {},
  },

  {
    name: 'source table: not there',
    world: { tables: { 'public.users': { sourceShape: undefined } } },
    plan: { refusals: ['TableMissing public.users'] },
  },
  sourceTable('a view', { kind: 'view' }, 'TableNotMirrorable'),
  sourceTable('a foreign table', { kind: 'foreign table' }, 'TableNotMirrorable'),
  sourceTable('unlogged', { unlogged: true }, 'TableNotMirrorable'),
  sourceTable('unreadable', { readable: false }, 'PermissionDenied'),
  sourceTable('row security', { rowSecurity: true }, 'PermissionDenied'),
  sourceTable(
    'identity nothing',
    { replicaIdentity: { kind: 'nothing', columns: [] } },
    'NoReplicaIdentity',
  ),
  sourceTable(
    'identity default without a key',
    { replicaIdentity: { kind: 'default', columns: [] } },
    'NoReplicaIdentity',
  ),
  {
    name: 'source table: identity full without a key',
    world: {
      tables: {
        'public.users': {
          sourceShape: shape('public.users', {
            constraints: [],
            replicaIdentity: { kind: 'full', columns: ['id', 'note'] },
          }),
          destinationShape: shape('public.users', { constraints: [] }),
        },
      },
    },
    plan: {},
  },
  {
    name: 'source table: not ours, and not in the publication',
    world: {
      publication: publication([]),
      tables: { 'public.users': { sourceShape: shape('public.users', { owned: false }) } },
    },
    plan: { refusals: ['PermissionDenied public.users'] },
  },
  {
    name: 'source table: not ours, but in the publication already',
    world: { tables: { 'public.users': { sourceShape: shape('public.users', { owned: false }) } } },
    plan: {},
  },
  {
    name: 'excludeColumns takes the key away',
    mirror: mirror([table('public.users', { excludeColumns: ['id'] })]),
    world: {
      tables: { 'public.users': { destinationShape: undefined, record: undefined } },
    },
    plan: { refusals: ['InvalidSpec public.users'] },
  },
  {
    name: 'excludeColumns misspelt, before the first copy',
    mirror: mirror([table('public.users', { excludeColumns: ['Note'] })]),
    world: { tables: { 'public.users': { record: undefined } } },
    plan: { refusals: ['InvalidSpec public.users'] },
  },
  {
    name: 'excludeColumns names a column that the source has dropped since',
    mirror: mirror([table('public.users', { excludeColumns: ['old'] })]),
    plan: {},
  },

  ...[
    'bunnydb.tables',
    'bunnydb_shadow_1.users',
    'bunnydb_old_1.users',
    'pg_catalog.users',
  ].flatMap((destination): Case[] =>
    [undefined, shape(destination)].map((there) => ({
      name: `destination table: ${destination}, ${there ? 'there' : 'to be made'}`,
      mirror: mirror([
        table('public.users', {
          destination: name(destination),
          generation: { table: 1, mirror: 0 },
        }),
      ]),
      world: {
        tables: {
          'public.users': {
            destination,
            destinationShape: there,
            record: undefined,
            hasRows: true,
          },
        },
      },
      plan: { refusals: ['InvalidSpec public.users'] },
    })),
  ),
  ...['bunnydb.tables', 'information_schema.tables'].map((source): Case => ({
    name: `source table: ${source}`,
    mirror: mirror([table(source, { destination: name('public.users') })]),
    world: { tables: { [source]: { destination: 'public.users', record: undefined } } },
    plan: { refusals: [`TableNotMirrorable ${source}`] },
  })),

  destinationTable('a view', { kind: 'view' }, 'SchemaMismatch'),
  destinationTable('not writable', { readable: false }, 'PermissionDenied'),
  destinationTable('row security', { rowSecurity: true }, 'PermissionDenied'),
  destinationTable('partitioned', { kind: 'partitioned' }),
  destinationTable('columns in another order', { columns: [NOTE, ID] }),
  destinationTable('a column missing', { columns: [ID] }, 'SchemaMismatch'),
  destinationTable(
    'another type',
    { columns: [ID, { ...NOTE, type: 'character varying(10)' }] },
    'SchemaMismatch',
  ),
  destinationTable(
    'another collation',
    { columns: [ID, { ...NOTE, collation: 'pg_catalog."C"' }] },
    'SchemaMismatch',
  ),
  destinationTable(
    'generated there only',
    { columns: [ID, { ...NOTE, generated: 'stored', defaultExpression: "'x'" }] },
    'SchemaMismatch',
  ),
  destinationTable(
    'NOT NULL there only',
    { columns: [ID, { ...NOTE, notNull: true }] },
    'SchemaMismatch',
  ),
  {
    ...destinationTable('nullable there only', { columns: [{ ...ID, notNull: false }, NOTE] }),
    plan: { notices: ['ShapeDiffers'] },
  },
  destinationTable(
    'a column more, that nobody fills',
    { columns: [ID, NOTE, column('more', { notNull: true })] },
    'SchemaMismatch',
  ),
  {
    ...destinationTable('a column more', { columns: [ID, NOTE, column('more')] }),
    plan: { notices: ['ExtraColumn'] },
  },
  {
    ...destinationTable('the excluded column, nullable', {}),
    mirror: EXCLUDES_NOTE,
  },
  destinationTable(
    'another primary key',
    { constraints: [{ ...PRIMARY_KEY, columns: ['note'], definition: 'PRIMARY KEY (note)' }] },
    'SchemaMismatch',
  ),
  {
    name: 'a column generated at the source only: its values are not sent',
    world: {
      tables: {
        'public.users': {
          sourceShape: shape('public.users', {
            columns: [ID, { ...NOTE, generated: 'stored', defaultExpression: "'x'" }],
          }),
        },
      },
    },
    plan: { refusals: ['SchemaMismatch public.users'] },
  },
  ...[170_004, 180_001].map((version): Case => ({
    name: `a virtual column and a destination of version ${version}`,
    mirror: mirror(),
    world: {
      destination: { version },
      tables: {
        'public.users': {
          record: undefined,
          destinationShape: undefined,
          sourceShape: shape('public.users', {
            columns: [ID, { ...NOTE, generated: 'virtual', defaultExpression: "'x'" }],
          }),
        },
      },
    },
    plan:
      version < 180_000
        ? { refusals: ['SchemaMismatch public.users'] }
        : {
            steps: [
              'create-table public.users',
              'register-table public.users',
              'copy-table public.users first truncate 0/0',
            ],
          },
  })),

  withType(
    'of an extension that is missing',
    { kind: 'extension', problem: 'CREATE EXTENSION citext' },
    { refusals: ['SchemaMismatch public.users'] },
  ),
  withType(
    'different',
    { state: 'different', problem: 'is a domain' },
    { refusals: ['SchemaMismatch public.users'] },
  ),
  withType('an enum that grew', ENUM_GREW, { steps: ['create-type public.mood'] }),
  {
    ...withType('an enum that grew, and schemaChanges Stop', ENUM_GREW, {
      refusals: ['SchemaMismatch public.users'],
    }),
    mirror: mirror(undefined, { schemaChanges: 'Stop' }),
  },

  {
    name: 'a refused table has no step at all, the others have theirs',
    mirror: mirror([
      table('public.users'),
      table('public.b', { generation: { table: 1, mirror: 0 } }),
    ]),
    world: {
      tables: {
        'public.users': { destinationShape: shape('public.users', { columns: [ID] }) },
        'public.b': {
          record: record('public.b', {
            phase: 'Failed',
            failure: FAILURE,
            resume: 'replay',
            run: undefined,
            snapshot: undefined,
          }),
        },
      },
    },
    plan: {
      steps: ['copy-table public.b resync truncate 1/0'],
      refusals: ['SchemaMismatch public.users'],
    },
  },
]);
