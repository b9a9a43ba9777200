/** `bunnydb status` where files and statuses do not agree. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { rejectedStatus } from '../../src/status/rejected.ts';
import { renderStatus } from '../../src/status/status-file.ts';
import { Folder } from './folder.ts';

test('a mirror whose file is gone or refused is told too, and what is wrong with the file', async () => {
  await using folder = await Folder.create();
  const statusDir = join(folder.dir, 'status');
  await mkdir(statusDir);
  await writeFile(folder.file, folder.before.replace('source: from', 'sorce: from'));
  for (const name of ['shop', 'gone']) {
    const problems = [{ reason: 'SchemaInvalid', text: `${name} is not well` }] as const;
    const status = rejectedStatus(name, problems, { previous: undefined, now: new Date() });
    await writeFile(join(statusDir, `${name}.yaml`), renderStatus(status));
  }
  const all = await folder.command('status');
  assert.equal(all.code, 3);
  assert.match(all.stdout, /^gone: FAILED/m);
  assert.match(all.stdout, /^shop: FAILED.*\n.*shop is not well/m);
  assert.match(all.stderr, /shop\.yaml:6:3: .*sorce/);
  const one = await folder.command('status', 'gone');
  assert.match(one.stdout, /^gone: FAILED/);
  assert.doesNotMatch(one.stdout, /shop/);
  const none = await folder.command('status', 'shops');
  assert.deepEqual([none.code, none.stdout], [3, '']);
});
