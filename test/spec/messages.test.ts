import assert from 'node:assert/strict';
import test from 'node:test';
import type { DiagnosticCode } from '../../src/spec/diagnostic.ts';
import { lineOf, mirrorText, snapshotOf } from './files.ts';

interface Case {
  readonly name: string;
  readonly text: string;
  readonly expected: readonly string[];
  readonly code?: DiagnosticCode;
}

const TABLES = '  tables:\n    - source: public.users\n';
const GOOD = mirrorText(TABLES);

/** Line 8 is the first one under spec after source and destination. */
const CASES: readonly Case[] = [
  {
    name: 'kind is missing: the other errors are told all the same',
    text: `# a comment\n${mirrorText('  suspend: 1\n' + TABLES).replace('kind: Mirror\n', '')}`,
    expected: [
      'a.yaml:2:1: kind is missing (add kind: Mirror)',
      'a.yaml:8:12: spec.suspend must be true or false, not the number 1',
    ],
    code: 'MissingField',
  },
  {
    name: 'kind in the wrong case',
    text: GOOD.replace('kind: Mirror', 'kind: mirror'),
    expected: ['a.yaml:2:7: kind must be one of Mirror, Peer (did you mean Mirror?)'],
    code: 'UnknownKind',
  },
  {
    name: 'a status file among the mirrors',
    text: GOOD.replace('kind: Mirror', 'kind: MirrorStatus'),
    expected: [
      'a.yaml:2:7: kind must be one of Mirror, Peer (status files belong in the status directory)',
    ],
    code: 'UnknownKind',
  },
  {
    name: 'another version',
    text: GOOD.replace('bunnydb/v1', 'bunnydb/v2'),
    expected: ['a.yaml:1:13: apiVersion must be bunnydb/v1 (did you mean bunnydb/v1?)'],
    code: 'UnknownVersion',
  },
  {
    name: 'a tab',
    text: GOOD.replace('    - source', '\t- source'),
    expected: ['a.yaml:9:1: a tab is used for indentation (YAML allows only spaces there)'],
    code: 'TabIndentation',
  },
  {
    name: 'a misspelt counter',
    text: mirrorText(`${TABLES}      resyncGenaration: 3\n`),
    expected: [
      'a.yaml:10:7: spec.tables[0].resyncGenaration is not a known field (did you mean resyncGeneration?)',
    ],
    code: 'UnknownField',
  },
  {
    name: 'a counter in another spelling',
    text: mirrorText(`  resync_generation: 3\n${TABLES}`),
    expected: [
      'a.yaml:8:3: spec.resync_generation is not a known field (did you mean resyncGeneration?)',
    ],
  },
  {
    name: 'a field in the wrong place',
    text: mirrorText(`${TABLES}      maxBatchSize: 3\n`),
    expected: [
      'a.yaml:10:7: spec.tables[0].maxBatchSize is not a known field (maxBatchSize belongs in spec.cdc)',
    ],
  },
  {
    name: 'a field nobody knows',
    text: mirrorText(`${TABLES}      colour: red\n`),
    expected: [
      'a.yaml:10:7: spec.tables[0].colour is not a known field (known fields here: source, destination, excludeColumns, resyncGeneration, resyncStrategy)',
    ],
  },
  {
    name: 'a password in the file is refused and not repeated',
    text: mirrorText(TABLES).replace(
      'destination: to',
      'destination: {host: h, database: d, user: u, password: hunter2}',
    ),
    expected: [
      'a.yaml:7:58: spec.destination.password must not be written in the file (use {env: NAME} or {file: PATH}, and change the password if this was ever committed)',
    ],
    code: 'LiteralPassword',
  },
  {
    name: 'a number for a password is refused and not repeated',
    text: mirrorText(TABLES).replace(
      'destination: to',
      'destination: {host: h, database: d, user: u, password: 84731234}',
    ),
    expected: [
      'a.yaml:7:58: spec.destination.password must not be written in the file (use {env: NAME} or {file: PATH}, and change the password if this was ever committed)',
    ],
    code: 'LiteralPassword',
  },
  {
    name: 'a colon without a space behind it',
    text: mirrorText(TABLES).replace(
      'destination: to',
      'destination: {host: h, database: d, user: u, port:5432}',
    ),
    expected: [
      'a.yaml:7:48: spec.destination has an unknown field (a colon needs a space behind it; known fields here: host, port, database, user, password, sslMode, sslRootCert, sslCert, sslKey)',
    ],
    code: 'UnknownField',
  },
  {
    name: 'a key in the place of its path',
    text: mirrorText(TABLES).replace(
      'destination: to',
      'destination: {host: h, database: d, user: u, sslCert: c.crt, sslKey: "-----BEGIN PRIVATE KEY-----\\nx"}',
    ),
    expected: [
      'a.yaml:7:72: spec.destination.sslKey must be the path of a PEM file, on one line, and not what is in that file (for example: /etc/bunnydb/client.key)',
    ],
    code: 'InvalidValue',
  },
  {
    name: 'a password from two places',
    text: mirrorText(TABLES).replace(
      'destination: to',
      'destination: {host: h, database: d, user: u, password: {env: A, file: b}}',
    ),
    expected: ['a.yaml:7:58: spec.destination.password must be {env: NAME} or {file: PATH}'],
    code: 'InvalidValue',
  },
  {
    name: 'a URL with a password as source is not repeated',
    text: GOOD.replace('source: from', 'source: postgres://u:hunter2@h/d'),
    expected: [
      "a.yaml:6:11: spec.source must be a Peer's name (lower-case letters, digits and _, a letter first, at most 56 characters) or a mapping with host, database and user",
    ],
    code: 'InvalidValue',
  },
  {
    name: 'a port in the host',
    text: GOOD.replace('source: from', 'source: {host: "db:5432", database: d, user: u}'),
    expected: [
      'a.yaml:6:18: spec.source.host must be a host name, an address or the directory of a Unix socket, without a port and not a URL (for example: 127.0.0.1)',
    ],
  },
  {
    name: 'a field twice',
    text: mirrorText(`  suspend: false\n  suspend: true\n${TABLES}`),
    expected: ['a.yaml:9:3: this field is written twice (keep one of the two)'],
    code: 'DuplicateKey',
  },
  {
    name: 'a number where a text is expected',
    text: GOOD.replace('source: from', 'source: {host: h, database: 5, user: u}'),
    expected: [
      'a.yaml:6:31: spec.source.database must be text, not the number 5 (put it in quotes: "5")',
    ],
    code: 'WrongType',
  },
  {
    name: 'a text where a number is expected',
    text: mirrorText(`  resyncGeneration: "3"\n${TABLES}`),
    expected: [
      'a.yaml:8:21: spec.resyncGeneration must be a whole number, not text (write 3, without quotes)',
    ],
  },
  {
    name: 'a counter that a program cannot count',
    text: mirrorText(`  resyncGeneration: 9007199254740992\n${TABLES}`),
    expected: ['a.yaml:8:21: spec.resyncGeneration must be 9007199254740991 or less'],
  },
  {
    name: 'a negative and a broken counter',
    text: mirrorText(`  resyncGeneration: -1\n${TABLES}      resyncGeneration: 1.5\n`),
    expected: [
      'a.yaml:8:21: spec.resyncGeneration must be 0 or more',
      'a.yaml:11:25: spec.tables[0].resyncGeneration must be a whole number, not the number 1.5',
    ],
  },
  {
    name: 'YAML 1.1 booleans',
    text: mirrorText(`  suspend: yes\n${TABLES}`),
    expected: [
      'a.yaml:8:12: spec.suspend must be true or false, not text (write true, without quotes)',
    ],
  },
  {
    name: 'a table as plain text',
    text: mirrorText('  tables:\n    - source: public.a\n    - public.users\n'),
    expected: [
      'a.yaml:10:7: spec.tables[1] must be a mapping that begins with "source: schema.table", not text (write "- source: public.users")',
    ],
    code: 'WrongType',
  },
  {
    name: 'no tables: the field, and its value',
    text: mirrorText('  suspend: true\n'),
    expected: [
      'a.yaml:6:3: spec.tables is missing (for example: tables: [{"source":"public.users"},{"source":"public.orders","resyncStrategy":"swap"}])',
    ],
  },
  {
    name: 'an empty field is shown where it is named',
    text: mirrorText('  tables:\n'),
    expected: [
      'a.yaml:8:3: spec.tables must be a list of tables, each beginning with "- source: schema.table", not empty',
    ],
  },
  {
    name: 'an empty list',
    text: mirrorText('  tables: []\n'),
    expected: ['a.yaml:8:11: spec.tables must not be an empty list'],
  },
  {
    name: 'a choice in the wrong case, a choice nobody knows',
    text: mirrorText(`  resyncStrategy: Swap\n  onSlotLoss: panic\n${TABLES}`),
    expected: [
      'a.yaml:8:19: spec.resyncStrategy must be one of truncate, swap (did you mean swap?)',
      'a.yaml:9:15: spec.onSlotLoss must be one of Stop, Resync',
    ],
    code: 'InvalidValue',
  },
  {
    name: 'a merge key',
    text: mirrorText(`  <<: {suspend: true}\n${TABLES}`),
    expected: [
      'a.yaml:8:3: merge keys (<<) are not supported (write the fields out; connections can be shared through a Peer)',
    ],
    code: 'MergeKeyRefused',
  },
  {
    name: 'an anchor and an alias',
    text: mirrorText('  tables:\n    - source: &a public.users\n    - source: *a\n'),
    expected: [
      'a.yaml:9:18: anchors (&name) are not supported (write the value out, so that an edit changes one thing)',
      'a.yaml:10:15: aliases (*name) are not supported (write the value out, so that an edit changes one thing)',
    ],
    code: 'AliasRefused',
  },
  {
    name: 'a second document',
    text: `${GOOD}---\n${GOOD}`,
    expected: [
      'a.yaml:10:1: a file holds one document, here a second one begins (move it to a file of its own)',
    ],
    code: 'MultipleDocuments',
  },
  {
    name: 'a document behind one that is empty',
    text: `---\n---\n${GOOD}`,
    expected: [
      'a.yaml:2:1: a file holds one document, here a second one begins (move it to a file of its own)',
    ],
    code: 'MultipleDocuments',
  },
  {
    name: 'a number without an end',
    text: mirrorText(`  suspend: .inf\n${TABLES}`),
    expected: ['a.yaml:8:12: spec.suspend must be true or false, not the number Infinity'],
  },
  {
    name: 'a field that is written three times',
    text: mirrorText(`${TABLES}  suspend: true\n  suspend: false\n  suspend: true\n`),
    expected: [
      'a.yaml:11:3: this field is written twice (keep one of the two)',
      'a.yaml:12:3: this field is written twice (keep one of the two)',
    ],
    code: 'DuplicateKey',
  },
  {
    name: 'a tag',
    text: mirrorText(`  publication: !secret x\n${TABLES}`),
    expected: ['a.yaml:8:16: tags (!name) are not supported (remove the tag)'],
    code: 'YamlSyntax',
  },
  {
    name: 'a quote that is not closed, which holds a password',
    text: mirrorText(`  publication: "hunter2\n`),
    expected: [
      'a.yaml:9:1: a character is missing here (look for a wrong indentation, a missing colon or a quote that is not closed)',
    ],
    code: 'YamlSyntax',
  },
  {
    name: 'only comments',
    text: '# nothing yet\n',
    expected: ['a.yaml:1:1: the file is empty (delete the file to remove a mirror)'],
    code: 'EmptyFile',
  },
  {
    name: 'a list',
    text: '- a\n- b\n',
    expected: ['a.yaml:1:1: the file must hold a mapping with apiVersion, kind, metadata and spec'],
    code: 'WrongType',
  },
  {
    name: 'a name that is no name',
    text: mirrorText(TABLES, 'Prod-Copy'),
    expected: [
      'a.yaml:4:9: metadata.name must be lower-case letters, digits and _, a letter first, at most 56 characters (for example: prod_to_staging)',
    ],
  },
  {
    name: 'the same column twice',
    text: mirrorText(`${TABLES}      excludeColumns: [a, b, a]\n`),
    expected: ['a.yaml:10:23: items 0 and 2 of spec.tables[0].excludeColumns are the same'],
  },
  {
    name: 'Windows line ends and a byte order mark do not move the place',
    text: `\uFEFF${mirrorText(`${TABLES}      colour: red\n`).replaceAll('\n', '\r\n')}`,
    expected: [
      'a.yaml:10:7: spec.tables[0].colour is not a known field (known fields here: source, destination, excludeColumns, resyncGeneration, resyncStrategy)',
    ],
  },
  {
    name: 'nested so deeply that a parser would fall',
    text: `a: ${'['.repeat(100_000)}`,
    expected: ['a.yaml:1:1: the file is nested too deeply'],
    code: 'YamlSyntax',
  },
];

