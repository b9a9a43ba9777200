/** The files of refused mirrors, where several daemons write to one folder. */
import assert from 'node:assert/strict';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import test, { type TestContext } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import type { SpecProblem } from '../../src/core/intent.ts';
import { silentLog } from '../../src/core/log.ts';
import { RejectedFiles } from '../../src/daemon/directory/rejected-files.ts';
import { statusPath } from '../../src/status/status-file.ts';
import { temporaryFolder } from '../directory/folder.ts';

interface Daemon {
  readonly look: (...texts: string[]) => Promise<void>;
}

class Stage {
  readonly #statusDir: string;
  readonly #path: string;

  constructor(t: TestContext) {
    this.#statusDir = temporaryFolder(t);
    this.#path = statusPath(this.#statusDir, 'shop');
  }

  /** Each sees the mirror refused at a time of its own. */
  daemon(hour: number): Daemon {
    const clock = { ...systemClock, now: () => new Date(Date.UTC(2026, 0, 1, hour)) };
    const files = new RejectedFiles({ statusDir: this.#statusDir, log: silentLog(), clock });
    return {
      look: async (...texts) => {
        const problems = texts.map((text): SpecProblem => ({ reason: 'SchemaInvalid', text }));
        await files.show(new Map([['shop', problems]]), () => false);
      },
    };
  }

  async text(): Promise<string> {
    return readFile(this.#path, 'utf8');
  }

  /** Another one after each write: inodes come again. */
  async mark(): Promise<bigint> {
    return (await stat(this.#path, { bigint: true })).mtimeNs;
  }

  async delete(): Promise<void> {
    await rm(this.#path);
  }

  async edit(): Promise<void> {
    await writeFile(this.#path, 'state: HAPPY\n');
  }
}

test('two daemons that refuse a mirror leave its file to whoever wrote it last', async (t) => {
  const stage = new Stage(t);
  const [one, other] = [stage.daemon(1), stage.daemon(2)];
  for (const daemon of [one, other]) await daemon.look('it is wrong');
  const first = await stage.mark();
  for (const daemon of [one, other, one, other, one, other]) await daemon.look('it is wrong');
  assert.equal(await stage.mark(), first);
});

test('also when each has its own words for it, as with another path of the same directory', async (t) => {
  const stage = new Stage(t);
  const [one, other] = [stage.daemon(1), stage.daemon(2)];
  for (const [daemon, text] of [
    [one, 'a/shop.yaml:1:1: it is wrong'],
    [other, 'b/shop.yaml:1:1: it is wrong'],
  ] as const)
    await daemon.look(text);
  const first = await stage.mark();
  for (let round = 0; round < 3; round += 1) {
    await one.look('a/shop.yaml:1:1: it is wrong');
    await other.look('b/shop.yaml:1:1: it is wrong');
  }
  assert.equal(await stage.mark(), first);
});

test('another verdict is written by whoever comes to it first, and whoever has to comes again', async (t) => {
  const stage = new Stage(t);
  const [one, other] = [stage.daemon(1), stage.daemon(2)];
  for (const daemon of [one, other]) await daemon.look('it is wrong');
  await one.look('it is worse');
  assert.match(await stage.text(), /it is worse/);
  await other.look('it is worse');
  await stage.delete();
  await one.look('it is worse');
  assert.match(await stage.text(), /it is worse/);
});

test('what a daemon of before has left is replaced by the first look', async (t) => {
  const stage = new Stage(t);
  await stage.edit();
  await stage.daemon(1).look('it is wrong');
  assert.match(await stage.text(), /it is wrong/);
});
