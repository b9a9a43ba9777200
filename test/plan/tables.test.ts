/** One table: its state, its counters, and tables that come and go. */
import { ERROR_RULES } from '../../src/core/errors.ts';
import type { TableRecord, TableState } from '../../src/core/table-state.ts';
import { FAILURE, mirror, publication, record, run, shape, table, type World } from './fixtures.ts';
import { runCases } from './cases.ts';

const PENDING: TableState = { phase: 'Pending' };
const BUMPED = mirror([table('public.users', { generation: { table: 1, mirror: 0 } })]);
const SWAP = mirror([
  table('public.users', { generation: { table: 1, mirror: 0 }, resyncStrategy: 'swap' }),
]);

function inState(state: TableState, more: Partial<TableRecord> = {}): World {
  return { tables: { 'public.users': { record: record('public.users', state, more) } } };
}

const FIRST = { observed: undefined };
const SNAPSHOT = { visible: '1:1:', lsn: '0/1' };
const SWAP_RUN = run({ strategy: 'swap', generation: { table: 1, mirror: 0 } });

/** With a shadow. */
function swapping(state: TableState): World {
  return { ...inState(state), shadows: ['1'] };
}
const CATCHING_UP: TableState = {
  phase: 'CatchingUp',
  run: run(),
  snapshot: { visible: '1:1:', lsn: '0/1' },
};
const FAILED_REPLAY: TableState = {
  phase: 'Failed',
  failure: FAILURE,
  resume: 'replay',
  run: undefined,
  snapshot: undefined,
};
const OBSTRUCTED: TableState = {
  ...FAILED_REPLAY,
  failure: { ...FAILURE, code: 'SwapObstructed', hint: ERROR_RULES.SwapObstructed.hint },
  run: SWAP_RUN,
  snapshot: SNAPSHOT,
  fed: true,
};
const SPOOL_FULL: TableState = {
  ...FAILED_REPLAY,
  failure: { ...FAILURE, code: 'SpoolFull', hint: ERROR_RULES.SpoolFull.hint },
};

const COPY_FIRST = 'copy-table public.users first truncate 0/0';
const COPY_RETRY = 'copy-table public.users retry truncate 0/0';
const COPY_BUMPED = 'copy-table public.users resync truncate 1/0';

