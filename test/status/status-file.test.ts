import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { parse } from 'yaml';
import { readStatus } from '../../src/status/read-status.ts';
import { renderStatus, StatusFile, statusPath } from '../../src/status/status-file.ts';
import type { Status } from '../../src/status/status.ts';

let root: string;
let dir: string;
let path: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'bunnydb-status-'));
  dir = join(root, 'not', 'there', 'yet');
  path = statusPath(dir, 'shop');
});

afterEach(async () => rm(root, { recursive: true, force: true }));

function status(state: Status['status']['state'] = 'RUNNING', message = ''): Status {
  return {
    apiVersion: 'bunnydb/v1',
    kind: 'MirrorStatus',
    metadata: { name: 'shop' },
    status: {
      state,
      observedSpecHash: 'sha256:0',
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'Streaming',
          message,
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
      tables: [],
    },
  };
}

/** Another number for each file that was put there. */
async function inode(): Promise<number> {
  return (await stat(path)).ino;
}

test('written whole, in a folder that is made, with nothing left beside it', async () => {
  await new StatusFile(dir, 'shop').write(status());
  assert.deepEqual(await readdir(dir), ['shop.yaml']);
  assert.equal(await readFile(path, 'utf8'), renderStatus(status()));
  assert.deepEqual(await readStatus(dir, 'shop'), status());
  assert.equal(await readStatus(dir, 'other'), undefined);
});

test('texts that look like YAML come back as they are', async () => {
  for (const message of [
    'a: b',
    '- x',
    '#',
    '"',
    "it's",
    'yes',
    '1e3',
    'a\nb',
    ' lead',
    '\u0085',
    '{',
    '*x',
    '',
    'x'.repeat(500),
  ]) {
    await new StatusFile(dir, 'shop').write(status('RUNNING', message));
    assert.deepEqual(await readStatus(dir, 'shop'), status('RUNNING', message));
  }
});

test('not written again while nothing changed', async () => {
  const file = new StatusFile(dir, 'shop');
  await file.write(status());
  const first = await inode();
  await file.write(status());
  await file.write(status());
  assert.equal(await inode(), first);
  await file.write(status('FAILED'));
  assert.notEqual(await inode(), first);
});

const TOUCHES = [
  { name: 'deleted', touch: async () => rm(path) },
  { name: 'deleted with its folder', touch: async () => rm(dir, { recursive: true }) },
  { name: 'edited', touch: async () => writeFile(path, 'state: HAPPY\n') },
  { name: 'emptied', touch: async () => writeFile(path, '') },
  {
    name: 'edited to the same length',
    touch: async () => writeFile(path, renderStatus(status()).replace('RUNNING', 'SUNNING')),
  },
  {
    name: 'edited to the same length, with its old time',
    touch: async () => {
      const { atime, mtime } = await stat(path);
      const text = renderStatus(status()).replace('RUNNING', 'SUNNING');
      await rm(path);
      await writeFile(`${path}.theirs`, text);
      await writeFile(path, text);
      await utimes(path, atime, mtime);
      await rm(`${path}.theirs`);
    },
  },
] as const;

for (const { name, touch } of TOUCHES)
  test(`${name}: it comes again with the next write, though nothing changed`, async () => {
    const file = new StatusFile(dir, 'shop');
    await file.write(status());
    await touch();
    await file.write(status());
    assert.equal(await readFile(path, 'utf8'), renderStatus(status()));
  });

test('writes that overlap are made one after the other: the last stays, and nobody ever reads a piece', async () => {
  const file = new StatusFile(dir, 'shop');
  await file.write(status());
  const done = new AbortController();
  const watching = (async () => {
    let reads = 0;
    while (!done.signal.aborted) {
      const read = parse(await readFile(path, 'utf8')) as Status | null;
      assert.equal(read?.kind, 'MirrorStatus');
      assert.ok(read.status.tables);
      reads += 1;
    }
    return reads;
  })();
  const writes = Array.from({ length: 40 }, async (_, index) =>
    file.write(status('RUNNING', `${index} ${'x'.repeat((index % 4) * 100_000)}`)),
  );
  await Promise.all(writes);
  done.abort();
  assert.ok((await watching) > 0);
  assert.equal((await readStatus(dir, 'shop'))?.status.conditions[0]?.message.split(' ')[0], '39');
  assert.deepEqual(await readdir(dir), ['shop.yaml']);
});