for (const { name, text, expected, code } of CASES) {
  test(name, () => {
    const { diagnostics, mirrors, complete } = snapshotOf({ 'a.yaml': text });
    assert.deepEqual(diagnostics.map(lineOf), expected);
    assert.deepEqual(mirrors, []);
    assert.equal(complete, false);
    if (code !== undefined) assert.equal(diagnostics[0]?.code, code);
  });
}

test('a --- at the end, with a comment behind it or nothing, begins no document', () => {
  for (const end of ['---\n', '---\n# the end\n', '...\n---\n'])
    assert.deepEqual(snapshotOf({ 'a.yaml': GOOD + end }).diagnostics, [], end);
});

test('the end of a value is known, and the mirror it is about', () => {
  const [found] = snapshotOf({ 'a.yaml': mirrorText(`  suspend: maybe\n${TABLES}`) }).diagnostics;
  assert.deepEqual([found?.line, found?.column, found?.endLine, found?.endColumn], [8, 12, 8, 17]);
  assert.equal(found?.mirror, 'shop');
});

test('the mirror of a broken file is known when its name can be read', () => {
  const [found] = snapshotOf({ 'a.yaml': GOOD.replace('  tables', '\ttables') }).diagnostics;
  assert.equal(found?.mirror, 'shop');
});

test('a number that other programs read as octal is a warning, and the mirror is used', () => {
  const { diagnostics, mirrors } = snapshotOf({
    'a.yaml': mirrorText(`  resyncGeneration: 010\n${TABLES}`),
  });
  assert.deepEqual(diagnostics.map(lineOf), [
    'a.yaml:8:21: 010 is read as 10; other YAML programs read an octal number (write 10)',
  ]);
  assert.equal(diagnostics[0]?.severity, 'warning');
  assert.equal(mirrors[0]?.resyncGeneration, 10);
});
