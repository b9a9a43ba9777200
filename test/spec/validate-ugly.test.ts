/** Files as people leave them: each slip by its place, in words that help, and all slips of a file at once. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { lineOf, mirrorText, snapshotOf } from './files.ts';

const TABLES = '  tables:\n    - source: public.users\n';

function told(text: string): string[] {
  return snapshotOf({ 'a.yaml': text }).diagnostics.map(lineOf);
}

test('every misspelt field of a file, at any depth, with the one that was meant', () => {
  const text = mirrorText(`  susspend: true
  deletionpolicy: Retain
  maintenanceWindow: []
  snapshot:
    rowsPerPartion: 3
    workers: 2
  cdc: {batch_size: 10, idleTimeout: 3}
  tables:
    - source: public.a
    - source: public.b
      resyncGenaration: 3
      columns: [x]
`).replace(
    'destination: to',
    'destination: {hostname: h, prot: 1, databse: d, username: u, pasword: {env: P}}',
  );
  const found = told(text).filter((line) => line.includes('is not a known field'));
  assert.deepEqual(
    found.map((line) =>
      line.replace(/^a\.yaml:/, '').replace(' is not a known field (did you mean', ''),
    ),
    [
      '7:17: spec.destination.hostname host?)',
      '7:30: spec.destination.prot port?)',
      '7:39: spec.destination.databse database?)',
      '7:51: spec.destination.username user?)',
      '7:64: spec.destination.pasword password?)',
      '8:3: spec.susspend suspend?)',
      '9:3: spec.deletionpolicy deletionPolicy?)',
      '10:3: spec.maintenanceWindow maintenanceWindows?)',
      '12:5: spec.snapshot.rowsPerPartion rowsPerPartition?)',
      '13:5: spec.snapshot.workers maxParallelWorkers?)',
      '14:9: spec.cdc.batch_size maxBatchSize?)',
      '14:25: spec.cdc.idleTimeout idleTimeoutSeconds?)',
      '18:7: spec.tables[1].resyncGenaration resyncGeneration?)',
      '19:7: spec.tables[1].columns excludeColumns?)',
    ],
  );
});

test('a misspelt field does not hide what else is wrong', () => {
  const text = mirrorText(
    `  susspend: true\n  tables:\n    - source: users\n    - source: a.b\n    - source: a.b\n`,
  );
  assert.deepEqual(told(text.replace('source: from', 'source: form')), [
    'a.yaml:6:11: there is no peer form (did you mean from?)',
    'a.yaml:8:3: spec.susspend is not a known field (did you mean suspend?)',
    'a.yaml:10:15: spec.tables[0].source must be schema.table (did you mean public.users?)',
    'a.yaml:12:15: a.b is the source of spec.tables[1] already (a table can be in a mirror once; use a second mirror)',
  ]);
});

test('a part of several names tells none of them', () => {
  assert.match(told(mirrorText(`  resync: 1\n${TABLES}`))[0] ?? '', /\(known fields here: /);
});

test('a value of another kind than those of a list is one mistake', () => {
  const wrong = mirrorText(
    `  deletionPolicy: [Delete]\n  onSlotLoss:\n  schemaChanges: true\n${TABLES}`,
  );
  assert.deepEqual(told(wrong.replace('bunnydb/v1', '1')), [
    'a.yaml:1:13: apiVersion must be bunnydb/v1',
    'a.yaml:8:19: spec.deletionPolicy must be one of Retain, Delete',
    'a.yaml:9:3: spec.onSlotLoss must be one of Stop, Resync',
    'a.yaml:10:18: spec.schemaChanges must be one of Apply, Stop',
  ]);
});

test('a merge that was left half done', () => {
  const text = mirrorText(
    `${TABLES}<<<<<<< HEAD\n      resyncGeneration: 1\n=======\n      resyncGeneration: 2\n>>>>>>> topic\n`,
  );
  const line =
    'a merge conflict is left here (keep one of the two versions, without the lines <<<<<<<, ======= and >>>>>>>)';
  for (const each of [text, text.replaceAll('\n', '\r\n')])
    assert.deepEqual(told(each), [`a.yaml:10:1: ${line}`]);
  // The same letters inside a text are only letters.
  const noted = mirrorText(TABLES).replace(
    '  name: shop',
    '  name: shop\n  annotations:\n    note: |\n      x\n      <<<<<<< y\n',
  );
  assert.deepEqual(told(noted), []);
});

const SLIPS: readonly [name: string, lines: string, expected: string][] = [
  [
    'a text with a colon',
    `  suspendReason: waiting: for Friday\n${TABLES}`,
    'a.yaml:8:18: two fields on one line (put each field on its own line, below the one before; put a text that holds ": " in quotes)',
  ],
  [
    'a colon without a space',
    `  suspend:true\n${TABLES}`,
    'a.yaml:8:3: a field name must be on one line, followed by a colon (a colon needs a space behind it)',
  ],
  [
    'a field of a table one column to the left',
    '  tables:\n    - source: public.users\n     resyncGeneration: 3\n',
    'a.yaml:10:1: a character is missing here (look for a wrong indentation, a missing colon or a quote that is not closed)',
  ],
  [
    'a template that nobody filled in',
    '  tables:\n    - source: {{ .Values.table }}\n',
    'a.yaml:9:16: a field name must be text (put it in quotes; a template such as {{ name }} must be filled in before)',
  ],
  [
    'tables that are not indented',
    TABLES.replaceAll(/^ {2}/gm, ''),
    'a.yaml:6:3: spec.tables is missing (for example: tables: [{"source":"public.users"},{"source":"public.orders","resyncStrategy":"swap"}])',
  ],
];

for (const [name, lines, expected] of SLIPS)
  test(name, () => assert.equal(told(mirrorText(lines))[0], expected));

test('files of other programs, and files that hold nothing', () => {
  const map = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {}\n';
  assert.deepEqual(told(map), [
    'a.yaml:2:7: kind must be one of Mirror, Peer (files of other programs belong elsewhere)',
  ]);
  for (const nothing of ['', '\n', '\uFEFF', '---\n', '# a comment'])
    assert.deepEqual(told(nothing), [
      'a.yaml:1:1: the file is empty (delete the file to remove a mirror)',
    ]);
});

test('JSON is YAML, also when tabs indent it', () => {
  const json = JSON.stringify(
    {
      apiVersion: 'bunnydb/v1',
      kind: 'Mirror',
      metadata: { name: 'j' },
      spec: { source: 'from', destination: 'to', tables: [{ source: 'a.b', colour: 1 }] },
    },
    undefined,
    '\t',
  );
  assert.match(told(json)[0] ?? '', /^a.yaml:13:5: spec.tables\[0\].colour is not a known field/);
});

test('a dot at the end of a host name makes no other server', () => {
  const end = (host: string): string => `destination: {host: ${host}, database: d, user: u}`;
  const text = (name: string, host: string): string =>
    mirrorText(TABLES, name).replace('destination: to', end(host));
  const { diagnostics } = snapshotOf({
    'a.yaml': text('a', 'Db.internal.'),
    'b.yaml': text('b', 'db.internal, port: 5432'),
    'c.yaml': text('c', 'db.internal, port: 5433'),
  });
  assert.deepEqual(
    diagnostics.map(({ file, code }) => [file, code]),
    [
      ['a.yaml', 'DestinationConflict'],
      ['b.yaml', 'DestinationConflict'],
    ],
  );
});