test('a write that fails says so, and the next one tries again', async () => {
  await mkdir(join(root, 'not'));
  await writeFile(join(root, 'not', 'there'), 'a file where a folder should be');
  const file = new StatusFile(dir, 'shop');
  await assert.rejects(file.write(status()), { code: 'ENOTDIR' });
  await rm(join(root, 'not', 'there'));
  await file.write(status());
  assert.deepEqual(await readStatus(dir, 'shop'), status());
});

test('a piece left by a daemon that was killed is not in the way, and goes when nobody can be writing it', async () => {
  await mkdir(dir, { recursive: true });
  const [old, young] = [`.shop.yaml.${randomUUID()}.tmp`, `.shop.yaml.${randomUUID()}.tmp`];
  const strange = '.shop.yaml.old.tmp';
  for (const name of [old, young, strange]) await writeFile(join(dir, name), 'half a sta');
  for (const name of [old, strange]) await utimes(join(dir, name), new Date(0), new Date(0));
  await new StatusFile(dir, 'shop').write(status());
  assert.deepEqual((await readdir(dir)).sort(), [young, strange, 'shop.yaml'].sort());
});

test('two daemons write at once: one of the two is there, whole', async () => {
  const files = [new StatusFile(dir, 'shop'), new StatusFile(dir, 'shop')];
  const texts = ['a', 'b'].map((letter) => letter.repeat(200_000));
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(
      files.map(async (file, index) => file.write(status('RUNNING', `${texts[index]}${round}`))),
    );
    const message = (await readStatus(dir, 'shop'))?.status.conditions[0]?.message ?? '';
    assert.ok(
      texts.some((text) => message === `${text}${round}`),
      message.slice(0, 10),
    );
  }
  assert.deepEqual(await readdir(dir), ['shop.yaml']);
});

test('who is not certain to own the mirror overwrites nothing that another has written since', async () => {
  const [owner, guest] = [new StatusFile(dir, 'shop'), new StatusFile(dir, 'shop')];
  await owner.write(status('RUNNING', 'owner'));
  const told = async (): Promise<string | undefined> =>
    (await readStatus(dir, 'shop'))?.status.conditions[0]?.message;
  const write = async (message: string): Promise<void> =>
    guest.write(status('FAILED', message), false);
  await write('guest 1');
  assert.equal(await told(), 'owner', 'somebody may be about to write');
  await write('guest 2');
  assert.equal(await told(), 'guest 2', 'nobody was');
  await write('guest 3');
  assert.equal(await told(), 'guest 3');
  await owner.write(status('RUNNING', 'owner'));
  assert.equal(await told(), 'owner');
  await write('guest 4');
  await write('guest 5');
  assert.equal(await told(), 'owner');
  await rm(path);
  await write('guest 6');
  assert.equal(await told(), 'guest 6');
});

test('whose mirror another tells of takes its last word away, unless the other has written', async () => {
  const [former, next] = [new StatusFile(dir, 'shop'), new StatusFile(dir, 'shop')];
  await former.write(status('RUNNING', 'former'));
  await next.write(status('RUNNING', 'next'));
  await former.withdraw();
  assert.deepEqual(await readStatus(dir, 'shop'), status('RUNNING', 'next'));
  await next.withdraw();
  assert.equal(await readStatus(dir, 'shop'), undefined);
  await next.withdraw();
  await former.write(status());
  assert.deepEqual(await readStatus(dir, 'shop'), status());
});

test('removed, and removed again; a write brings it back', async () => {
  const file = new StatusFile(dir, 'shop');
  await file.remove();
  await file.write(status());
  await file.remove();
  assert.equal(await readStatus(dir, 'shop'), undefined);
  await file.remove();
  await file.write(status());
  assert.deepEqual(await readStatus(dir, 'shop'), status());
});
