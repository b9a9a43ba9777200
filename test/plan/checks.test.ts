/** What `check` judges by itself, and under which name it tells what the plan refuses. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MirrorError } from '../../src/core/errors.ts';
import { checkMirror } from '../../src/plan/check/checks.ts';
import type { CheckName } from '../../src/plan/check/check-name.ts';
import type { Check } from '../../src/plan/check/finding.ts';
import { type Around, failures, lookAt } from './check-looks.ts';
import {
  column,
  mirror,
  name,
  observed,
  publication,
  shape,
  SLOT,
  table,
  type World,
} from './fixtures.ts';

/** As before the first run, with nothing at the destination. */
const NEW: World = {
  slot: undefined,
  publication: undefined,
  mirrorRecord: undefined,
  ledger: { version: 0, tables: [] },
  schemas: ['public'],
  tables: { 'public.users': { destinationShape: undefined, record: undefined } },
};

function failed(world: World, around: Around = {}, file = mirror()): string[] {
  return failures(checkMirror(file, lookAt(observed(world), around))).map(
    (check) => `${check.name}: ${check.fix}`,
  );
}

function only(checks: readonly Check[], wanted: CheckName): Check {
  const found = checks.filter((check) => check.name === wanted);
  assert.equal(found.length, 1, wanted);
  return found[0] as Check;
}

test('a world in which everything is there passes, first run or running', () => {
  assert.deepEqual(failed({}), []);
  assert.deepEqual(failed(NEW, { rights: { ledger: 'absent' } }), []);
});

const BUNNY = { name: 'bunny', superuser: false, replication: true };
const REFUSED: readonly (readonly [World, string])[] = [
  [{ source: { version: 130_000 } }, 'source-version: PostgreSQL 14 or newer'],
  [
    { source: { walLevel: 'replica' } },
    "wal-level: On the source: ALTER SYSTEM SET wal_level = 'logical'",
  ],
  [
    { source: { role: { ...BUNNY, replication: false } } },
    'replication-right: On the source: ALTER ROLE "bunny" REPLICATION;',
  ],
  [
    { ...NEW, source: { canCreate: false } },
    'publication: On the source: GRANT CREATE ON DATABASE "shop" TO "bunny";',
  ],
  [
    { ...NEW, destination: { canCreate: false } },
    'ledger: On the destination: GRANT CREATE ON DATABASE "shop" TO "bunny";',
  ],
  [{ slot: undefined }, 'slot: Changes are gone'],
  [
    {
      publication: publication(['public.users'], {
        partial: [{ table: name('public.users'), rowFilter: true, columns: undefined }],
      }),
    },
    'published-whole: On the source: ALTER PUBLICATION',
  ],
  [{ tables: { 'public.users': { sourceShape: undefined } } }, 'source-tables: Create the table'],
  [
    { tables: { 'public.users': { sourceShape: shape('public.users', { unlogged: true }) } } },
    'source-tables: On the source: ALTER TABLE "public"."users" SET LOGGED;',
  ],
  [
    {
      publication: publication([]),
      tables: {
        'public.users': { sourceShape: shape('public.users', { owned: false }), record: undefined },
      },
      ledger: { tables: [] },
    },
    'table-owner: On the source: GRANT "shop_owner" TO "bunny";',
  ],
  [
    { tables: { 'public.users': { sourceShape: shape('public.users', { readable: false }) } } },
    'select-right: On the source: GRANT USAGE ON SCHEMA "public" TO "bunny"; GRANT SELECT ON "public"."users" TO "bunny";',
  ],
  [
    { tables: { 'public.users': { sourceShape: shape('public.users', { rowSecurity: true }) } } },
    'source-row-security: On the source: ALTER ROLE "bunny" BYPASSRLS;',
  ],
  [
    {
      tables: {
        'public.users': {
          sourceShape: shape('public.users', { replicaIdentity: { kind: 'nothing', columns: [] } }),
        },
      },
    },
    'replica-identity: Give the table a primary key, or on the source: ALTER TABLE "public"."users" REPLICA IDENTITY FULL;',
  ],
  [
    {
      tables: { 'public.users': { destinationShape: shape('public.users', { readable: false }) } },
    },
    'write-tables: On the destination: GRANT USAGE ON SCHEMA "public" TO "bunny"; GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON "public"."users" TO "bunny";',
  ],
  [
    {
      tables: {
        'public.users': { destinationShape: shape('public.users', { rowSecurity: true }) },
      },
    },
    'destination-row-security: On the destination: ALTER ROLE "bunny" BYPASSRLS;',
  ],
  [{ destination: { systemIdentifier: '1' } }, 'loop: Name another destination'],
  [
    {
      tables: {
        'public.users': {
          types: [
            {
              name: name('public.mood'),
              kind: 'enum',
              state: 'missing',
              createSql: [],
              problem: undefined,
            },
          ],
        },
      },
    },
    'types: Make the type',
  ],
  [
    { tables: { 'public.users': { hasRows: true, record: undefined } }, ledger: { tables: [] } },
    'copy: Empty the table',
  ],
  [
    {
      tables: {
        'public.users': { destinationShape: shape('public.users', { columns: [column('id')] }) },
      },
    },
    'shape: Make the destination table like the source',
  ],
];

