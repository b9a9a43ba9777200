/** `bunnydb suspend` and `resume` as users run them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Folder, LINES } from './folder.ts';

test('suspend and resume edit two lines, and nothing else', async () => {
  await using folder = await Folder.create();
  const suspended = await folder.command('suspend', 'shop', '--reason', 'INC-1: "until" Friday');
  assert.equal(suspended.code, 0, suspended.stderr);
  assert.equal(
    suspended.stdout,
    `shop: suspend is true in ${folder.file}\nshop: suspendReason is "INC-1: \\"until\\" Friday" in ${folder.file}\n`,
  );
  const lines = (suspend: boolean, reason: string): string =>
    `${folder.before}  suspend: ${suspend}\n${reason}`;
  assert.deepEqual(
    (await folder.text()).split('\n').toSorted(),
    lines(true, '  suspendReason: "INC-1: \\"until\\" Friday"\n').split('\n').toSorted(),
  );
  assert.equal((await folder.command('validate')).code, 0);

  const again = await folder.command('suspend', 'shop');
  assert.equal(again.code, 0);
  assert.match(again.stderr, /^nothing to do: .*shop\.yaml says so already$/m);

  const resumed = await folder.command('resume', 'shop');
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.match(resumed.stdout, /suspendReason taken out of/);
  assert.equal(await folder.text(), lines(false, ''));
  assert.match((await folder.command('resume', 'shop')).stderr, /^nothing to do/m);
});

test('a reason that has no line to itself is left to a human, and the file as it was', async () => {
  await using folder = await Folder.create(`  ? suspendReason\n  : why\n  suspend: true\n${LINES}`);
  const { code, stderr } = await folder.command('resume', 'shop');
  assert.equal(code, 1, stderr);
  assert.match(stderr, /Write it by hand: .*no spec\.suspendReason/);
  await folder.assertUntouched();
});

test('an unknown mirror is told', async () => {
  await using folder = await Folder.create();
  const { code, stderr } = await folder.command('suspend', 'shops');
  assert.equal(code, 3);
  assert.match(stderr, /no mirror shops in /);
  await folder.assertUntouched();
});
