import assert from 'node:assert/strict';
import { basename, join } from 'node:path';
import test from 'node:test';
import { DESTINATION_PEER, mirrorText, SOURCE_PEER } from './files.ts';
import { makeDirectory, runValidate, writeFiles } from './validate-stage.ts';

const TABLES = '  tables:\n    - source: public.users\n';
const PEERS = { 'from.yaml': SOURCE_PEER, 'to.yaml': DESTINATION_PEER };

test('a named file is checked against the others of its directory, and only it is told of', async (t) => {
  const dir = makeDirectory(t);
  writeFiles(dir, {
    ...PEERS,
    'a.yaml': mirrorText(TABLES),
    'staged.yaml': mirrorText('  tables: [{source: public.orders}]\n'),
    'writer.yaml': mirrorText(TABLES, 'writer'),
    'broken.yaml': 'kind: [\n',
    'c.yaml': mirrorText('  tables: [{source: public.users}]\n', 'c'),
  });
  assert.deepEqual(await runValidate(dir, ['staged.yaml']), {
    code: 3,
    text: `D/staged.yaml:4:9: error: Mirror shop is also in D/a.yaml:4 (give one of them another name; until then neither is used)
invalid: 1 error, 0 warnings (1 file, 0 valid mirrors)
`,
    errors: '',
  });
  assert.match(
    (await runValidate(dir, ['writer.yaml'])).text,
    /^D\/writer.yaml:9:15: error: public.users is written by mirror c too \(D\/c.yaml:8\) /,
  );
  assert.deepEqual(await runValidate(dir, ['from.yaml', 'to.yaml']), {
    code: 0,
    text: 'valid: 2 files, 0 valid mirrors, 0 warnings\n',
    errors: '',
  });
});

test('each directory is a set of its own: two may name the same mirror', async (t) => {
  const dir = makeDirectory(t);
  for (const place of ['prod', 'staging'])
    writeFiles(join(dir, place), { ...PEERS, 'shop.yaml': mirrorText(TABLES) });
  const valid = { code: 0, text: 'valid: 6 files, 2 valid mirrors, 0 warnings\n', errors: '' };
  assert.deepEqual(await runValidate(dir, ['prod', 'staging']), valid);
  const files = ['prod/shop.yaml', 'staging/shop.yaml'];
  assert.match((await runValidate(dir, files)).text, /^valid: 2 files, 2 valid mirrors/);
});

test('a file is counted once, however often and by whatever path it is named', async (t) => {
  const dir = makeDirectory(t);
  writeFiles(dir, { ...PEERS, 'shop.yaml': mirrorText(`  suspend: 1\n${TABLES}`) });
  for (const paths of [
    ['shop.yaml', './shop.yaml', 'shop.yaml'],
    ['shop.yaml', '.'],
    ['.', 'shop.yaml', `../${basename(dir)}`],
  ]) {
    const { code, text } = await runValidate(dir, paths);
    assert.equal(code, 3);
    assert.match(text, /invalid: 1 error, 0 warnings \([13] files?, 0 valid mirrors\)\n$/);
    assert.equal(text.split('\n').length, 3);
  }
});

test('a file that is named beside its directory is checked, whatever its name ends in', async (t) => {
  const dir = makeDirectory(t);
  writeFiles(dir, { ...PEERS, 'foo.txt': mirrorText(`  suspend: 1\n${TABLES}`), 'p.json': '{}' });
  for (const paths of [
    ['.', 'gone.yaml', 'foo.txt', 'p.json'],
    ['p.json', 'foo.txt', 'gone.yaml', '.'],
  ])
    assert.deepEqual(await runValidate(dir, paths), {
      code: 3,
      text: `D/foo.txt:8:12: error: spec.suspend must be true or false, not the number 1
D/gone.yaml:1:1: error: cannot read it: it does not exist
D/p.json:1:1: error: kind is missing (add kind: Mirror or kind: Peer)
invalid: 3 errors, 0 warnings (4 files, 0 valid mirrors)
`,
      errors: '',
    });
});

test('a JSON file is checked when it is named, and missed when it is not', async (t) => {
  const dir = makeDirectory(t);
  const peer = { kind: 'Peer', metadata: { name: 'p' }, spec: { host: 'h', database: 'd' } };
  writeFiles(dir, {
    'p.json': JSON.stringify({ apiVersion: 'bunnydb/v1', ...peer }, undefined, '\t'),
  });
  assert.deepEqual(await runValidate(dir, ['p.json']), {
    code: 3,
    text: `D/p.json:7:10: error: spec.user is missing (for example: user: bunny)
invalid: 1 error, 0 warnings (1 file, 0 valid mirrors)
`,
    errors: '',
  });
  assert.deepEqual(await runValidate(dir, ['.']), {
    code: 0,
    text: `D:1:1: warning: there is no mirror file here (files are *.yaml or *.yml; directories below are not read)
D/p.json:1:1: warning: this file is not read (JSON is YAML too: give it a name that ends in .yaml)
valid: 0 files, 0 valid mirrors, 2 warnings
`,
    errors: '',
  });
});

test('a named file that is not there, and a directory that is not there', async (t) => {
  const dir = makeDirectory(t);
  writeFiles(dir, PEERS);
  assert.deepEqual(await runValidate(dir, ['gone.yaml', 'm/gone.yaml']), {
    code: 3,
    text: `D/gone.yaml:1:1: error: cannot read it: it does not exist
D/m/gone.yaml:1:1: error: cannot read it: it does not exist
invalid: 2 errors, 0 warnings (0 files, 0 valid mirrors)
`,
    errors: '',
  });
});
