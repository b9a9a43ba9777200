/** What no message may hold, wherever in a file it is: passwords, and what moves a terminal's cursor. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { describeDiagnostic } from '../../src/spec/diagnostic.ts';
import { mirrorText, snapshotOf } from './files.ts';

const TABLES = '  tables:\n    - source: public.users\n';

test('no message repeats a password, wherever it was put', () => {
  const places = [
    'password: hunter2',
    'password: [hunter2]',
    'password: {env: "hunter2!"}',
    'password: {value: hunter2}',
    'password: "hunter2',
    'password: hunter2: x',
    'password: *hunter2',
    'password: &hunter2',
    'password: !hunter2 x',
    'password: !!hunter2 x',
    'password: |hunter2',
    'password: @hunter2',
    'password: "\\hunter2"',
    'password: {hunter2',
    'password: {hunter2}',
    'password: {env: hunter2, env: hunter2}',
    'host: u:hunter2@h',
    'port: hunter2',
    'sslMode: hunter2',
    'password: 84731234',
    'password: 084731234',
    'password: {env: 84731234}',
    'password: {env: 084731234}',
    'password: {file: [84731234]}',
    'pasword: 084731234',
    '{host: h1, password:hunter2}',
    '{"postgres://u:hunter2@h/db"}',
    '"postgres://u:hunter2@h/db": 1',
    'password=hunter2: 1',
    'sslKey: |\n    -----BEGIN PRIVATE KEY-----\n    hunter2\n    -----END PRIVATE KEY-----',
    'sslKey: >-\n    -----BEGIN PRIVATE KEY-----\n    hunter2\n    -----END PRIVATE KEY-----',
    'sslCert: "hunter2\\nhunter2"',
    'sslRootCert: "hunter2\\nhunter2"',
    'password: {file: "hunter2\\nhunter2"}',
  ];
  for (const place of places) {
    const peer = `apiVersion: bunnydb/v1\nkind: Peer\nmetadata: {name: p, annotations: {password:hunter2}}\nspec:\n  ${place}\n`;
    const { diagnostics, peers } = snapshotOf({ 'p.yaml': peer });
    assert.ok(diagnostics.length > 0 && !peers.has('p'), place);
    assert.doesNotMatch(JSON.stringify(diagnostics), /hunter2|84731234/, place);
  }
});

test('every message is one line without control characters, whatever is in the files', () => {
  const named = mirrorText(TABLES).replace('name: shop', 'name: "sh\\nop"');
  const { diagnostics } = snapshotOf({
    'a.yaml': named,
    'b.yaml': named,
    'c.yaml': mirrorText('  tables: [{source: "a\\u001b[31mb"}]\n', 'c'),
    'd.yaml': mirrorText('  tables: [{source: "public.a\\u009bb"}]\n', 'd'),
    'e.yaml': mirrorText('  tables: [{source: "public.a\\u009bb"}]\n', 'e'),
  });
  const lines = diagnostics.map(describeDiagnostic);
  for (const line of lines) assert.doesNotMatch(line, /[\p{C}\u2028\u2029]/u);
  const [name, , , , table, written] = lines;
  assert.equal(lines.length, 7);
  assert.match(name ?? '', /: metadata.name must be lower-case/);
  assert.match(lines[1] ?? '', /Mirror sh\\u\{a\}op is also in b.yaml/);
  assert.match(table ?? '', /^c.yaml:8:21: spec.tables\[0\].source must be schema.table$/);
  assert.match(written ?? '', /: public.a\\u\{9b\}b is written by mirror e too/);
});
