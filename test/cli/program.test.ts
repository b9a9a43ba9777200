/** What somebody meets who types something else than a command. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { runCommand } from '../servers/daemon.ts';

test('help and version go to stdout, what is wrong to stderr with 64', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const [told, help, nothing, typo] = await Promise.all(
    [['--version'], ['--help'], [], ['valdate']].map(async (args) => runCommand(args)),
  );
  assert.deepEqual(told, { code: EXIT.done, stdout: `${version}\n`, stderr: '' });
  assert.equal(help?.code, EXIT.done);
  assert.match(help.stdout, /Usage: bunnydb .*Exit codes:/s);
  assert.equal(nothing?.code, EXIT.usage);
  assert.equal(nothing.stdout, '');
  assert.match(nothing.stderr, /Usage: bunnydb/);
  assert.equal(typo?.code, EXIT.usage);
  assert.match(typo.stderr, /unknown command 'valdate'\n\(Did you mean validate\?\)/);
});
