/** One table: how it was published when it was copied, and into what, against what is there under those names now. */
import type { FilledTable, TableRecord, TableState } from '../../src/core/table-state.ts';
import { runCases } from './cases.ts';
import { FAILURE, mirror, record, run, table, type World } from './fixtures.ts';

const BUMPED = mirror([table('public.users', { generation: { table: 1, mirror: 0 } })]);
const LIVE: TableState = { phase: 'Live' };
const RUN = run();
const SWAP_RUN = run({ strategy: 'swap', generation: { table: 1, mirror: 0 } });
const CATCHING_UP = {
  phase: 'CatchingUp',
  run: RUN,
  snapshot: { visible: '1:1:', lsn: '0/1' },
} as const;
const FAILED: TableState = {
  phase: 'Failed',
  failure: FAILURE,
  resume: 'replay',
  run: undefined,
  snapshot: undefined,
};
const COPY_RETRY = 'copy-table public.users retry truncate 0/0';
const COPY_BUMPED = 'copy-table public.users resync truncate 1/0';

/** As the worlds have it. */
const MEMBER = ['table 40000'];
const MEMBER_BEFORE = { memberships: ['table 39999'] };

/** Of a destination as the worlds have it. */
function filled(more: Partial<FilledTable>): FilledTable {
  return { oid: 20_000, databaseOid: 16_384, systemIdentifier: '2', ...more };
}

function inState(
  state: TableState,
  more: Partial<TableRecord> = {},
  memberships: readonly string[] = MEMBER,
): World {
  return {
    tables: { 'public.users': { record: record('public.users', state, more), memberships } },
  };
}

runCases([
  {
    name: 'taken out of the publication and put back',
    world: inState(LIVE, MEMBER_BEFORE),
    plan: { refusals: ['SlotLost public.users'] },
  },
  {
    name: 'taken out of the publication and put back, bumped',
    mirror: BUMPED,
    world: inState(LIVE, MEMBER_BEFORE),
    plan: { steps: [COPY_BUMPED] },
  },
  {
    name: 'taken out of the publication and put back after a failure: its spool does not have it all',
    world: inState(FAILED, MEMBER_BEFORE),
    plan: { refusals: ['SlotLost public.users'] },
  },
  {
    name: 'taken out of the publication and put back while it is copied: once more',
    world: inState({ ...CATCHING_UP, run: { ...RUN, ...MEMBER_BEFORE } }),
    plan: { steps: [COPY_RETRY] },
  },
  {
    name: 'taken out and put back before the copy that is under way: that has it all',
    world: inState({ ...CATCHING_UP, run: { ...RUN, memberships: MEMBER } }, MEMBER_BEFORE),
    plan: { steps: ['replay-table public.users'] },
  },
  {
    name: 'taken out and put back before a swap that the file takes back: the old table is not whole',
    world: inState({ phase: 'Copying', run: SWAP_RUN, fed: true }, MEMBER_BEFORE),
    plan: { steps: ['cancel-copy public.users'] },
  },
  {
    name: 'taken out of the publication and put back before its first copy',
    world: inState({ phase: 'Pending' }, { observed: undefined, ...MEMBER_BEFORE }),
    plan: { steps: ['copy-table public.users first truncate 0/0'] },
  },
  {
    name: 'published in another way besides',
    world: inState(LIVE, { memberships: MEMBER }, ['schema 1', ...MEMBER]),
    plan: {},
  },
  {
    name: 'published in one way less',
    world: inState(LIVE, { memberships: ['schema 1', ...MEMBER] }),
    plan: {},
  },
  {
    name: 'another table at the destination than the one that was filled',
    world: inState(LIVE, { filled: filled({ oid: 19_999 }) }),
    plan: { refusals: ['RowsMissing public.users'] },
  },
  {
    name: 'another table at the destination than the one that was filled, bumped',
    mirror: BUMPED,
    world: inState(LIVE, { filled: filled({ oid: 19_999 }) }),
    plan: { steps: [COPY_BUMPED] },
  },
  {
    name: 'the table at the destination that was filled',
    world: inState(LIVE, { filled: filled({}) }),
    plan: {},
  },
  {
    name: 'a table at the destination that was made again and not filled yet',
    world: inState(LIVE, { filled: filled({ oid: 0 }) }),
    plan: { steps: [COPY_RETRY] },
  },
  {
    name: 'a destination that was restored into another cluster',
    world: inState(LIVE, { filled: filled({ oid: 1, systemIdentifier: '9' }) }),
    plan: {},
  },
  {
    name: 'a destination that was restored into another database',
    world: inState(LIVE, { filled: filled({ oid: 1, databaseOid: 5 }) }),
    plan: {},
  },
  {
    name: 'another table at the destination, and changes in the spool for the one that was',
    world: inState(FAILED, { filled: filled({ oid: 19_999 }) }),
    plan: { refusals: ['RowsMissing public.users'] },
  },
  {
    name: 'another table at the destination, while the spool of the one that was is replayed',
    world: inState({ ...CATCHING_UP, run: undefined }, { filled: filled({ oid: 19_999 }) }),
    plan: { refusals: ['RowsMissing public.users'] },
  },
  {
    name: 'another table at the destination than the one that is filled: once more',
    world: inState({ ...CATCHING_UP, run: { ...RUN, filled: filled({ oid: 19_999 }) } }),
    plan: { steps: [COPY_RETRY] },
  },
  {
    name: 'another table at the destination, where a shadow is about to take its place',
    mirror: BUMPED,
    world: {
      ...inState({ ...CATCHING_UP, run: SWAP_RUN }, { filled: filled({ oid: 19_999 }) }),
      shadows: ['1'],
    },
    plan: { steps: ['replay-table public.users'] },
  },
]);
