import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../servers/processes.ts';
import { compareShops, countRows } from './compare.ts';
import { startServers } from './servers.ts';
import { openShop, SHOP, SHOP_TABLES } from './shop.ts';
import { ShopWriter } from './writer.ts';

const WRITES = 100;

test('the shop is large, is written to, and a missing copy is a difference', async () => {
  await using servers = await startServers();
  const { source, destination } = servers;
  await openShop(source, destination);

  const before = await countRows(source);
  const total = [...before.values()].reduce((sum, rows) => sum + rows, 0);
  assert.ok(total >= 200_000, `${total} rows`);
  assert.deepEqual([...before.keys()], [...SHOP_TABLES]);

  const digests = await compareShops(source, destination);
  assert.ok(digests.every(({ same, destination: copy }) => !same && copy === undefined));

  await using writer = new ShopWriter(source);
  writer.start();
  const late = async (): Promise<Error> => new Error(`${writer.transactions} transactions only`);
  await until(() => writer.transactions >= WRITES, { timeoutMs: 30_000, late });
  await writer.stop();
  const changed = await compareShops(source, source);
  assert.ok(changed.every(({ same }) => same));
  changed.forEach(({ table, source: { md5 } }, i) => {
    assert.notEqual(md5, digests[i]?.source.md5, `${table} was not written to`);
  });
  const rights = await destination.query(
    SHOP,
    `select has_parameter_privilege('bunny', 'session_replication_role', 'set') as set_role`,
  );
  assert.deepEqual(rights, [{ set_role: 't' }]);
});
