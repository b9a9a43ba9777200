import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import test, { type TestContext } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { loadDirectory, loadPaths } from '../../src/spec/load.ts';
import { DESTINATION_PEER, lineOf, mirrorText, SOURCE_PEER, snapshotOf } from './files.ts';

const TABLES = '  tables:\n    - source: public.users\n';
const SHIPPED = resolve(import.meta.dirname, '../../mirrors.d');

function directory(t: TestContext, files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), 'mirrors-'));
  t.after(() => rmSync(dir, { recursive: true }));
  const all = { 'from.yaml': SOURCE_PEER, 'to.yml': DESTINATION_PEER, ...files };
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

test('the shipped files are valid, and their modelines lead to the schemas', async () => {
  const { mirrors, diagnostics, complete, files } = await loadDirectory(SHIPPED);
  assert.deepEqual(diagnostics, []);
  assert.equal(complete, true);
  assert.deepEqual(
    mirrors.map(({ name }) => name),
    ['shop'],
  );
  assert.equal(mirrors[0]?.tables.length, 5);
  for (const { path } of files) {
    const modeline = /\$schema=(\S+)/.exec(readFileSync(path, 'utf8'))?.[1] ?? '';
    const schema = JSON.parse(readFileSync(join(dirname(path), modeline), 'utf8')) as {
      title: string;
    };
    assert.equal(schema.title, path.endsWith('shop.yaml') ? 'Mirror' : 'Peer');
  }
});

test('what editors, git-sync and ConfigMaps leave lying about is passed over', async (t) => {
  const broken = 'kind: [';
  const names = [
    '.a.yaml',
    '..data/a.yaml',
    '..a.yaml',
    'a.yaml~',
    '#a.yaml#',
    '.#a.yaml',
    'a.yaml.tmp',
    'a.txt',
  ];
  const others = [...names, 'status/shop.yaml', 'sub/a.yaml', '4913'];
  const dir = directory(t, Object.fromEntries(others.map((name) => [name, broken])));
  writeFileSync(join(dir, 'a.yaml'), mirrorText(TABLES));
  const { mirrors, diagnostics, files } = await loadDirectory(dir);
  assert.deepEqual(diagnostics, []);
  assert.deepEqual(
    files.map(({ path }) => path),
    ['a.yaml', 'from.yaml', 'to.yml'].map((name) => join(dir, name)),
  );
  assert.equal(mirrors.length, 1);
});

test('files behind links are read, as a ConfigMap has them, and a swap is seen', async (t) => {
  const dir = directory(t, {
    '..1/a.yaml': mirrorText(TABLES),
    '..2/a.yaml': mirrorText(TABLES, 'shop2'),
  });
  symlinkSync('..1', join(dir, '..data'));
  symlinkSync('..data/a.yaml', join(dir, 'a.yaml'));
  const before = await loadDirectory(dir);
  symlinkSync('..2', join(dir, '..data_tmp'));
  renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  const after = await loadDirectory(dir);
  assert.deepEqual(
    [...before.mirrors, ...after.mirrors].map(({ name }) => name),
    ['shop', 'shop2'],
  );
  assert.notEqual(after.digest, before.digest);
});

test('the digest is of paths and contents, and of nothing else', async (t) => {
  const dir = directory(t, { 'a.yaml': mirrorText(TABLES) });
  const { digest } = await loadDirectory(dir);
  assert.equal((await loadDirectory(dir)).digest, digest);
  renameSync(join(dir, 'a.yaml'), join(dir, 'b.yaml'));
  assert.notEqual((await loadDirectory(dir)).digest, digest);
});

test('one bad file leaves the others alone, and says that something may be missing', async (t) => {
  const dir = directory(t, {
    'a.yaml': mirrorText(TABLES),
    'b.yaml': 'kind: [',
    'c.yaml': `# ${'x'.repeat(262_144)}`,
  });
  symlinkSync('nowhere', join(dir, 'd.yaml'));
  symlinkSync('e.yaml', join(dir, 'e.yaml'));
  writeFileSync(join(dir, 'f.yaml'), Buffer.from([0x6b, 0xff]));
  execFileSync('mkfifo', [join(dir, 'g.yaml')]);
  mkdirSync(join(dir, 'h.yaml'));
  const { mirrors, diagnostics, complete } = await loadDirectory(dir);
  assert.deepEqual(
    mirrors.map(({ name }) => name),
    ['shop'],
  );
  assert.equal(complete, false);
  assert.deepEqual(
    diagnostics.map(({ code }) => code),
    ['YamlSyntax', 'TooLarge', 'Unreadable', 'Unreadable', 'NotUtf8', 'Unreadable', 'Unreadable'],
  );
  assert.deepEqual(
    diagnostics.slice(1).map((found) => lineOf(found).slice(dir.length + 1)),
    [
      'c.yaml:1:1: the file is larger than 256 KiB',
      'd.yaml:1:1: cannot read it: it does not exist',
      'e.yaml:1:1: cannot read it: its links go round in a circle',
      'f.yaml:1:1: the file is not UTF-8 text (save it as UTF-8)',
      'g.yaml:1:1: this is not an ordinary file',
      'h.yaml:1:1: this is not an ordinary file',
    ],
  );
});

