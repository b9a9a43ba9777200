/** Each field of a mirror file has a class, and an edit is told by it; the ledger takes up what was asked for. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import type { Mirror, MirrorTable } from '../../src/core/mirror.ts';
import type { MirrorRecord } from '../../src/core/observed.ts';
import { changesOf, FIELD_CLASSES } from '../../src/core/field-change.ts';
import { describeStep } from '../../src/plan/describe.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { runCases } from './cases.ts';
import { mirror, MIRROR_RECORD, name, observed, table } from './fixtures.ts';

interface SchemaNode {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly items?: SchemaNode;
  readonly then?: SchemaNode;
  readonly else?: SchemaNode;
}

/** Told as one value. */
const WHOLE = ['spec.maintenanceWindows', 'spec.source.password', 'spec.destination.password'];
/** The table's own name: it tells tables apart. */
const IDENTITY = 'spec.tables[].source';

/** Every field that a user can write under spec, by its path. */
async function schemaFields(): Promise<string[]> {
  const text = await readFile(new URL('../../schemas/mirror.schema.json', import.meta.url), 'utf8');
  const root = JSON.parse(text) as SchemaNode & { $defs: Readonly<Record<string, SchemaNode>> };
  const fieldsOf = (node: SchemaNode, path: string): string[] => {
    const definition = node.$ref && root.$defs[node.$ref.replace('#/$defs/', '')];
    const parts = [definition, node.then, node.else].filter((part) => typeof part === 'object');
    const isList = node.items?.properties !== undefined || node.items?.$ref !== undefined;
    const inner = [
      ...Object.entries(node.properties ?? {}).flatMap(([key, child]) =>
        fieldsOf(child, `${path}.${key}`),
      ),
      ...(isList ? [`${path}[]`, ...fieldsOf(node.items, `${path}[]`)] : []),
      ...parts.flatMap((part) => fieldsOf(part, path)).filter((field) => field !== path),
    ];
    return inner.length === 0 || WHOLE.includes(path) ? [path] : [...new Set(inner)];
  };
  return fieldsOf(root.properties?.['spec'] ?? {}, 'spec').filter((field) => field !== IDENTITY);
}

test('every field of the schema has a class, and no class is of a field that is not there', async () => {
  const fields = await schemaFields();
  assert.ok(fields.includes('spec.source.sslKey') && fields.includes('spec.tables[].destination'));
  assert.deepEqual(Object.keys(FIELD_CLASSES).sort(), [...fields].sort());
});

const BEFORE = mirror([
  table('public.users', { excludeColumns: ['secret', 'token'] }),
  table('public.orders'),
]);

/** As the ledger has it. */
function stored(before: Partial<Mirror>): Partial<Mirror> {
  return JSON.parse(JSON.stringify(before)) as Partial<Mirror>;
}

function edit(after: Partial<Mirror>, before: Partial<Mirror> = BEFORE): string[] {
  return changesOf(stored(before), { ...BEFORE, ...after }).map(
    ({ field, fieldClass, from, to }) => `${field}: ${from} -> ${to} (${fieldClass})`,
  );
}

function tables(users: Partial<MirrorTable>): Partial<Mirror> {
  return {
    tables: [table('public.users', { ...BEFORE.tables[0], ...users }), table('public.orders')],
  };
}

test('the same file changes nothing, in whatever order its tables and columns are named', () => {
  assert.deepEqual(edit({}), []);
  assert.deepEqual(edit({ tables: BEFORE.tables.toReversed() }), []);
  assert.deepEqual(edit(tables({ excludeColumns: ['token', 'secret'] })), []);
  assert.deepEqual(edit({ file: 'elsewhere.yaml', specHash: 'sha256:1' }), []);
});

