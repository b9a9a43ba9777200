import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Lsn } from '../../src/core/lsn.ts';
import type { TableRecord, TableState } from '../../src/core/table-state.ts';
import { Assembler, type TransactionPart } from '../../src/stream/assemble.ts';
import { decodeMessage } from '../../src/stream/decode.ts';
import { Router, type Work } from '../../src/stream/router.ts';
import type { ApplyTarget } from '../../src/stream/target.ts';
import { cells } from './cells.ts';
import { begin, commit, insert, relation, truncate } from './pgoutput.ts';

const NAMES = ['pending', 'live', 'other', 'copying', 'swapping', 'unknown'] as const;
type Name = (typeof NAMES)[number];

const RUN = { id: 'r', generation: { table: 1, mirror: 0 }, startedAt: '' };
const STATES: Partial<Record<Name, TableState>> = {
  pending: { phase: 'Pending' },
  live: { phase: 'Live' },
  other: { phase: 'Live' },
  copying: { phase: 'Copying', run: { ...RUN, strategy: 'truncate' } },
  swapping: { phase: 'Copying', run: { ...RUN, strategy: 'swap' }, fed: true },
};

function idOf(name: Name): number {
  return NAMES.indexOf(name) + 1;
}

function recordOf(name: Name, state: TableState): TableRecord {
  const source = { schema: 'public', name };
  return {
    id: `id-${name}`,
    source,
    destination: { schema: 'copy', name },
    observed: undefined,
    state,
  };
}

function targetOf(name: Name): ApplyTarget {
  return {
    table: { schema: 'copy', name },
    columns: new Map(),
    generated: new Set(),
    identityAlways: new Set(),
    partitioned: false,
    excluded: new Set(),
    primaryKey: [],
    hasOtherUnique: false,
  };
}

function router(): Router {
  const routes = new Router();
  for (const name of NAMES) {
    const state = STATES[name];
    if (state) routes.set(recordOf(name, state), targetOf(name));
  }
  return routes;
}

/** `live a` inserts a row "a"; `truncate live other` empties two tables. */
function transactions(...scripts: readonly (readonly string[])[]): TransactionPart[] {
  const assembler = new Assembler();
  const described = NAMES.map((name) => relation({ id: idOf(name), name, columns: ['v'] }));
  for (const message of described) assembler.accept(decodeMessage(message));
  return scripts.flatMap((script, index) => {
    const lsn = BigInt(100 * (index + 1));
    const messages = script.map((line) => {
      const [verb, ...words] = line.split(' ');
      return verb === 'truncate'
        ? truncate(words.map((word) => idOf(word as Name)))
        : insert(idOf(verb as Name), [words[0] ?? '']);
    });
    return [begin(index + 1, lsn), ...messages, commit(lsn, lsn + 50n)].flatMap(
      (message) => assembler.accept(decodeMessage(message)) ?? [],
    );
  });
}

function readable(work: Work): object {
  return {
    segments: work.segments.map((segment) =>
      segment.tag === 'truncate'
        ? `truncate ${segment.tables.map(({ record }) => record.source.name).join(' ')}`
        : Object.fromEntries(
            [...segment.tables].map(([{ record }, changes]) => [
              record.source.name,
              changes
                .map((change) => (change.tag === 'insert' ? cells(change.new)[0] : change.tag))
                .join(' '),
            ]),
          ),
    ),
    spool: work.spool.map(({ tableId, xid, commitLsn, changes }) =>
      [tableId, xid, commitLsn, changes.map(({ tag }) => tag).join(' ')].join(' '),
    ),
    live: Object.fromEntries(
      [...work.live].map(([{ record }, entries]) => [
        record.source.name,
        entries.map(({ xid, changes }) => `${xid}: ${changes.map(({ tag }) => tag).join(' ')}`),
      ]),
    ),
  };
}

test('rows go to their tables, one stretch for several transactions', () => {
  const parts = transactions(['live a', 'other b', 'live c'], ['other d', 'live e']);
  assert.deepEqual(readable(router().distribute(parts)), {
    segments: [{ live: 'a c e', other: 'b d' }],
    spool: [],
    live: { live: ['1: insert insert', '2: insert'], other: ['1: insert', '2: insert'] },
  });
});

test('a truncate ends a stretch, and is one for all its live tables', () => {
  const parts = transactions(['live a', 'other b', 'truncate live other', 'live c'], ['live d']);
  assert.deepEqual(readable(router().distribute(parts)), {
    segments: [{ live: 'a', other: 'b' }, 'truncate live other', { live: 'c d' }],
    spool: [],
    live: { live: ['1: insert truncate insert', '2: insert'], other: ['1: insert truncate'] },
  });
});

test('tables that are copied are spooled, one entry for each transaction; swap feeds both', () => {
  const parts = transactions(['copying a', 'swapping b', 'copying c'], ['copying d']);
  assert.deepEqual(readable(router().distribute(parts)), {
    segments: [{ swapping: 'b' }],
    spool: [
      'id-copying 1 100 insert insert',
      'id-swapping 1 100 insert',
      'id-copying 2 200 insert',
    ],
    live: { swapping: ['1: insert'] },
  });
});

test('a truncate of tables in all states: each gets its own', () => {
  const parts = transactions(['truncate unknown pending copying live swapping']);
  assert.deepEqual(readable(router().distribute(parts)), {
    segments: ['truncate live swapping'],
    spool: ['id-copying 1 100 truncate', 'id-swapping 1 100 truncate'],
    live: { live: ['1: truncate'], swapping: ['1: truncate'] },
  });
});

test('what is pending or not ours goes nowhere', () => {
  const parts = transactions(['pending a', 'unknown b', 'truncate unknown pending'], []);
  assert.deepEqual(readable(router().distribute(parts)), { segments: [], spool: [], live: {} });
});

test('a table is routed anew when its state changes, and not at all when it is removed', () => {
  const routes = router();
  const [part] = transactions(['live a']);
  assert.ok(part);
  const target = targetOf('live');
  routes.set(
    recordOf('live', { phase: 'CatchingUp', run: undefined, snapshot: undefined }),
    target,
  );
  assert.equal(routes.distribute([part]).spool.length, 1);
  assert.equal(routes.distribute([part]).segments.length, 0);
  routes.remove({ schema: 'public', name: 'live' });
  assert.deepEqual(readable(routes.distribute([part])), { segments: [], spool: [], live: {} });
  assert.equal(routes.get({ schema: 'public', name: 'live' }), undefined);
  assert.deepEqual(
    routes.records().map(({ source }) => source.name),
    ['pending', 'other', 'copying', 'swapping'],
  );
});

test('an entry of a part of a large transaction carries its position', () => {
  const [part] = transactions(['copying a']);
  assert.ok(part);
  const { spool } = router().distribute([
    { ...part, endLsn: undefined, final: false, commitLsn: 7n as Lsn },
  ]);
  assert.equal(spool[0]?.commitLsn, 7n);
});
