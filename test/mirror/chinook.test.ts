/** A real database, mirrored whole: 11 tables with foreign keys among them. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { sharedClusters } from '../servers/shared.ts';
import { definitions } from './compare.ts';
import { TestMirror } from './test-mirror.ts';

const CHINOOK = join(
  import.meta.dirname,
  '..',
  '..',
  '..',
  'shared',
  'data',
  'chinook',
  'chinook.sql',
);
const isThere = existsSync(CHINOOK);
if (!isThere) console.error('SKIPPED: the Chinook database is not there; its test did not run');

const TABLES = [
  'album',
  'artist',
  'customer',
  'employee',
  'genre',
  'invoice',
  'invoice_line',
  'media_type',
  'playlist',
  'playlist_track',
  'track',
];

/** Inserts, updates, key changes and deletes across the foreign keys, as an application would. */
const MIXED_DML = /* sql */ `
begin;
insert into artist values (9001, 'The Rabbits'), (9002, E'Tab\\tand "quotes" \\\\ back');
insert into album values (9001, 'Carrots', 9001), (9002, 'Clover', 9002);
insert into track values (9001, 'Hop', 9001, 1, 1, null, 1234, 5678, 0.99), (9002, 'Skip', 9002, 2, 2, 'B. Unny', 1, 2, 1.99);
commit;
update track set unit_price = unit_price + 0.10 where album_id between 10 and 60;
update customer set email = upper(email), fax = null where customer_id % 3 = 0;
begin;
delete from invoice_line where invoice_id in (select invoice_id from invoice where customer_id = 7);
delete from invoice where customer_id = 7;
commit;
begin;
update playlist set playlist_id = 9100 where playlist_id = (select max(p.playlist_id) from playlist p
  where not exists (select from playlist_track t where t.playlist_id = p.playlist_id));
insert into playlist values (9101, 'Rabbit hole');
insert into playlist_track select 9101, track_id from track where track_id <= 500;
delete from playlist_track where playlist_id = 9101 and track_id % 2 = 0;
update playlist_track set track_id = 9002 where playlist_id = 9101 and track_id = 1;
commit;
update employee set reports_to = null where employee_id = 2;
update invoice set billing_address = repeat('Long Lane ', 7), total = total * 2 where invoice_id % 10 = 0;
delete from track where track_id in (select track_id from track t
  where not exists (select from invoice_line l where l.track_id = t.track_id)
    and not exists (select from playlist_track p where p.track_id = t.track_id) limit 5);
insert into genre select 1000 + g, 'Genre ' || g from generate_series(1, 300) g;
update genre set name = name || '!' where genre_id > 1000;
delete from genre where genre_id between 1100 and 1200;
`;

test(
  'Chinook is mirrored whole, follows changes, and is mended by a resync',
  { skip: !isThere },
  async () => {
    const sql = await readFile(CHINOOK, 'utf8');
    // What comes before makes and enters the database, in psql's own language.
    const setup = sql.slice(sql.indexOf('\\c chinook;') + '\\c chinook;'.length);
    await using mirror = await TestMirror.create(await sharedClusters(), setup);
    const tables = (generation: number): Record<string, unknown>[] =>
      TABLES.map((name) => ({
        source: `public.${name}`,
        ...(name === 'track' ? { resyncGeneration: generation } : {}),
      }));

    await mirror.write({ tables: tables(0) });
    await mirror.start();
    await mirror.waitReady();
    await mirror.assertSame(TABLES);
    const [wanted, made] = [
      await definitions(mirror.source),
      await definitions(mirror.destination),
    ];
    assert.deepEqual(made, wanted);
    assert.equal(wanted.filter((line) => line.startsWith('f ')).length, 11);
    await mirror.assertNothingToDo();

    await mirror.atSource(MIXED_DML);
    await mirror.caughtUp();
    await mirror.assertSame(TABLES);

    await mirror.atDestination(`
    set session_replication_role = replica;
    delete from track where track_id % 7 = 0;
    update track set name = 'damaged' where track_id % 11 = 0;
    insert into track select 100000 + track_id, 'extra', album_id, media_type_id, genre_id, null, 1, 1, 1
      from track where track_id < 50`);
    await mirror.write({ tables: tables(1) });
    await mirror.waitReady();
    const status = await mirror.status();
    assert.deepEqual(
      status?.status.tables.find(({ source }) => source === 'public.track')?.resyncGeneration,
      {
        desired: 1,
        observed: 1,
      },
    );
    await mirror.assertSame(TABLES);
    assert.deepEqual(await definitions(mirror.destination), wanted);
    await mirror.assertNothingToDo();
  },
);
