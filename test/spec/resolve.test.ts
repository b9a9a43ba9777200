import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { canonicalJson } from '../../src/spec/hash.ts';
import { mirrorText, SOURCE_PEER, snapshotOf } from './files.ts';

const TABLES = '  tables:\n    - source: public.users\n';

interface SchemaNode {
  readonly default?: unknown;
  readonly properties: Readonly<Record<string, SchemaNode>>;
}

function hashOf(text: string, peer = SOURCE_PEER): string | undefined {
  return snapshotOf({ 'a.yaml': text, 'from.yaml': peer }).mirrors[0]?.specHash;
}

test('the defaults that are filled in are those of the schema', () => {
  const [mirror] = snapshotOf({ 'a.yaml': mirrorText(TABLES) }).mirrors;
  assert.ok(mirror);
  const url = new URL('../../schemas/mirror.schema.json', import.meta.url);
  const schema = JSON.parse(readFileSync(url, 'utf8')) as SchemaNode;
  const fields = schema.properties['spec']?.properties ?? {};
  const defaultsOf = (nodes: Readonly<Record<string, SchemaNode>>): Record<string, unknown> =>
    Object.fromEntries(Object.entries(nodes).map(([name, node]) => [name, node.default]));
  const { snapshot, cdc, tables, source } = mirror;
  assert.deepEqual(snapshot, defaultsOf(fields['snapshot']?.properties ?? {}));
  assert.deepEqual(cdc, defaultsOf(fields['cdc']?.properties ?? {}));
  const compared = ['suspend', 'deletionPolicy', 'resyncGeneration', 'replicateIndexes'] as const;
  for (const name of [...compared, 'replicateForeignKeys', 'schemaChanges', 'onSlotLoss'] as const)
    assert.equal(mirror[name], fields[name]?.default, name);
  assert.equal(tables[0]?.resyncStrategy, fields['resyncStrategy']?.default);
  assert.equal(tables[0]?.excludeColumns.length, 0);
  assert.deepEqual([source.port, source.sslMode], [5432, 'prefer']);
});

test('everything a file says arrives', () => {
  const { mirrors, diagnostics } = snapshotOf({
    'a.yaml': `apiVersion: bunnydb/v1
kind: Mirror
metadata: {name: prod, annotations: {owner: us}}
spec:
  source: from
  destination: {host: /run/pg, port: 6000, database: D, user: U, password: {file: p}, sslMode: disable, sslRootCert: r, sslCert: c, sslKey: k}
  suspend: true
  suspendReason: INC-1
  deletionPolicy: Delete
  resyncStrategy: swap
  resyncGeneration: 7
  replicateIndexes: false
  replicateForeignKeys: false
  schemaChanges: Stop
  onSlotLoss: Resync
  publication: theirs
  snapshot: {initial: false, rowsPerPartition: 10, maxParallelWorkers: 2, tablesInParallel: 3}
  cdc: {maxBatchSize: 5, idleTimeoutSeconds: 0.5}
  tables:
    - source: public.users
    - {source: public."a.b", destination: Other.T, excludeColumns: [x], resyncGeneration: 3, resyncStrategy: truncate}
`,
  });
  assert.deepEqual(diagnostics, []);
  const { specHash, ...mirror } = mirrors[0] ?? { specHash: '' };
  assert.match(specHash, /^sha256:[0-9a-f]{64}$/);
  assert.deepEqual(mirror, {
    name: 'prod',
    file: 'a.yaml',
    source: {
      host: 'source.internal',
      port: 5432,
      database: 'shop',
      user: 'bunny',
      sslMode: 'prefer',
    },
    destination: {
      host: '/run/pg',
      port: 6000,
      database: 'D',
      user: 'U',
      password: { file: 'p' },
      sslMode: 'disable',
      sslRootCert: 'r',
      sslCert: 'c',
      sslKey: 'k',
    },
    slot: 'bunny_prod',
    publication: { name: 'theirs', managed: false },
    suspend: true,
    suspendReason: 'INC-1',
    deletionPolicy: 'Delete',
    resyncGeneration: 7,
    replicateIndexes: false,
    replicateForeignKeys: false,
    schemaChanges: 'Stop',
    onSlotLoss: 'Resync',
    maintenanceWindows: [],
    snapshot: { initial: false, rowsPerPartition: 10, maxParallelWorkers: 2, tablesInParallel: 3 },
    cdc: { maxBatchSize: 5, idleTimeoutSeconds: 0.5 },
    tables: [
      {
        source: { schema: 'public', name: 'users' },
        destination: { schema: 'public', name: 'users' },
        excludeColumns: [],
        generation: { table: 0, mirror: 7 },
        resyncStrategy: 'swap',
      },
      {
        source: { schema: 'public', name: 'a.b' },
        destination: { schema: 'Other', name: 'T' },
        excludeColumns: ['x'],
        generation: { table: 3, mirror: 7 },
        resyncStrategy: 'truncate',
      },
    ],
  });
});

test('layout, comments, key order and annotations do not change the hash', () => {
  const plain = hashOf(mirrorText(`  suspend: false\n${TABLES}`));
  const other = `# c
kind: Mirror
spec: {tables: [{"source": 'public.users'}], suspend: false, destination: to, source: from} # d
metadata: {annotations: {a: b}, name: shop}
apiVersion: bunnydb/v1
`;
  assert.ok(plain);
  assert.equal(hashOf(other), plain);
});

test('an edit changes the hash, in the file or in a peer it names, and in no other file', () => {
  const hash = hashOf(mirrorText(TABLES));
  assert.notEqual(hashOf(mirrorText(`${TABLES}      resyncGeneration: 1\n`)), hash);
  assert.notEqual(hashOf(mirrorText(`  suspend: false\n${TABLES}`)), hash);
  const moved = SOURCE_PEER.replace('source.internal', 'new.internal');
  assert.notEqual(hashOf(mirrorText(TABLES), moved), hash);
  const inline = mirrorText(TABLES).replace(
    'source: from',
    'source: {host: source.internal, database: shop, user: bunny}',
  );
  assert.equal(hashOf(inline, moved), hashOf(inline));
});

test('canonical JSON', () => {
  assert.equal(
    canonicalJson({ b: [1, { d: null, c: 'é' }], a: undefined }),
    '{"b":[1,{"c":"é","d":null}]}',
  );
});
