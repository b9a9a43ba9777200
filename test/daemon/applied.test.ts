import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { silentLog, type Log } from '../../src/core/log.ts';
import { AppliedFiles } from '../../src/daemon/directory/applied-files.ts';
import { parseApplied, renderApplied } from '../../src/daemon/directory/applied.ts';
import { intentOf } from '../../src/daemon/directory/known-mirror.ts';
import { Folder, GRACE_MS, mirrorFile, PEER, temporaryFolder } from '../directory/folder.ts';

const RICH = `apiVersion: bunnydb/v1
kind: Mirror
metadata: {name: shop, annotations: {owner: team}}
spec:
  source: from
  destination: {host: copy, database: shop, user: bunny, password: {file: /run/secrets/copy}}
  resyncGeneration: 2
  suspendReason: "a: b # c"
  maintenanceWindows: [{start: "01:00", duration: 1h30m}]
  tables:
    - source: public."a.b"
      excludeColumns: [größe, "no", "0123"]
      resyncStrategy: swap
    - {source: public.orders, resyncGeneration: 4}
    - {source: public.items, destination: copy.items}
`;

/** What the next daemon starts from. */
async function restart(folder: Folder): Promise<Folder> {
  const texts = [...folder.known.values()].map((known) => renderApplied(known));
  const next = new Folder(folder.dir);
  next.known = new Map(
    texts.map((text) => {
      const name = /^ {2}name: (\w+)$/m.exec(text)?.[1] ?? '';
      const known = parseApplied(name, text);
      assert.ok(known, text);
      return [name, known];
    }),
  );
  return next;
}

test('it resolves to the very mirror that the file gave', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': RICH, 'from.yaml': PEER });
  await folder.look();
  const [before] = folder.known.values();
  const [after] = (await restart(folder)).known.values();
  assert.ok(before && after);
  assert.deepEqual(intentOf(after), intentOf(before));
  assert.deepEqual(after.written, before.written);
  assert.doesNotMatch(renderApplied(before), /annotations/);
});

test('a restart with the file broken, missing, or the directory gone: it runs on at once', async (t) => {
  const harms: Readonly<Record<string, (folder: Folder) => void>> = {
    'shop present': (folder) => folder.write('shop.yaml', 'kind: ['),
    'shop missing': (folder) => folder.remove('shop.yaml'),
    'shop lost': (folder) => rmSync(folder.dir, { recursive: true }),
  };
  for (const [sketch, harm] of Object.entries(harms)) {
    const folder = Folder.with(t, { 'shop.yaml': RICH, 'from.yaml': PEER });
    await folder.look();
    const before = intentOf([...folder.known.values()][0] ?? assert.fail());
    harm(folder);
    const next = await restart(folder);
    await next.look(100 * GRACE_MS);
    assert.ok(next.sketch()[0]?.startsWith(sketch), next.sketch()[0]);
    assert.deepEqual(intentOf([...next.known.values()][0] ?? assert.fail()).mirror, before.mirror);
  }
});

test('a file or a table that went while the daemon was down is removed after the grace', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': RICH, 'from.yaml': PEER });
  await folder.look();
  folder.write('shop.yaml', RICH.replace(/ {4}- \{source: public.orders.*\n/, ''));
  const next = await restart(folder);
  await next.look(100 * GRACE_MS);
  assert.deepEqual(next.sketch(), ['shop present [a.b items orders] -[orders]']);
  const third = await restart(next);
  assert.deepEqual(
    third.sketch(),
    ['shop present [a.b items orders] -[orders]'],
    'killed meanwhile',
  );
  assert.deepEqual(third.known.get('shop')?.leaving[0]?.table.generation, { table: 4, mirror: 2 });
  await third.look(100 * GRACE_MS);
  await third.look(GRACE_MS - 1);
  assert.deepEqual(third.sketch(), ['shop present [a.b items orders] -[orders]']);
  await third.look(1);
  assert.deepEqual(third.sketch(), ['shop present [a.b items]']);
  folder.remove('shop.yaml');
  const fourth = await restart(third);
  await fourth.look(100 * GRACE_MS);
  assert.deepEqual(fourth.sketch(), ['shop missing [a.b items]']);
  await fourth.look(GRACE_MS);
  assert.deepEqual(
    (await restart(fourth)).sketch(),
    ['shop removed [a.b items]'],
    'it was decided',
  );
});

test('a table that waits for another mirror waits after a restart too', async (t) => {
  const folder = Folder.with(t, {
    'shop.yaml': mirrorFile('shop', ['users', 'orders']),
    'crm.yaml': mirrorFile('crm', ['leads']),
  });
  await folder.look();
  folder.write('shop.yaml', mirrorFile('shop', ['orders']));
  folder.write('crm.yaml', mirrorFile('crm', ['leads', 'users']));
  await folder.look();
  const next = await restart(folder);
  assert.deepEqual(next.sketch(), ['crm present [leads]', 'shop present [orders users] -[users]']);
});

