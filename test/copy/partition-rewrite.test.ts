/** A partition that is rewritten under a snapshot has no rows for it: the copy must see that. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SourceSnapshot } from '../../src/copy/snapshot.ts';
import { Workshop } from './workshop.ts';

const SCHEMA = `create table t (id int primary key, v varchar(20)) partition by range (id);
create table t1 partition of t for values from (0) to (100);
create table t2 partition of t for values from (100) to (200) partition by list (id);
create table t3 partition of t2 default`;

test('a rewrite of partitions after the snapshot: the snapshot is lost', async () => {
  await using workshop = await Workshop.open(SCHEMA);
  await workshop.atSource(`insert into t select i, 'v' from generate_series(1, 199) as i`);
  await using snapshot = await SourceSnapshot.take(workshop.mirror);
  await workshop.atSource('alter table t alter column v type varchar(10)');
  await assert.rejects(workshop.copyFrom(snapshot, { partitioned: true }), {
    code: 'SnapshotLost',
  });
});

test('a partitioned table that is only written: all rows of the snapshot', async () => {
  await using workshop = await Workshop.open(SCHEMA);
  await workshop.atSource(`insert into t select i, 'v' from generate_series(1, 199) as i`);
  await using snapshot = await SourceSnapshot.take(workshop.mirror);
  await workshop.atSource('delete from t');
  assert.equal(await workshop.copyFrom(snapshot, { partitioned: true }), 199);
});
