/** Every kind of step: in the JSON that the schema promises, and with what it locks. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { describeLock, locksOf } from '../../src/plan/locks.ts';
import type { Notice, Step } from '../../src/plan/plan.ts';
import { assertJson } from './agreement.ts';
import { foreignKey, name, NOTE_INDEX, PRIMARY_KEY, record, shape, table } from './fixtures.ts';

const USERS = table('public.users');
const RECORD = record('public.users');
const SAVED = {
  id: '1',
  table: USERS.source,
  owner: name('public.orders'),
  name: 'fk',
  definition: 'FOREIGN KEY (a) REFERENCES public.users(id)',
};

/** One step of each kind; a kind that is not here does not compile. */
const SAMPLES: { readonly [K in Step['kind']]: Extract<Step, { kind: K }> } = {
  'migrate-ledger': { kind: 'migrate-ledger', fromVersion: 0 },
  'register-mirror': { kind: 'register-mirror' },
  'create-publication': { kind: 'create-publication', tables: [USERS.source] },
  'alter-publication': { kind: 'alter-publication', add: [], drop: [USERS.source] },
  'publish-table': { kind: 'publish-table', table: USERS },
  'create-slot': { kind: 'create-slot', adopt: false },
  'reset-slot': { kind: 'reset-slot', reason: 'is gone' },
  'record-source': { kind: 'record-source', timeline: 2, from: 1 },
  'create-schema': { kind: 'create-schema', schema: 'copy' },
  'create-type': {
    kind: 'create-type',
    type: {
      name: name('public.mood'),
      kind: 'enum',
      state: 'missing',
      createSql: [],
      problem: undefined,
    },
  },
  'create-sequence': {
    kind: 'create-sequence',
    table: USERS,
    sequence: {
      name: name('public.s'),
      column: 'id',
      kind: 'serial',
      options: '',
      literal: '',
    },
  },
  'create-table': { kind: 'create-table', table: USERS, source: shape('public.users') },
  'register-table': { kind: 'register-table', table: USERS },
  'copy-table': {
    kind: 'copy-table',
    table: USERS,
    reason: 'resync',
    strategy: 'swap',
    generation: { table: 1, mirror: 0 },
    estimatedRows: -1,
    estimatedBytes: 8_192,
    relaxes: [],
    disturbs: true,
    heldUntil: '2026-11-28T01:00:00.000Z',
  },
  'replay-table': { kind: 'replay-table', table: USERS, endsSwap: false },
  'verify-table': { kind: 'verify-table', table: USERS, reason: 'copied' },
  'cancel-copy': { kind: 'cancel-copy', table: USERS },
  'drop-shadow': { kind: 'drop-shadow', table: USERS, record: RECORD },
  'adopt-table': { kind: 'adopt-table', table: USERS, generation: { table: 0, mirror: 0 } },
  'create-constraint': { kind: 'create-constraint', table: USERS, constraint: PRIMARY_KEY },
  'create-index': { kind: 'create-index', table: USERS, index: NOTE_INDEX },
  'add-foreign-key': {
    kind: 'add-foreign-key',
    table: USERS,
    foreignKey: foreignKey('public.b'),
    references: name('public.b'),
  },
  'restore-foreign-key': { kind: 'restore-foreign-key', table: undefined, saved: SAVED },
  'validate-foreign-key': {
    kind: 'validate-foreign-key',
    table: USERS,
    owner: USERS.destination,
    name: 'fk',
  },
  'retire-table': { kind: 'retire-table', record: RECORD, drop: true },
  'accept-spec': {
    kind: 'accept-spec',
    changes: [
      { field: 'spec.cdc.maxBatchSize', fieldClass: 'in-place', from: undefined, to: '5000' },
    ],
  },
  'release-slot': { kind: 'release-slot' },
  'drop-publication': { kind: 'drop-publication', name: 'bunny_shop' },
  'drop-table': { kind: 'drop-table', record: RECORD },
  'forget-mirror': { kind: 'forget-mirror' },
};

/** Likewise for what is told. */
const REASONS: Readonly<Record<Notice['reason'], true>> = {
  GenerationReverted: true,
  ExtraColumn: true,
  IndexDiffers: true,
  ShapeDiffers: true,
  LeftInPlace: true,
  ExtraTable: true,
  Suspended: true,
};

test('the schema of the JSON knows every kind of step and of notice, and takes each', () => {
  const kinds = Object.keys(SAMPLES).sort();
  const url = new URL('../../schemas/plan.schema.json', import.meta.url);
  const schema = JSON.parse(readFileSync(url, 'utf8'));
  const { steps, notices } = schema.properties.plans.items.properties;
  assert.deepEqual(steps.items.properties.kind.enum.toSorted(), kinds);
  assert.deepEqual(notices.items.properties.reason.enum, Object.keys(REASONS));
  const plan = { mirror: 'shop', steps: Object.values(SAMPLES), refusals: [], notices: [] };
  assertJson({ looks: [{ plan, diff: '', isRun: true }], failures: [], invalid: [] });
});

test('a swap locks at its end, a truncate at its start, both read the source meanwhile', () => {
  const sample = SAMPLES['copy-table'];
  const modes = (strategy: 'swap' | 'truncate'): string[] =>
    locksOf({ ...sample, strategy }).map(({ side, mode, effect }) =>
      [side, mode, effect.split(/[,;]/)[0]].join(' '),
    );
  const reads = 'source ACCESS SHARE while its rows are read';
  assert.deepEqual(modes('swap'), [reads, 'destination ACCESS EXCLUSIVE at its end']);
  assert.deepEqual(modes('truncate'), [
    reads,
    'destination ACCESS EXCLUSIVE at its start',
    'destination ACCESS EXCLUSIVE after the rows',
  ]);
  const replay = { ...SAMPLES['replay-table'], endsSwap: true };
  assert.deepEqual(locksOf(replay), locksOf({ ...sample, strategy: 'swap' }).slice(1));
  assert.deepEqual(locksOf(SAMPLES['replay-table']), []);
});

test('whom a step waits for is no lock', () => {
  const [wait] = locksOf(SAMPLES['create-slot']);
  assert.ok(wait);
  assert.match(describeLock(wait), /^waits for every transaction /);
});