for (const [world, wanted] of REFUSED)
  test(`it is told as ${wanted.split('.')[0]}`, () => {
    const [first, ...more] = failed(world);
    assert.equal(first?.slice(0, wanted.length), wanted);
    assert.deepEqual(more, []);
  });

test('excluded columns that cannot be left out are told as such', () => {
  const file = mirror([table('public.users', { excludeColumns: ['id'] })]);
  assert.deepEqual(failed({}, {}, file), ['excluded-columns: Take it out of excludeColumns.']);
});

test('a suspended mirror is checked as if it were not', () => {
  const file = mirror(undefined, { suspend: true });
  assert.deepEqual(failed({ source: { walLevel: 'replica' } }, {}, file).length, 1);
});

test('slots and walsenders must be free, but for a mirror that has its own', () => {
  const full = { used: 4, max: 4 };
  const room = { slots: full, walSenders: full };
  assert.deepEqual(failed(NEW, { room, rights: { ledger: 'absent' } }), [
    'free-slot: On the source: ALTER SYSTEM SET max_replication_slots = 14; then restart it. Or drop one that nobody uses: SELECT slot_name FROM pg_replication_slots WHERE NOT active;',
    'free-walsender: On the source: ALTER SYSTEM SET max_wal_senders = 14; then restart it.',
  ]);
  assert.deepEqual(failed({ slot: { ...SLOT, active: true } }, { room }), []);
  assert.deepEqual(
    failed({ slot: { ...SLOT, active: false } }, { room }).map((line) => line.split(':')[0]),
    ['free-walsender'],
  );
});

test('rights at the destination that only a step of the plan would miss', () => {
  const denied = {
    ledger: 'denied',
    replicaRole: false,
    schemas: new Map([['public', false]]),
  } as const;
  assert.deepEqual(
    failed({ ...NEW, ledger: { tables: [] } }, { rights: denied }).map((line) =>
      line.slice(0, line.indexOf(' TO ')),
    ),
    [
      'ledger: On the destination: GRANT USAGE, CREATE ON SCHEMA bunnydb',
      'replica-role: On the destination, as a superuser: GRANT SET ON PARAMETER session_replication_role',
      'create-tables: On the destination: GRANT USAGE, CREATE ON SCHEMA "public"',
    ],
  );
  const elsewhere = { schemas: new Map<string, boolean>() };
  assert.deepEqual(
    failed(
      { ...NEW, ledger: { tables: [] }, destination: { canCreate: false } },
      { rights: elsewhere },
    ),
    ['create-tables: On the destination: GRANT CREATE ON DATABASE "shop" TO "bunny";'],
  );
  assert.deepEqual(failed({}, { rights: { schemas: new Map([['public', false]]) } }), []);
});

test('a standby is no destination, and no source where a publication is to be made', () => {
  assert.deepEqual(
    failed({}, { room: { inRecovery: true }, rights: { inRecovery: true } }).map(
      (line) => line.split(':')[0],
    ),
    ['source-primary', 'destination-primary'],
  );
});

