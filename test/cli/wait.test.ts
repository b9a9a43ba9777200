/** `bunnydb wait --for resync=TABLE`: which table is meant, and whose trouble counts. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXIT } from '../../src/cli/exit-codes.ts';
import { wait } from '../../src/cli/wait.ts';
import { loadDirectory } from '../../src/spec/load.ts';
import { DESTINATION_PEER, mirrorText, SOURCE_PEER } from '../spec/files.ts';

const TABLES = `  tables:
    - source: public.users
    - {source: public.orders, resyncGeneration: 1}
    - source: public."a.b"
`;
const LIVE = { phase: 'Live', resyncStatus: 'completed' };
const DIFFERS = {
  code: 'VerificationFailed',
  message: 'users is not like its source',
  hint: 'Bump.',
};
const REFUSED = { code: 'SwapObstructed', message: 'orders cannot be swapped', hint: 'Drop it.' };

interface Waited {
  readonly code: number;
  readonly stderr: string;
}

/** One look at a status in which users differs from its source, so that the mirror is stalled. */
async function waitFor(
  goal: string,
  orders: object,
  {
    timeoutMs = 0,
    beside = '',
    more = '',
  }: { timeoutMs?: number; beside?: string; more?: string } = {},
): Promise<Waited> {
  const dir = await mkdtemp(join(tmpdir(), 'mirrors-'));
  try {
    await writeFile(join(dir, 'from.yaml'), SOURCE_PEER);
    await writeFile(join(dir, 'to.yaml'), DESTINATION_PEER);
    await writeFile(join(dir, 'shop.yaml'), mirrorText(more + TABLES));
    if (beside !== '') await writeFile(join(dir, 'x.yaml'), beside);
    const { mirrors } = await loadDirectory(dir);
    const trouble = `public.users: ${DIFFERS.message}. ${DIFFERS.hint}`;
    const status = {
      observedSpecHash: mirrors[0]?.specHash,
      conditions: [
        { type: 'Ready', status: 'False', message: `1/3 tables failed: ${trouble}` },
        { type: 'Stalled', status: 'True', message: trouble },
      ],
      tables: [
        { source: 'public.users', ...LIVE, error: DIFFERS },
        { source: 'public.orders', ...orders },
        { source: 'public."a.b"', ...LIVE },
      ],
    };
    const statusDir = join(dir, 'status');
    await mkdir(statusDir);
    await writeFile(join(statusDir, 'shop.yaml'), JSON.stringify({ status }));
    let stderr = '';
    const out = { print: () => undefined, error: (text: string) => void (stderr += text) };
    const { signal } = new AbortController();
    const code = await wait('shop', { dir, statusDir, for: goal, timeoutMs, signal }, out);
    return { code, stderr };
  } finally {
    await rm(dir, { recursive: true });
  }
}

test('a table that is not in the file is said so at once, with the one that was meant', async () => {
  const typo = await waitFor('resync=public.oders', LIVE);
  assert.equal(typo.code, EXIT.usage);
  assert.match(typo.stderr, /shop has no table public\.oders; did you mean public\.orders\?/);
});

test('a table may be quoted or not', async () => {
  for (const name of ['public.orders', '"public"."orders"', 'public."a.b"'])
    assert.equal((await waitFor(`resync=${name}`, LIVE)).code, EXIT.done, name);
});

test('another table’s trouble does not end the wait for this one, its own does', async () => {
  const underWay = await waitFor('resync=public.orders', {
    phase: 'CatchingUp',
    resyncStatus: 'in_progress',
    resync: { step: 'HandingOver', waitsFor: 'waits for process 7 (app) on public.orders' },
  });
  assert.equal(underWay.code, EXIT.timedOut);
  assert.match(
    underWay.stderr,
    /timed out: shop: public\.orders: HandingOver, waits for process 7/,
  );
  const refused = await waitFor('resync=public.orders', {
    phase: 'Live',
    resyncStatus: 'failed',
    error: REFUSED,
  });
  assert.equal(refused.code, EXIT.timedOut, 'it is tried again by itself');
  assert.match(
    refused.stderr,
    /timed out: shop: public\.orders: orders cannot be swapped\. Drop it/,
  );
  const mending = await waitFor('resync=public.orders', {
    phase: 'Copying',
    resyncStatus: 'in_progress',
    error: DIFFERS,
  });
  assert.equal(mending.code, EXIT.timedOut, 'the resync that runs mends it');
  const own = await waitFor('resync=public.users', LIVE);
  assert.equal(own.code, EXIT.failed);
  assert.match(own.stderr, /users is not like its source\. Bump/);
});

test('the whole mirror is not Ready while one table needs a human', async () => {
  assert.equal((await waitFor('Ready', LIVE)).code, EXIT.failed);
});

test('what is wrong with another file is said once, and not at each look', async () => {
  const { code, stderr } = await waitFor(
    'resync=public.orders',
    { phase: 'Copying', resyncStatus: 'in_progress' },
    { timeoutMs: 300, beside: 'foo: [\n' },
  );
  assert.equal(code, EXIT.timedOut);
  assert.equal(stderr.match(/x\.yaml:/g)?.length, 1, stderr);
});

test('a suspended mirror is not waited for, unless what is waited for is done', async () => {
  const goal = 'resync=public.orders';
  const suspend = '  suspend: true\n';
  const held = { phase: 'Pending', resyncStatus: 'in_progress' };
  const waited = await waitFor(goal, held, { more: suspend });
  assert.equal(waited.code, EXIT.failed);
  assert.equal(waited.stderr, 'shop is suspended: resume it, bunnydb resume shop\n');
  assert.equal((await waitFor(goal, held)).code, EXIT.timedOut);
  assert.equal((await waitFor(goal, LIVE, { more: suspend })).code, EXIT.done);
});