runCases([
  {
    name: 'another table under the name that was copied: not followed on from nothing',
    world: inState({ phase: 'Live' }, { sourceOid: 19_999 }),
    plan: { refusals: ['SlotLost public.users'] },
  },
  {
    name: 'another table under the name that was copied, bumped',
    mirror: BUMPED,
    world: inState({ phase: 'Live' }, { sourceOid: 19_999 }),
    plan: { steps: [COPY_BUMPED] },
  },
  {
    name: 'another table under the name that is copied: once more',
    world: inState(CATCHING_UP, { sourceOid: 19_999 }),
    plan: { steps: [COPY_RETRY] },
  },
  {
    name: 'Pending, never copied',
    world: inState(PENDING, FIRST),
    plan: { steps: [COPY_FIRST] },
  },
  {
    name: 'Pending after a failure: the same again',
    world: inState({ ...PENDING, failure: FAILURE }, FIRST),
    plan: { steps: [COPY_FIRST] },
  },
  {
    name: 'a first copy observes whatever the file says',
    mirror: mirror([table('public.users', { generation: { table: 7, mirror: 2 } })]),
    world: inState(PENDING, FIRST),
    plan: { steps: ['copy-table public.users first truncate 7/2'] },
  },
  {
    name: 'a first copy never swaps',
    mirror: SWAP,
    world: inState(PENDING, FIRST),
    plan: { steps: ['copy-table public.users first truncate 1/0'] },
  },
  {
    name: 'rows in the way of a first copy',
    world: { tables: { 'public.users': { record: undefined, hasRows: true } } },
    plan: { refusals: ['DestinationNotEmpty public.users'] },
  },
  {
    name: 'rows in the way of a first copy whose counter says to replace them',
    mirror: BUMPED,
    world: { tables: { 'public.users': { record: undefined, hasRows: true } } },
    plan: {
      steps: ['register-table public.users', 'copy-table public.users first truncate 1/0'],
    },
  },
  {
    name: 'rows of an earlier copy of ours are never in the way',
    world: {
      tables: { 'public.users': { record: record('public.users', PENDING), hasRows: true } },
    },
    plan: { steps: ['copy-table public.users resync truncate 0/0'] },
  },
  {
    name: 'Copying: interrupted, from an empty target again',
    world: inState({ phase: 'Copying', run: run() }, FIRST),
    plan: { steps: [COPY_RETRY] },
  },
  {
    name: 'CatchingUp: the spool',
    world: inState(CATCHING_UP, FIRST),
    plan: { steps: ['replay-table public.users'] },
  },
  {
    name: 'CatchingUp, bumped meanwhile: anew, for the newest',
    mirror: BUMPED,
    world: inState(CATCHING_UP),
    plan: { steps: [COPY_BUMPED] },
  },
  {
    name: 'CatchingUp for the bumped generation',
    mirror: BUMPED,
    world: inState({ ...CATCHING_UP, run: run({ generation: { table: 1, mirror: 0 } }) }),
    plan: { steps: ['replay-table public.users'] },
  },
  {
    name: 'Failed while Live',
    world: inState(FAILED_REPLAY),
    plan: { steps: ['replay-table public.users'] },
  },
  {
    name: 'Failed while Live, bumped: the copy heals it',
    mirror: BUMPED,
    world: inState(FAILED_REPLAY),
    plan: { steps: [COPY_BUMPED] },
  },
  {
    name: 'Failed while copying',
    world: inState({ ...FAILED_REPLAY, resume: 'copy', run: run() }, FIRST),
    plan: { steps: [COPY_RETRY] },
  },
  {
    name: 'Failed because the destination table was gone: the one that is there now is empty',
    world: inState({ ...FAILED_REPLAY, failure: { ...FAILURE, code: 'TableMissing' } }),
    plan: { steps: [COPY_RETRY] },
  },
  {
    name: 'Failed, its spool full: only a bump helps',
    world: inState(SPOOL_FULL),
    plan: { refusals: ['SpoolFull public.users'] },
  },
  {
    name: 'Failed, its spool full, bumped',
    mirror: BUMPED,
    world: inState(SPOOL_FULL),
    plan: { steps: [COPY_BUMPED] },
  },
  { name: 'Live, bumped', mirror: BUMPED, plan: { steps: [COPY_BUMPED] } },
  {
    name: "Live, the mirror's counter bumped",
    mirror: mirror([table('public.users', { generation: { table: 0, mirror: 3 } })]),
    plan: { steps: ['copy-table public.users resync truncate 0/3'] },
  },
  {
    name: 'Live, the counter went back',
    world: inState({ phase: 'Live' }, { observed: { table: 2, mirror: 0 } }),
    plan: { notices: ['GenerationReverted'] },
  },
  {
    name: 'Live, bumped, by swap',
    mirror: SWAP,
    plan: { steps: ['copy-table public.users resync swap 1/0'] },
  },
  {
    name: 'a swap that was interrupted while it copied starts again',
    mirror: SWAP,
    world: swapping({ phase: 'Copying', run: SWAP_RUN, fed: true }),
    plan: { steps: ['copy-table public.users retry swap 1/0'] },
  },
  {
    name: 'a swap that was interrupted after its rows goes on',
    mirror: SWAP,
    world: swapping({ phase: 'CatchingUp', run: SWAP_RUN, snapshot: SNAPSHOT, fed: true }),
    plan: { steps: ['replay-table public.users'] },
  },
  {
    name: 'a swap whose shadow is gone starts again',
    mirror: SWAP,
    world: {
      ...swapping({ phase: 'CatchingUp', run: SWAP_RUN, snapshot: SNAPSHOT, fed: true }),
      shadows: [],
    },
    plan: { steps: ['copy-table public.users retry swap 1/0'] },
  },
  {
    name: 'a swap that was obstructed at its end tries again while the file says swap',
    mirror: SWAP,
    world: swapping(OBSTRUCTED),
    plan: { steps: ['replay-table public.users'] },
  },
  {
    name: 'a swap that was obstructed at its end is given up for the strategy that its hint names',
    mirror: BUMPED,
    world: swapping(OBSTRUCTED),
    plan: { steps: [COPY_BUMPED] },
  },
  {
    name: 'a resync whose counter went back is cancelled',
    world: swapping({ phase: 'Copying', run: SWAP_RUN, fed: true }),
    plan: { steps: ['cancel-copy public.users'] },
  },
  {
    name: 'one that was cancelled and has to end is not cancelled again',
    world: inState({ phase: 'Copying', run: run({ generation: { table: 0, mirror: 0 } }) }),
    plan: { steps: [COPY_RETRY] },
  },
  {
    name: 'a copy that is made again takes nothing back that was done',
    world: inState(
      { phase: 'Copying', run: run({ generation: { table: 2, mirror: 0 } }) },
      { observed: { table: 2, mirror: 0 } },
    ),
    plan: {
      steps: ['copy-table public.users retry truncate 2/0'],
      notices: ['GenerationReverted'],
    },
  },
  {
    name: 'what an ended swap left is dropped',
    world: { ...inState({ phase: 'Live' }), shadows: ['1'] },
    plan: { steps: ['drop-shadow public.users'] },
  },
  {
    name: 'also while the table is copied in place',
    mirror: BUMPED,
    world: { ...inState({ phase: 'Copying', run: run() }), shadows: ['1'] },
    plan: { steps: ['copy-table public.users retry truncate 1/0', 'drop-shadow public.users'] },
  },
  {
    name: 'Live, the destination table dropped by hand',
    world: { tables: { 'public.users': { destinationShape: undefined } } },
    plan: { steps: ['create-table public.users', COPY_RETRY] },
  },

  // The list.
  {
    name: 'a table more: the others have no step',
    mirror: mirror([table('public.users'), table('public.b')]),
    world: {
      publication: publication(['public.users']),
      tables: {
        'public.users': {},
        'public.b': { record: undefined, destinationShape: undefined },
      },
    },
    plan: {
      steps: [
        'create-table public.b',
        'publish-table public.b',
        'register-table public.b',
        'copy-table public.b first truncate 0/0',
      ],
    },
  },
  {
    name: 'a table less',
    world: {
      publication: publication(['public.users', 'public.b']),
      ledger: { tables: [record('public.users'), record('public.b')] },
    },
    plan: { steps: ['alter-publication +[] -[public.b]', 'retire-table public.b'] },
  },
  {
    name: 'a refused table keeps its place in the publication, and gets none',
    mirror: mirror([table('public.a'), table('public.b'), table('public.c')]),
    world: {
      publication: publication(['public.a', 'public.c']),
      tables: {
        'public.a': { sourceShape: undefined },
        'public.b': {
          record: undefined,
          sourceShape: shape('public.b', { replicaIdentity: { kind: 'nothing', columns: [] } }),
        },
        'public.c': {},
      },
    },
    plan: { refusals: ['TableMissing public.a', 'NoReplicaIdentity public.b'] },
  },
]);