test('encodings are told where a text may not fit', () => {
  const tell = (source: string, destination: string): string => {
    const look = lookAt(
      observed({ source: { encoding: source }, destination: { encoding: destination } }),
    );
    return only(checkMirror(mirror(), look), 'encoding').result;
  };
  assert.deepEqual(
    [
      tell('UTF8', 'UTF8'),
      tell('LATIN1', 'UTF8'),
      tell('LATIN1', 'LATIN1'),
      tell('UTF8', 'LATIN1'),
      tell('SQL_ASCII', 'UTF8'),
      tell('SQL_ASCII', 'SQL_ASCII'),
      tell('UTF8', 'SQL_ASCII'),
    ],
    ['pass', 'pass', 'pass', 'warn', 'warn', 'warn', 'warn'],
  );
});

test('a limit of the WAL that is kept is told with what it means, and is no fault', () => {
  const note = (maxSlotWalKeepSize: string): Check =>
    only(
      checkMirror(mirror(), lookAt(observed(), { room: { maxSlotWalKeepSize } })),
      'wal-retention',
    );
  assert.match(note('-1').message, /fill the disk/);
  assert.match(note('10GB').message, /is 10GB: .* is lost/);
  assert.equal(note('10GB').result, 'note');
});

test('what was not looked at does not pass', () => {
  const tables = [table('public.users'), table('public.orders')];
  const missing = { sourceShape: undefined };
  const one = checkMirror(
    mirror(tables),
    lookAt(observed({ tables: { 'public.users': missing, 'public.orders': {} } })),
  );
  assert.equal(only(one, 'select-right').message, 'every column may be read (1 of 2 tables)');
  const none = checkMirror(mirror(), lookAt(observed({ tables: { 'public.users': missing } })));
  assert.equal(only(none, 'select-right').result, 'skip');
});

const BROKEN: readonly (readonly [string, ConstructorParameters<typeof MirrorError>[0], string])[] =
  [
    ['ENOTFOUND', 'ConnectionFailed', 'DNS'],
    ['ECONNREFUSED', 'ConnectionFailed', 'refused'],
    ['28P01', 'AuthenticationFailed', 'password'],
    ['3D000', 'DatabaseMissing', 'database'],
    ['EPROTO', 'TlsUnavailable', 'TLS'],
  ];

for (const [driver, code, what] of BROKEN)
  test(`a side that cannot be reached says ${what}, and the other one is checked all the same`, () => {
    const world = { source: { walLevel: 'replica' } };
    const cause = Object.assign(new Error('no'), { code: driver });
    const error = new MirrorError(code, 'no', { cause });
    const checks = checkMirror(mirror(), {
      ...lookAt(observed(world)),
      destination: { is: 'unreachable', error },
      observed: undefined,
    });
    const connection = only(checks, 'destination-connection');
    assert.deepEqual([connection.result, connection.message], ['fail', `${what}: no`]);
    assert.match(connection.fix ?? '', /spec\.destination/);
    assert.equal(only(checks, 'wal-level').result, 'fail');
    assert.equal(only(checks, 'types').result, 'skip');
    assert.equal(only(checks, 'write-tables').result, 'skip');
  });

test('a side that lets in and shows nothing is told as what could not be read', () => {
  const error = new MirrorError('LedgerTooNew', 'the ledger has version 99');
  const checks = checkMirror(mirror(), {
    ...lookAt(observed()),
    destination: { is: 'unreadable', error },
    observed: undefined,
  });
  assert.equal(only(checks, 'ledger').result, 'fail');
  assert.equal(only(checks, 'destination-connection').result, 'pass');
});

test('two sides that cannot be compared are each checked all the same', () => {
  const error = new MirrorError('LockTimeout', 'somebody holds the table');
  const look = { ...lookAt(observed({ source: { walLevel: 'replica' } })), observed: error };
  const checks = checkMirror(mirror(), look);
  assert.deepEqual(
    failures(checks).map(({ name: check }) => check),
    ['wal-level', 'copy'],
  );
  assert.equal(only(checks, 'types').result, 'skip');
});
