/** A file that is cut at any byte: nothing is lost, nothing is mirrored into anything else, nothing is to be done. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Connection, Mirror } from '../../src/core/mirror.ts';
import { formatTableName } from '../../src/core/table-name.ts';
import type { KnownMirrors } from '../../src/daemon/directory/intents.ts';
import { intentOf } from '../../src/daemon/directory/known-mirror.ts';
import type { Look } from '../../src/spec/load.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { readSnapshot, type ParsedFiles } from '../../src/spec/snapshot.ts';
import { column, observed, record, shape } from '../plan/fixtures.ts';
import { Folder, GRACE_MS } from './folder.ts';

const SPEC = `spec:
  suspend: false
  suspendReason: |
    until Friday,
    says Ann
  deletionPolicy: Delete
  resyncGeneration: 12
  snapshot: {initial: true, rowsPerPartition: 250000}
  source:
    database: shop
    user: bunny_reader
    password: {env: SOURCE_PASSWORD}
    port: 5432
    host: db.source.internal
  destination: copy
  cdc:
    idleTimeoutSeconds: 0.25
    maxBatchSize: 100000
  tables:
    - source: public.users
      excludeColumns:
        - note
        - password_hash
      resyncGeneration: 31
    - source: public.orders # not the old ones
      destination: public.orders_copy
      resyncStrategy: swap
    - {source: public.items}
    - source: public.items_of_orders
      excludeColumns: [note, größe]
`;
const HEAD = 'apiVersion: bunnydb/v1\nkind: Mirror\n';
const NAME = 'metadata:\n  annotations: {owner: team-orders}\n  name: shop\n';
const PEER = `apiVersion: bunnydb/v1
kind: Peer
metadata: {name: copy}
spec:
  database: shop_copy
  user: bunny_writer
  port: 5433
  host: db.copy.internal
`;

const TEXTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'spec behind metadata': { 'shop.yaml': HEAD + NAME + SPEC, 'copy.yaml': PEER },
  'spec before metadata': { 'shop.yaml': HEAD + SPEC + NAME, 'copy.yaml': PEER },
  'suspended at the end': {
    'shop.yaml': `${HEAD}${NAME}${SPEC.replace('  suspend: false\n', '')}  suspend: true\n`,
    'copy.yaml': PEER,
  },
};

function lookAt(texts: Readonly<Record<string, string | Uint8Array>>): Look {
  const files = Object.entries(texts).map(([path, text]) => ({ path, content: Buffer.from(text) }));
  return { kind: 'files', snapshot: readSnapshot(files, { parsed }) };
}

const parsed: ParsedFiles = new Map();

function start(texts: Readonly<Record<string, string>>): Folder {
  const folder = new Folder('mirrors.d');
  folder.take(lookAt(texts));
  assert.deepEqual([...folder.known.keys()], ['shop']);
  return folder;
}

function end({ host, port, database, user }: Connection): string {
  return `${user}@${host}:${port}/${database}`;
}

/** What is mirrored into what, and whether at all. */
function essence(known: KnownMirrors): unknown {
  return [...known.values()].map((one) => {
    const { mirror, presence } = intentOf(one);
    const tables = mirror.tables.map(
      ({ source, destination, excludeColumns, generation }) =>
        `${formatTableName(source)}>${formatTableName(destination)} -${excludeColumns.join()} ${generation.table}/${generation.mirror}`,
    );
    const ends = [end(mirror.source), end(mirror.destination)];
    const policy = [mirror.suspend, mirror.deletionPolicy, mirror.slot, mirror.publication.name];
    return { ends, tables: tables.toSorted(), policy, isRemoved: presence.kind === 'removed' };
  });
}

/** A world in which everything of the mirror is Live as its file says. */
function liveWorld(mirror: Mirror): ReturnType<typeof observed> {
  const columns = ['id', 'kept', 'note', 'password_hash', 'größe'].map((name) =>
    column(name, { notNull: name === 'id' }),
  );
  const world = observed({
    tables: Object.fromEntries(
      mirror.tables.map(({ source, destination, excludeColumns, generation }) => {
        const text = formatTableName(source);
        const copy = formatTableName(destination);
        const mirrored = columns.filter(({ name }) => !excludeColumns.includes(name));
        const more = { destination, observed: generation, excludeColumns };
        return [
          text,
          {
            destination: copy,
            sourceShape: shape(text, { columns }),
            destinationShape: shape(copy, { columns: mirrored }),
            record: record(text, { phase: 'Live' }, more),
          },
        ];
      }),
    ),
  });
  return { ...world, source: { ...world.source, database: mirror.source.database } };
}