for (const [what, after, lines] of [
  [
    'limits',
    { cdc: { ...BEFORE.cdc, maxBatchSize: 7 } },
    ['spec.cdc.maxBatchSize: 1 -> 7 (in-place)'],
  ],
  [
    'a connection: each field by itself, passwords as references',
    {
      source: {
        ...BEFORE.source,
        host: 'db2',
        password: { env: 'SHOP_PASSWORD' },
        database: 'other',
      },
    },
    [
      'spec.source.host: db -> db2 (in-place)',
      'spec.source.database: shop -> other (immutable)',
      'spec.source.password: undefined -> {env: SHOP_PASSWORD} (in-place)',
    ],
  ],
  [
    'a publication of a DBA',
    { publication: { name: 'shop_pub', managed: false } },
    ['spec.publication: bunny_shop -> shop_pub (immutable)'],
  ],
  [
    'a reason of two lines, on one line',
    { suspendReason: 'first\nsecond: "x"' },
    ['spec.suspendReason: undefined -> "first\\nsecond: \\"x\\"" (in-place)'],
  ],
  [
    'a window',
    {
      maintenanceWindows: [{ days: ['Sat'], start: '02:00', durationMinutes: 60, timeZone: 'UTC' }],
    },
    [
      'spec.maintenanceWindows: [] -> [{days: [Sat], start: 02:00, durationMinutes: 60, timeZone: UTC}] (in-place)',
    ],
  ],
  [
    'columns',
    tables({ excludeColumns: ['secret'] }),
    ['spec.tables[public.users].excludeColumns: [secret, token] -> [secret] (needs-resync)'],
  ],
  [
    'a destination and a strategy',
    tables({ destination: name('crm.users'), resyncStrategy: 'swap' }),
    [
      'spec.tables[public.users].destination: public.users -> crm.users (needs-resync)',
      'spec.tables[public.users].resyncStrategy: truncate -> swap (in-place)',
    ],
  ],
  [
    'both counters',
    { resyncGeneration: 2, ...tables({ generation: { table: 3, mirror: 2 } }) },
    [
      'spec.resyncGeneration: 0 -> 2 (needs-resync)',
      'spec.tables[public.users].resyncGeneration: 0 -> 3 (needs-resync)',
    ],
  ],
  [
    'a table more and one less',
    {
      tables: [
        BEFORE.tables[0] ?? table('x'),
        table('Sales.Lines', { destination: name('public.lines') }),
      ],
    },
    [
      'spec.tables[Sales.Lines]: undefined -> public.lines (needs-resync)',
      'spec.tables[public.orders]: public.orders -> undefined (in-place)',
    ],
  ],
] as const satisfies readonly [string, Partial<Mirror>, string[]][])
  test(`an edit of ${what}`, () => {
    assert.deepEqual(edit(after), lines);
  });

test('what is no more is told as well as what is new', () => {
  const before = { ...BEFORE, suspendReason: 'why' };
  assert.deepEqual(edit({}, before), ['spec.suspendReason: why -> undefined (in-place)']);
});

test('a field that an older version did not write is no change', () => {
  const { maintenanceWindows: _windows, cdc: _cdc, snapshot, ...older } = BEFORE;
  const { tablesInParallel: _tables, ...limits } = snapshot;
  const before = { ...older, snapshot: limits } as Partial<Mirror>;
  assert.deepEqual(edit({ cdc: { maxBatchSize: 9, idleTimeoutSeconds: 9 } }, before), []);
  assert.deepEqual(edit({}, {}), []);
});

const USERS = mirror(undefined, { specHash: 'sha256:1' });
const KNOWN = { ...MIRROR_RECORD, specHash: 'sha256:1', spec: stored(USERS) };

runCases([
  { name: 'a file that was taken up', mirror: USERS, world: { mirrorRecord: KNOWN }, plan: {} },
  {
    name: 'another file',
    mirror: USERS,
    world: { mirrorRecord: { ...KNOWN, specHash: 'sha256:0' } },
    plan: { steps: ['accept-spec'] },
  },
  {
    name: 'the same file, when a table in it has left for good since',
    mirror: USERS,
    world: {
      mirrorRecord: {
        ...KNOWN,
        spec: stored({ ...USERS, tables: [...USERS.tables, table('public.orders')] }),
      },
    },
    plan: { steps: ['accept-spec'] },
  },
  {
    name: 'a ledger of an older version',
    mirror: USERS,
    world: { mirrorRecord: { ...KNOWN, specHash: undefined, spec: undefined } as never },
    plan: { steps: ['accept-spec'] },
  },
  {
    name: 'a mirror that is refused as a whole goes by what was asked for before',
    mirror: { ...USERS, specHash: 'sha256:2' },
    world: { mirrorRecord: KNOWN, source: { walLevel: 'replica' } },
    plan: { refusals: ['WalLevelNotLogical'] },
  },
  {
    name: 'a suspended one too',
    mirror: { ...USERS, specHash: 'sha256:2', suspend: true },
    world: { mirrorRecord: KNOWN },
    plan: { notices: ['Suspended'] },
  },
]);

test('the step names each change with its class, a line each', () => {
  const after = {
    ...USERS,
    specHash: 'sha256:2',
    onSlotLoss: 'Resync',
    deletionPolicy: 'Delete',
  } as const;
  const text = (record: MirrorRecord): string[] =>
    planMirror(after, observed({ mirrorRecord: record })).steps.map(
      (step) => describeStep(step).text,
    );
  assert.deepEqual(text(KNOWN), [
    `file: 2 fields changed
spec.deletionPolicy: Retain -> Delete (in-place)
spec.onSlotLoss: Stop -> Resync (in-place)`,
  ]);
  assert.deepEqual(text(MIRROR_RECORD), ['file: taken up']);
});
