import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { ERROR_RULES } from '../../src/core/errors.ts';

interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly string[];
  readonly $comment?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: unknown;
  readonly items?: SchemaNode;
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

interface Property {
  readonly path: string;
  readonly node: SchemaNode;
  readonly required: boolean;
}

const NAMES = ['mirror', 'peer', 'status', 'plan'] as const;
const SCHEMAS = Object.fromEntries(NAMES.map((name) => [name, readSchema(name)])) as Record<
  (typeof NAMES)[number],
  SchemaNode
>;

/** Optional fields whose absence means something that no value says. */
const NO_DEFAULT = new Set([
  'password', // the server asks for none
  'password.env', // exactly one of the two
  'password.file',
  'sslRootCert', // the authorities of the system
  'sslCert', // no certificate is shown
  'sslKey',
  'suspendReason', // nobody has to say why
  'publication', // bunny_<name>, made and owned by us
  'tables[].destination', // as source
  'tables[].resyncStrategy', // as the mirror's
]);

function readSchema(name: string): SchemaNode {
  const url = new URL(`../../schemas/${name}.schema.json`, import.meta.url);
  return JSON.parse(readFileSync(url, 'utf8')) as SchemaNode;
}

function propertiesOf(node: SchemaNode, path = ''): Property[] {
  const own = Object.entries(node.properties ?? {}).flatMap(([name, child]) => {
    const at = path === '' ? name : `${path}.${name}`;
    const required = node.required?.includes(name) ?? false;
    return [{ path: at, node: child, required }, ...propertiesOf(child, at)];
  });
  const items = node.items === undefined ? [] : propertiesOf(node.items, `${path}[]`);
  const defs = Object.values(node.$defs ?? {}).flatMap((child) => propertiesOf(child, path));
  return [...own, ...items, ...defs];
}

function objectsOf(node: SchemaNode): SchemaNode[] {
  const children = [...Object.values(node.properties ?? {}), ...Object.values(node.$defs ?? {})];
  if (node.items !== undefined) children.push(node.items);
  return [...(node.properties === undefined ? [] : [node]), ...children.flatMap(objectsOf)];
}

for (const name of NAMES) {
  const properties = propertiesOf(SCHEMAS[name]);

  test(`${name}: every property has a description and examples`, () => {
    assert.ok(properties.length > 10);
    for (const { path, node } of properties) {
      assert.match(
        node.description ?? '',
        /^.{15,}[.)]$/s,
        `${path} needs a description that is a sentence`,
      );
      assert.ok((node.examples?.length ?? 0) > 0, `${path} has no examples`);
    }
  });

  test(`${name}: every object refuses unknown fields`, () => {
    for (const node of objectsOf(SCHEMAS[name])) assert.equal(node.additionalProperties, false);
  });

  test(`${name}: examples and defaults are valid themselves`, () => {
    const ajv = new Ajv2020({ strict: true });
    for (const { path, node } of properties) {
      // References inside it point to the whole schema's definitions.
      const check = ajv.compile({ ...node, $defs: SCHEMAS[name].$defs ?? {} });
      const values = [...(node.examples ?? []), ...('default' in node ? [node.default] : [])];
      for (const value of values)
        assert.ok(
          check(value),
          `${path}: ${JSON.stringify(value)}: ${ajv.errorsText(check.errors)}`,
        );
    }
  });

  test(`${name}: only keywords that draft-07 has too`, () => {
    const text = JSON.stringify(SCHEMAS[name]);
    assert.doesNotMatch(
      text,
      /"(?:unevaluated\w+|prefixItems|dependent\w+|\$dynamicRef|minContains)":/,
    );
    // draft-07 ignores what stands beside a $ref.
    assert.doesNotMatch(text, /\{"\$ref":"[^"]*",|,"\$ref":/);
  });
}

for (const name of ['mirror', 'peer'] as const) {
  test(`${name}: every optional property has a default, or a reason to have none`, () => {
    const optional = propertiesOf(SCHEMAS[name]).filter(({ required }) => !required);
    for (const { path, node } of optional) {
      const field = path.replace(/^spec\./, '');
      assert.notEqual(
        'default' in node,
        NO_DEFAULT.has(field),
        `${path}: either a default or a place in NO_DEFAULT`,
      );
    }
  });

  test(`${name}: a pattern says in words what it wants`, () => {
    for (const { path, node } of propertiesOf(SCHEMAS[name]))
      if ('pattern' in node) assert.ok(node.$comment, path);
  });
}

test('status: what is optional is left out when unknown, so nothing has a default', () => {
  for (const { path, node } of propertiesOf(SCHEMAS.status)) assert.ok(!('default' in node), path);
});

test('a connection is the same in a mirror and in a peer', () => {
  const { $comment: _inMirror, ...inMirror } = SCHEMAS.mirror.$defs?.['connection'] ?? {};
  const spec = SCHEMAS.peer.properties?.['spec'] ?? {};
  const { $comment: _inPeer, description: _text, examples: _examples, ...inPeer } = spec;
  assert.ok(Object.keys(inMirror.properties ?? {}).length > 5);
  assert.deepEqual(inPeer, inMirror);
});

test('the reasons and codes of the status are those of the error table', () => {
  const status = new Map(propertiesOf(SCHEMAS.status).map(({ path, node }) => [path, node]));
  const codes = Object.keys(ERROR_RULES);
  assert.deepEqual(status.get('status.tables[].error.code')?.enum, codes);
  const reasons = status.get('status.conditions[].reason')?.enum ?? [];
  assert.deepEqual(reasons.slice(-codes.length), codes);
  assert.equal(new Set(reasons).size, reasons.length);
});

test('the status form of the manual is valid', () => {
  const status: unknown = parse(`
apiVersion: bunnydb/v1
kind: MirrorStatus
metadata: {name: prod_to_staging}
status:
  state: RESYNCING
  currentPhase: SNAPSHOT
  observedSpecHash: sha256:${'0'.repeat(64)}
  conditions:
    - {type: Ready, status: "False", reason: ResyncInProgress, message: "1 table", lastTransitionTime: "2026-11-22T20:01:02Z"}
    - {type: Replicating, status: "True", reason: Streaming, message: "", lastTransitionTime: "2026-11-22T20:01:02.123Z"}
  source: {slot: bunny_prod_to_staging, walStatus: reserved, retainedBytes: 16384}
  lag: {bytes: 0, seconds: 0.0, appliedLsn: 0/1A2B3C4}
  tables:
    - source: public.users
      destination: public.users
      phase: Live
      resyncStatus: in_progress
      resyncGeneration: {desired: 4, observed: 3}
      resync: {strategy: swap, step: Copying, startedAt: "2026-11-22T20:01:02Z", rowsCopied: 120000, rowsTotal: 500000, percent: 24}
      verification: {result: Match, rows: 500000, lsn: 0/1A2B3C4, checkedAt: "2026-11-22T20:01:02Z"}
      error: {code: LockTimeout, message: m, hint: h, since: "2026-11-22T20:01:02Z"}
`);
  const ajv = new Ajv2020({ strict: true });
  const check = ajv.compile(SCHEMAS.status);
  assert.ok(check(status), ajv.errorsText(check.errors));
  assert.equal(check({ ...(status as object), extra: 1 }), false);
});