for (const [what, texts] of Object.entries(TEXTS))
  test(`${what}: cut at every byte, one look each`, () => {
    const whole = start(texts);
    const wholeLook = lookAt(texts);
    const before = essence(whole.known);
    const [shop] = whole.known.values();
    assert.ok(shop);
    const world = liveWorld(shop.mirror);
    const mirrorRecord = world.ledger.mirror && {
      ...world.ledger.mirror,
      specHash: shop.mirror.specHash,
      sourceDatabase: shop.mirror.source.database,
    };
    const live = { ...world, ledger: { ...world.ledger, mirror: mirrorRecord } };
    const stepsOf = (known: KnownMirrors): string[] =>
      [...known.values()].flatMap((one) =>
        planMirror(intentOf(one).mirror, live).steps.map(({ kind }) => kind),
      );
    const idle = stepsOf(whole.known);
    assert.deepEqual(idle, [], 'the world is as the file says');
    let [valid, refused] = [0, 0];
    for (const [file, text] of Object.entries(texts)) {
      // The peer is the same in all of them.
      if (file === 'copy.yaml' && what !== 'spec behind metadata') continue;
      const bytes = Buffer.from(text);
      for (let length = 0; length < bytes.length; length += 1) {
        const folder = new Folder('mirrors.d');
        folder.known = whole.known;
        const look = lookAt({ ...texts, [file]: bytes.subarray(0, length) });
        for (const afterMs of [1, GRACE_MS - 1]) folder.take(look, afterMs);
        const at = `${file} cut at ${length}: ${JSON.stringify(text.slice(0, length).slice(-40))}`;
        assert.deepEqual(essence(folder.known), before, at);
        if (folder.known.get('shop')?.mirror !== shop.mirror)
          assert.deepEqual(stepsOf(folder.known), idle, at);
        const problems = folder.known.get('shop')?.problems.length ?? 0;
        if (problems === 0) valid += 1;
        else refused += 1;
        folder.take(wholeLook);
        assert.deepEqual(folder.known, whole.known, at);
      }
    }
    assert.ok(refused > 500 && valid > 0, `${refused} refused, ${valid} as good as whole`);
  });

test('several cuts in a row, each before the grace of the last one is over', () => {
  for (const texts of Object.values(TEXTS)) {
    const bytes = Buffer.from(texts['shop.yaml'] ?? '');
    const before = essence(start(texts).known);
    for (let seed = 1; seed <= 40; seed += 1) {
      const folder = start(texts);
      let state = seed * 7_919;
      for (let cut = 0; cut < 8; cut += 1) {
        state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
        const length = state % bytes.length;
        folder.take(lookAt({ ...texts, 'shop.yaml': bytes.subarray(0, length) }), GRACE_MS / 3);
        assert.deepEqual(essence(folder.known), before, `seed ${seed}, cut at ${length}`);
      }
    }
  }
});

test('what was cut on purpose is taken after the grace, and its last table does not wait twice', () => {
  const texts = TEXTS['spec behind metadata'] ?? {};
  const folder = start(texts);
  const shorter = (texts['shop.yaml'] ?? '').split('    - source: public.items_of_orders')[0] ?? '';
  const look = lookAt({ ...texts, 'shop.yaml': shorter });
  folder.take(look);
  assert.deepEqual(folder.sketch(), [
    'shop present [users orders items items_of_orders] Unsettled',
  ]);
  assert.equal(folder.last.againMs, GRACE_MS);
  folder.take(look, GRACE_MS - 1);
  assert.deepEqual(folder.sketch(), [
    'shop present [users orders items items_of_orders] Unsettled',
  ]);
  folder.take(look, 1);
  assert.deepEqual(folder.sketch(), ['shop present [users orders items]']);
});
