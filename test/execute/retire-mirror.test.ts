/** Steps of a removal that cannot be done as they were meant: what nobody will mend does not keep a mirror for ever. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../../src/core/log.ts';
import { executeRemoval } from '../../src/execute/retire-mirror.ts';
import { mirrorTable, startPair } from './pair.ts';

test('a foreign key whose referenced column or key is gone is let go of, and the removal goes on', async () => {
  await using pair = await startPair([mirrorTable('public.users')]);
  await pair.onSource('create table public.users (id int primary key)');
  await pair.execute();
  await pair.execute();
  await pair.onDestination(`
    create table public.outside (a int);
    alter table public.users add unkeyed int;
    insert into bunnydb.saved_foreign_keys
      (mirror, table_schema, table_name, owner_schema, owner_name, name, definition)
    select '${pair.mirror.name}', 'public', 'users', 'public', 'outside', 'to_' || of,
      format('FOREIGN KEY (a) REFERENCES public.users(%s)', of)
    from unnest('{id, gone, unkeyed}'::text[]) of`);
  const look = await pair.observe();
  const { mirror: record, tables, savedForeignKeys } = look.ledger;
  assert.ok(record);
  assert.equal(savedForeignKeys.length, 3);
  const { mirror, source, destination } = pair;
  const owner = { mirror: mirror.name, epoch: record.epoch };
  const ctx = { mirror, source, destination, owner, look, record, tables, log: silentLog() };
  for (const saved of savedForeignKeys)
    await executeRemoval(ctx, { kind: 'restore-foreign-key', table: undefined, saved });
  assert.deepEqual((await pair.observe()).ledger.savedForeignKeys, []);
  assert.deepEqual(
    await destination.query(
      `select conname from pg_constraint where conrelid = 'public.outside'::regclass and contype = 'f'`,
    ),
    [{ conname: 'to_id' }],
  );
});