test('an empty directory is empty; a missing one, or a file in its place, is an error', async (t) => {
  const dir = directory(t, { 'empty/.keep': '' });
  const empty = await loadDirectory(join(dir, 'empty'));
  assert.deepEqual([empty.mirrors, empty.diagnostics, empty.complete], [[], [], true]);
  for (const [name, reason] of [
    ['gone', 'it does not exist'],
    ['from.yaml', 'it is not a directory'],
  ] as const) {
    const path = join(dir, name);
    await assert.rejects(loadDirectory(path), (error) => {
      assert.ok(error instanceof MirrorError);
      assert.equal(error.code, 'InvalidSpec');
      assert.equal(error.message, `cannot read the directory ${path}: ${reason}`);
      return true;
    });
  }
});

test('a single file finds the peers beside it, and only those', async (t) => {
  const dir = directory(t, {
    'a.yaml': mirrorText(TABLES),
    'b.yaml': 'kind: [',
    'sub/c.yaml': mirrorText(TABLES),
  });
  const one = await loadPaths([join(dir, 'a.yaml')]);
  assert.deepEqual(one.diagnostics, []);
  assert.deepEqual(
    one.files.map(({ path }) => path),
    [join(dir, 'a.yaml')],
  );
  assert.equal(one.mirrors[0]?.source.host, 'source.internal');
  const below = await loadPaths([join(dir, 'sub')]);
  assert.deepEqual(
    below.diagnostics.map(({ code }) => code),
    ['UnknownPeer', 'UnknownPeer'],
  );
});

test('files and directories together, each file once, and a path that is not there', async (t) => {
  const dir = directory(t, { 'a.yaml': mirrorText(TABLES) });
  const { mirrors, diagnostics, files } = await loadPaths([
    dir,
    join(dir, 'a.yaml'),
    join(dir, 'gone'),
  ]);
  assert.equal(mirrors.length, 1);
  assert.equal(files.length, 3);
  assert.deepEqual(diagnostics.map(lineOf), [
    `${join(dir, 'gone')}:1:1: cannot read it: it does not exist`,
  ]);
});

test('the shipped mirror cut at every byte: a mirror or diagnostics, and its absence means nothing', () => {
  const whole = readFileSync(join(SHIPPED, 'shop.yaml'));
  const peers = {
    'shop-source.yaml': readFileSync(join(SHIPPED, 'shop-source.yaml')),
    'shop-copy.yaml': readFileSync(join(SHIPPED, 'shop-copy.yaml')),
  };
  for (let length = 0; length <= whole.length; length += 1) {
    const texts = { ...peers, 'shop.yaml': whole.subarray(0, length) };
    const { mirrors, diagnostics, complete } = snapshotOf(texts);
    const names = mirrors.map(({ name }) => name);
    assert.deepEqual(names, diagnostics.length === 0 ? ['shop'] : [], `at ${length}`);
    const accounted = names.length > 0 || diagnostics.some(({ mirror }) => mirror === 'shop');
    assert.ok(accounted || !complete, `at ${length}`);
  }
});

test('random damage never throws', () => {
  const whole = readFileSync(join(SHIPPED, 'shop.yaml'));
  let seed = 7;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed % below;
  };
  const pieces = [
    '\t',
    '- ',
    ': ',
    '[',
    '{',
    '"',
    "'",
    '&a ',
    '*a',
    '!!x ',
    '|',
    '\n',
    '\0',
    '#',
    '<<: ',
    '%',
    '? ',
  ];
  for (let round = 0; round < 500; round += 1) {
    const at = random(whole.length);
    const piece = Buffer.from(pieces[random(pieces.length)] ?? '');
    const text = Buffer.concat([whole.subarray(0, at), piece, whole.subarray(at + random(3))]);
    const { mirrors, diagnostics } = snapshotOf({ 'shop.yaml': text });
    assert.ok(mirrors.length === 1 || diagnostics.length > 0);
  }
});

test('500 files take a moment', async (t) => {
  const files = Array.from({ length: 500 }, (_, at) => {
    const tables = Array.from(
      { length: 20 },
      (_, table) => `    - source: s${at}.t${table}\n`,
    ).join('');
    return [`m${at}.yaml`, mirrorText(`  tables:\n${tables}`, `m${at}`)];
  });
  const dir = directory(t, Object.fromEntries(files) as Record<string, string>);
  const start = performance.now();
  const { mirrors, diagnostics } = await loadDirectory(dir);
  const elapsedMs = performance.now() - start;
  assert.deepEqual([mirrors.length, diagnostics.length], [500, 0]);
  t.diagnostic(`500 files of 20 tables: ${elapsedMs.toFixed(0)} ms`);
  assert.ok(elapsedMs < 10_000, `${elapsedMs} ms`);
});