test('whatever is not as it was written is no last good spec', async (t) => {
  const folder = Folder.with(t, { 'shop.yaml': RICH, 'from.yaml': PEER });
  await folder.look();
  const text = renderApplied([...folder.known.values()][0] ?? assert.fail());
  assert.ok(parseApplied('shop', text));
  for (const damaged of [
    '',
    'a: [',
    'null',
    text.slice(0, text.length / 2),
    text.replace('AppliedMirror', 'Mirror'),
    text.replace('bunnydb/v1', 'bunnydb/v2'),
    text.replace('public.orders', 'public.others'),
    text.replace('host: source.internal', 'host: elsewhere'),
    text.replace('suspendReason', 'suspendreason'),
    text.replace('env:', 'environment:').replace('file: /run', 'plain: /run'),
  ])
    assert.equal(parseApplied('shop', damaged), undefined, damaged);
  assert.equal(parseApplied('other', text), undefined);
  for (let length = 0; length < text.length - 1; length += 7) {
    const known = parseApplied('shop', text.slice(0, length));
    assert.equal(known, undefined, `cut at ${length}`);
  }
});

function logOf(lines: string[]): Log {
  const log = silentLog();
  log.warn = ((_: unknown, message: string) => void lines.push(message)) as Log['warn'];
  return log;
}

async function stage(t: TestContext): Promise<{ folder: Folder; statusDir: string }> {
  const folder = Folder.with(t, { 'shop.yaml': RICH, 'from.yaml': PEER });
  await folder.look();
  return { folder, statusDir: join(temporaryFolder(t), 'not', 'there', 'yet') };
}

test('written once, read back; deleted while its file is there it comes again', async (t) => {
  const { folder, statusDir } = await stage(t);
  const [known] = folder.known.values();
  assert.ok(known);
  const files = new AppliedFiles(statusDir, silentLog());
  assert.equal(await files.list(), undefined);
  const path = join(statusDir, '.applied', 'shop.yaml');
  await files.keep(known, await files.list());
  assert.equal(readFileSync(path, 'utf8'), renderApplied(known));
  assert.deepEqual(readdirSync(join(statusDir, '.applied')), ['shop.yaml']);
  assert.deepEqual(
    await new AppliedFiles(statusDir, silentLog()).read(),
    new Map([['shop', known]]),
  );
  assert.equal(files.wasTakenAway('shop', await files.list()), false);
  unlinkSync(path);
  assert.equal(files.wasTakenAway('shop', await files.list()), true);
  await files.keep(known, await files.list());
  assert.equal(readFileSync(path, 'utf8'), renderApplied(known));
  rmSync(statusDir, { recursive: true });
  assert.equal(files.wasTakenAway('shop', await files.list()), false, 'a lost mount');
  await files.keep(known, await files.list());
  assert.equal(readFileSync(path, 'utf8'), renderApplied(known), 'comes again with its folder');
  await files.remove('shop');
  assert.deepEqual([...((await files.list()) ?? [])], []);
});

test('what a daemon left that was killed while it wrote goes at the next start', async (t) => {
  const { folder, statusDir } = await stage(t);
  const [known] = folder.known.values();
  assert.ok(known);
  await new AppliedFiles(statusDir, silentLog()).keep(known, undefined);
  const piece = join(statusDir, '.applied', `.shop.yaml.${randomUUID()}.tmp`);
  writeFileSync(piece, 'half a sp');
  utimesSync(piece, new Date(0), new Date(0));
  assert.equal((await new AppliedFiles(statusDir, silentLog()).read()).size, 1);
  assert.deepEqual(readdirSync(join(statusDir, '.applied')), ['shop.yaml']);
});

test('a file of somebody else is logged and left alone', async (t) => {
  const { statusDir } = await stage(t);
  mkdirSync(join(statusDir, '.applied'), { recursive: true });
  const path = join(statusDir, '.applied', 'shop.yaml');
  writeFileSync(path, 'mine: true\n');
  const lines: string[] = [];
  assert.equal((await new AppliedFiles(statusDir, logOf(lines)).read()).size, 0);
  assert.deepEqual(lines, ['this is no last good spec; it is left alone']);
  assert.equal(readFileSync(path, 'utf8'), 'mine: true\n');
});

test('where nothing can be written it is one line in the log, and everything goes on', async (t) => {
  const { folder, statusDir } = await stage(t);
  mkdirSync(join(statusDir, '..'), { recursive: true });
  writeFileSync(statusDir, 'a file in its place');
  const lines: string[] = [];
  const files = new AppliedFiles(statusDir, logOf(lines));
  assert.equal((await files.read()).size, 0);
  for (const known of [...folder.known.values(), ...folder.known.values()])
    await files.keep(known, await files.list());
  await files.remove('shop');
  assert.equal(lines.length, 1);
  assert.equal(files.wasTakenAway('shop', await files.list()), false);
});
