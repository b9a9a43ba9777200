import assert from 'node:assert/strict';
import { mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { changesOf, type FIELD_CLASSES } from '../../src/core/field-change.ts';
import { compareWithBase } from '../../src/spec/compare-base.ts';
import { DESTINATION_PEER, mirrorText, SOURCE_PEER, snapshotOf } from './files.ts';
import { commitAll, git, makeDirectory, runValidate, writeFiles } from './validate-stage.ts';

const PEERS = { 'm/from.yaml': SOURCE_PEER, 'm/to.yaml': DESTINATION_PEER };

/** A repository whose mirror files are in `m`, committed on main. */
function repository(t: TestContext, files: Readonly<Record<string, string>>): string {
  const dir = makeDirectory(t);
  git(dir, 'init', '--quiet', '--initial-branch=main');
  writeFiles(dir, { ...PEERS, ...files });
  commitAll(dir);
  return dir;
}

interface Told {
  readonly code: number;
  readonly lines: readonly string[];
  readonly errors: string;
}

async function compare(
  dir: string,
  base = 'main',
  paths: readonly string[] = ['m'],
): Promise<Told> {
  const { code, text, errors } = await runValidate(dir, paths, { base });
  const lines = text
    .replaceAll(/\([0-9a-f]{12}\)/g, '(commit)')
    .trimEnd()
    .split('\n');
  return { code, lines, errors };
}

/** What is said when `before` becomes `after`, without the totals. */
async function changes(t: TestContext, before: string, after: string): Promise<readonly string[]> {
  const dir = repository(t, { 'm/shop.yaml': before });
  writeFiles(dir, { 'm/shop.yaml': after });
  const { code, lines } = await compare(dir);
  assert.equal(code, 0);
  return lines.slice(0, -1);
}

const TABLES = `  tables:
    - source: public.users
      resyncGeneration: 4
    - source: public.orders
      excludeColumns: [a, b]
`;
const SHOP = mirrorText(`  resyncGeneration: 2\n${TABLES}`);

test('nothing changed: nothing is said but what it was compared with', async (t) => {
  const dir = repository(t, { 'm/shop.yaml': SHOP });
  // Comments, order of columns, defaults written out and another spelling of a name are no changes.
  const same = SHOP.replace('[a, b]', '[b, a]')
    .replace('public.users', 'public."users"')
    .replace('  tables', '  deletionPolicy: Retain # as before\n  tables');
  writeFiles(dir, { 'm/shop.yaml': same });
  assert.deepEqual(await compare(dir), {
    code: 0,
    lines: ['valid: 3 files, 1 valid mirror, 0 warnings; compared with main (commit)'],
    errors: '',
  });
});

test('counters that went down', async (t) => {
  const after = SHOP.replace('resyncGeneration: 2', 'resyncGeneration: 1').replace(
    '      resyncGeneration: 4\n',
    '',
  );
  const again = (from: number): string =>
    `counters only go up: keep ${from}, or write ${from + 1} to copy again`;
  assert.deepEqual(await changes(t, SHOP, after), [
    `D/m/shop.yaml:8:21: warning: spec.resyncGeneration went down from 2 to 1: that copies nothing (${again(2)})`,
    `D/m/shop.yaml:10:7: warning: resyncGeneration of public.users went down from 4 to 0: that copies nothing (${again(4)})`,
  ]);
});

test('tables that will be copied again', async (t) => {
  const after = SHOP.replace(
    'resyncGeneration: 4',
    'resyncGeneration: 6\n      resyncStrategy: swap',
  )
    .replace('[a, b]', '[a]')
    .replace('excludeColumns', 'destination: crm.orders\n      excludeColumns');
  assert.deepEqual(await changes(t, SHOP, after), [
    'D/m/shop.yaml:11:25: note: public.users will be copied again by swap: resyncGeneration goes from 4 to 6',
    'D/m/shop.yaml:14:20: note: public.orders will be copied again by truncate: its destination goes from public.orders to crm.orders, excludeColumns changes',
  ]);
});

test('a column that is left out from now on, where what is left out is dropped', async (t) => {
  const before = SHOP.replace('  tables', '  deletionPolicy: Delete\n  tables');
  assert.deepEqual(await changes(t, before, before.replace('[a, b]', '[b, c, d]')), [
    'D/m/shop.yaml:14:23: note: public.orders will be copied again by truncate: excludeColumns changes (deletionPolicy is Delete: the destination loses c, d)',
  ]);
});

test('a table that goes elsewhere, where what is not mirrored any more is dropped', async (t) => {
  const before = SHOP.replace('  tables', '  deletionPolicy: Delete\n  tables');
  const elsewhere = 'source: public.users\n      destination: crm.users';
  assert.deepEqual(await changes(t, before, before.replace('source: public.users', elsewhere)), [
    'D/m/shop.yaml:12:20: note: public.users will be copied again by truncate: its destination goes from public.users to crm.users (deletionPolicy is Delete: public.users is dropped)',
  ]);
});

test("the mirror's counter copies every table, which is said once", async (t) => {
  const after = SHOP.replace('resyncGeneration: 2', 'resyncGeneration: 3').replace('[a, b]', '[]');
  assert.deepEqual(await changes(t, SHOP, after), [
    'D/m/shop.yaml:8:21: note: every table will be copied again: resyncGeneration goes from 2 to 3',
  ]);
});

test('tables that come and go', async (t) => {
  const after = SHOP.replace('public.orders', 'public.items');
  assert.deepEqual(await changes(t, SHOP, after), [
    'D/m/shop.yaml:9:3: warning: public.orders is not mirrored any more; public.orders keeps its rows',
    'D/m/shop.yaml:12:15: note: public.items is new: it will be copied and then followed',
  ]);
  const dropping = after.replace('  tables', '  deletionPolicy: Delete\n  tables');
  assert.equal(
    (await changes(t, SHOP, dropping))[0],
    'D/m/shop.yaml:10:3: warning: public.orders is not mirrored any more, and public.orders is dropped at the destination (deletionPolicy is Delete; Retain keeps the rows)',
  );
  const refilled = dropping.replace(
    'public.items',
    'public.items\n      destination: public.orders',
  );
  assert.equal(
    (await changes(t, SHOP, refilled))[0],
    'D/m/shop.yaml:10:3: warning: public.orders is not mirrored any more; public.orders keeps its rows',
  );
});

const RAISE = 'unless spec.resyncGeneration is raised with it, which copies every table again';
const LEAVE = 'while the slot is there: remove the mirror first, or give it another name';
const MOVED = 'the same database at another address goes on without a copy; another one is refused';

test('another database, another address, another publication', async (t) => {
  const inline = (text: string): string => SHOP.replace('source: from', `source: ${text}`);
  const before = inline('{host: localhost, database: shop, user: u}');
  const after = inline('{host: localhost, database: sale, user: u}')
    .replace('destination: to', 'destination: {host: "::2", port: 5433, database: shop, user: u}')
    .replace('  tables', '  publication: dba_pub\n  tables');
  assert.deepEqual(await changes(t, before, after), [
    `D/m/shop.yaml:6:39: warning: the source is database sale on localhost:5432 now, it was database shop on localhost:5432 (another source is refused ${RAISE})`,
    `D/m/shop.yaml:7:23: note: the destination is database shop on [::2]:5433 now, it was database shop on copy.internal:5432 (${MOVED} ${LEAVE})`,
    `D/m/shop.yaml:9:16: warning: the publication is dba_pub now, it was bunny_shop (another publication is refused ${RAISE})`,
  ]);
  // Another way to write an address, another user, another secret.
  const same = inline('{host: 127.0.0.1, database: shop, user: v, password: {env: P}}');
  assert.deepEqual(await changes(t, before, same), []);
});

test('another source with a counter that was raised is meant', async (t) => {
  const after = SHOP.replace('from', '{host: h, database: d, user: u}').replace(': 2', ': 3');
  assert.deepEqual(await changes(t, SHOP, after), [
    'D/m/shop.yaml:6:31: note: the source is database d on h:5432 now, it was database shop on source.internal:5432',
    'D/m/shop.yaml:8:21: note: every table will be copied again: resyncGeneration goes from 2 to 3',
  ]);
});

test('an edit of a peer counts for the mirrors that name it', async (t) => {
  const dir = repository(t, { 'm/shop.yaml': SHOP });
  writeFiles(dir, { 'm/from.yaml': SOURCE_PEER.replace('source.internal', 'new.internal') });
  assert.deepEqual((await compare(dir)).lines.slice(0, -1), [
    `D/m/shop.yaml:6:11: note: the source is database shop on new.internal:5432 now, it was database shop on source.internal:5432 (${MOVED} ${RAISE})`,
  ]);
});

test('mirrors that come and go, with what will be dropped', async (t) => {
  const dir = repository(t, {
    'm/old.yaml': mirrorText('  tables: [{source: a.b}]\n', 'old'),
    'm/owned.yaml': mirrorText(
      `  publication: dba_pub\n  deletionPolicy: Delete\n  tables:\n${'abcdefg'
        .split('')
        .map((name) => `    - {source: x.${name}, destination: y.${name}}\n`)
        .join('')}`,
      'owned',
    ),
  });
  writeFiles(dir, {
    'm/old.yaml': undefined,
    'm/owned.yaml': undefined,
    'm/fresh.yaml': mirrorText(
      '  snapshot: {initial: false}\n  tables: [{source: c.d}]\n',
      'fresh',
    ),
  });
  assert.deepEqual((await compare(dir)).lines, [
    'D/m/fresh.yaml:4:9: note: this mirror is new: its table will be followed without a copy (snapshot.initial is false)',
    'D/m/old.yaml:1:1: warning: mirror old is removed: slot bunny_old and publication bunny_old will be dropped at the source, nothing at the destination (deletionPolicy is Retain)',
    'D/m/owned.yaml:1:1: warning: mirror owned is removed: slot bunny_owned will be dropped at the source, and at the destination, with all rows, y.a, y.b, y.c, y.d, y.e and 2 more (deletionPolicy is Delete; to keep the tables, merge Retain first)',
    'valid: 3 files, 1 valid mirror, 2 warnings, 1 note; compared with main (commit)',
  ]);
});

test('a mirror is known by its name: its file may move, another name is another mirror', async (t) => {
  const dir = repository(t, { 'm/shop.yaml': SHOP });
  renameSync(join(dir, 'm/shop.yaml'), join(dir, 'm/sale.yaml'));
  assert.deepEqual((await compare(dir)).lines.length, 1);
  writeFiles(dir, { 'm/sale.yaml': undefined, 'm/shop.yaml': SHOP.replace(': shop', ': sale') });
  assert.deepEqual((await compare(dir)).lines.slice(0, -1), [
    'D/m/shop.yaml:1:1: warning: mirror shop is removed: slot bunny_shop and publication bunny_shop will be dropped at the source, nothing at the destination (the file holds mirror sale now, and another name is another mirror; deletionPolicy is Retain)',
    'D/m/shop.yaml:4:9: note: this mirror is new: its 2 tables will be copied and then followed',
  ]);
});

test('a table that another mirror writes from now on is dropped with its mirror all the same', async (t) => {
  const before = SHOP.replace('  tables', '  deletionPolicy: Delete\n  tables');
  const after = mirrorText('  tables:\n    - source: public.users\n', 'sale');
  assert.equal(
    (await changes(t, before, after))[0],
    'D/m/shop.yaml:1:1: warning: mirror shop is removed: slot bunny_shop and publication bunny_shop will be dropped at the source, and at the destination, with all rows, public.users, public.orders; then public.users will be copied afresh by mirror sale (the file holds mirror sale now, and another name is another mirror; deletionPolicy is Delete; to keep the tables, merge Retain first)',
  );
});

test('a table that goes to another mirror is dropped by the one it leaves', async (t) => {
  const dir = repository(t, {
    'm/shop.yaml': SHOP.replace('  tables', '  deletionPolicy: Delete\n  tables'),
  });
  const left = SHOP.slice(0, SHOP.indexOf('    - source: public.orders'));
  writeFiles(dir, {
    'm/shop.yaml': left.replace('  tables', '  deletionPolicy: Delete\n  tables'),
    'm/sale.yaml': mirrorText(
      '  snapshot: {initial: false}\n  tables: [{source: public.orders}]\n',
      'sale',
    ),
  });
  assert.equal(
    (await compare(dir)).lines[1],
    'D/m/shop.yaml:10:3: warning: public.orders is not mirrored any more, and public.orders is dropped at the destination; then public.orders will be followed without a copy by mirror sale (deletionPolicy is Delete; Retain keeps the rows)',
  );
});

test('a file with errors removes nothing and hides nothing', async (t) => {
  const other = mirrorText('  tables: [{source: public.x, resyncGeneration: 2}]\n', 'other');
  const dir = repository(t, {
    'm/shop.yaml': SHOP,
    'm/gone.yaml': SHOP.replace(': shop', ': gone').replaceAll('public', 'p'),
    'm/other.yaml': other,
  });
  writeFiles(dir, {
    'm/shop.yaml': 'kind: [\n',
    'm/gone.yaml': undefined,
    'm/other.yaml': other.replace(': 2', ': 1'),
  });
  const { code, lines } = await compare(dir);
  assert.equal(code, 3);
  assert.equal(lines.length, 3);
  assert.match(
    lines[0] ?? '',
    /^D\/m\/other.yaml:8:49: warning: resyncGeneration of public.x went down/,
  );
  assert.match(lines[1] ?? '', /^D\/m\/shop.yaml:2:1: error: /);
});

test('a mirror whose file was broken before is not called new', async (t) => {
  assert.deepEqual(await changes(t, SHOP.replace('source: from', 'sauce: from'), SHOP), []);
});

test('warnings fail when they are taken seriously, notes do not', async (t) => {
  const dir = repository(t, { 'm/shop.yaml': SHOP });
  writeFiles(dir, { 'm/shop.yaml': SHOP.replace(': 4', ': 5') });
  assert.equal((await runValidate(dir, ['m'], { base: 'main', strict: true })).code, 0);
  writeFiles(dir, { 'm/shop.yaml': SHOP.replace(': 4', ': 3') });
  assert.equal((await runValidate(dir, ['m'], { base: 'main', strict: true })).code, 3);
  assert.equal((await runValidate(dir, ['m'], { base: 'main' })).code, 0);
});

test('named files: what is said is about them', async (t) => {
  const dir = repository(t, {
    'm/shop.yaml': SHOP,
    'm/b.yaml': mirrorText('  tables: [{source: b.b}]\n', 'b'),
  });
  writeFiles(dir, { 'm/b.yaml': undefined, 'm/shop.yaml': SHOP.replace(': 4', ': 3') });
  assert.equal((await compare(dir, 'main', ['m/from.yaml'])).lines.length, 1);
  const { lines } = await compare(dir, 'main', ['m/shop.yaml']);
  assert.equal(lines.length, 2);
  assert.match(
    lines[0] ?? '',
    /^D\/m\/shop.yaml:11:25: warning: resyncGeneration of public.users went/,
  );
});

test('three dots: where the branch left main, and not what main did since', async (t) => {
  const dir = repository(t, { 'm/shop.yaml': SHOP });
  git(dir, 'switch', '--quiet', '--create', 'topic');
  git(dir, 'switch', '--quiet', 'main');
  writeFiles(dir, { 'm/shop.yaml': SHOP.replace(': 4', ': 5') });
  commitAll(dir);
  git(dir, 'switch', '--quiet', 'topic');
  assert.match((await compare(dir, 'main')).lines[0] ?? '', /went down from 5 to 4/);
  assert.deepEqual((await compare(dir, 'main...')).lines, [
    'valid: 3 files, 1 valid mirror, 0 warnings; compared with main... (commit)',
  ]);
});

test('links, folders and odd names at the revision are read as on a disk', async (t) => {
  const dir = makeDirectory(t);
  git(dir, 'init', '--quiet', '--initial-branch=main');
  writeFiles(dir, { ...PEERS, 'real/shop.yaml': SHOP, 'm/.hidden.yaml': SHOP, 'm/dir.yaml/x': '' });
  symlinkSync('../real/shop.yaml', join(dir, 'm/a link.yaml'));
  symlinkSync('/dev/null', join(dir, 'm/out.yaml'));
  symlinkSync('nowhere', join(dir, 'm/nowhere.yaml'));
  commitAll(dir);
  writeFiles(dir, {
    'm/out.yaml': undefined,
    'm/nowhere.yaml': undefined,
    'real/shop.yaml': SHOP.replace(': 4', ': 3'),
  });
  assert.match(
    (await compare(dir)).lines[0] ?? '',
    /^D\/m\/a link.yaml:11:25: warning: .* went down from 4 to 3/,
  );
});

test('a directory that the revision did not have: every mirror is new', async (t) => {
  const dir = repository(t, {});
  mkdirSync(join(dir, 'n'));
  writeFiles(dir, {
    'n/from.yaml': SOURCE_PEER,
    'n/to.yaml': DESTINATION_PEER,
    'n/shop.yaml': SHOP,
  });
  const { code, lines } = await compare(dir, 'main', ['n']);
  assert.equal(code, 0);
  assert.match(lines[0] ?? '', /^D\/n\/shop.yaml:4:9: note: this mirror is new/);
});

test('git has no answer: 1, with the reason, and the files are checked all the same', async (t) => {
  const dir = repository(t, { 'm/shop.yaml': mirrorText('  tables: []\n') });
  const unknown = await compare(dir, 'origin/main');
  assert.equal(unknown.code, 1);
  assert.match(unknown.lines[0] ?? '', /^D\/m\/shop.yaml:8:11: error: /);
  assert.match(
    unknown.errors,
    /^--base: git does not know the revision origin\/main here\n {2}give a branch/,
  );

  const shallow = makeDirectory(t);
  git(dir, 'commit', '--quiet', '--allow-empty', '--message', 'another');
  git(shallow, 'clone', '--quiet', '--depth=1', `file://${dir}`, 'clone');
  for (const base of ['main~1', 'main~1...'])
    assert.deepEqual(
      await compare(shallow, base, ['clone/m']).then(({ code, errors }) => ({ code, errors })),
      {
        code: 1,
        errors: `--base: this clone is shallow and does not reach ${base}\n  fetch the history: fetch-depth: 0 for actions/checkout, elsewhere git fetch --unshallow\n`,
      },
    );

  const plain = makeDirectory(t);
  writeFiles(plain, PEERS);
  assert.deepEqual(await runValidate(plain, ['m'], { base: 'main' }), {
    code: 1,
    text: 'valid: 2 files, 0 valid mirrors, 0 warnings\n',
    errors:
      '--base: D/m is in no git repository\n  --base compares with a revision of the repository that the files are in\n',
  });
});

test('from inside a hook, whose variables speak of another place', async (t) => {
  const dir = repository(t, { 'm/shop.yaml': SHOP });
  process.env['GIT_DIR'] = '.git';
  t.after(() => delete process.env['GIT_DIR']);
  assert.equal((await compare(dir)).code, 0);
});

/** An edit of each field that is more than taken up as it is: what stands there before and after. */
const EDITS: Readonly<Record<HeavyField, readonly [before: string, after: string]>> = {
  'spec.source.database': ['database: one', 'database: other'],
  'spec.destination.database': ['database: two', 'database: other'],
  'spec.resyncGeneration': ['\n  resyncGeneration: 1', '\n  resyncGeneration: 2'],
  'spec.publication': ['publication: a', 'publication: b'],
  'spec.tables[]': ['tables:', 'tables:\n    - source: x.y'],
  'spec.tables[].destination': ['destination: a.c', 'destination: a.d'],
  'spec.tables[].excludeColumns': ['[p]', '[]'],
  'spec.tables[].resyncGeneration': ['resyncGeneration: 7', 'resyncGeneration: 8'],
};

type Classes = typeof FIELD_CLASSES;
type HeavyField = {
  [Field in keyof Classes]: Classes[Field] extends 'in-place' ? never : Field;
}[keyof Classes];

test('each field that is more than taken up as it is has its word, as plan classes it', () => {
  const text = mirrorText(`  resyncGeneration: 1
  publication: a
  tables:
    - source: a.b
      destination: a.c
      excludeColumns: [p]
      resyncGeneration: 7
`)
    .replace('from', '{host: h, database: one, user: u}')
    .replace(': to', ': {host: h, database: two, user: u}');
  const before = snapshotOf({ 'a.yaml': text });
  for (const [field, [from, to]] of Object.entries(EDITS)) {
    const edited = text.replace(from, to);
    assert.notEqual(edited, text, field);
    const after = snapshotOf({ 'a.yaml': edited });
    const [old, now] = [before.mirrors[0], after.mirrors[0]];
    assert.ok(old !== undefined && now !== undefined, field);
    const [told, ...more] = compareWithBase(before, after);
    assert.deepEqual(more, [], field);
    const isRefused = changesOf(old, now).some(({ fieldClass }) => fieldClass === 'immutable');
    assert.equal(told?.code === 'ImmutableFieldChanged', isRefused, field);
    assert.equal(told?.severity, isRefused ? 'warning' : 'note', field);
  }
});
