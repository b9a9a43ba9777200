/** What the status says of each state that a mirror can be in. */
import { MirrorError } from '../../src/core/errors.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import type { MirrorState, MirrorView } from '../../src/status/view.ts';
import { FAILURE, mirror, NOTE_INDEX, observed, record, shape, table } from '../plan/fixtures.ts';
import {
  copying,
  DOWN,
  EMPTY_PLAN,
  FAILED_TABLE,
  FIRST_COPY,
  LIVE,
  NEVER_COPIED,
  RESYNC,
  SPEC,
  TABLES,
  view,
} from './views.ts';

export interface StatusCase {
  readonly name: string;
  readonly view: MirrorView;
  readonly state: MirrorState;
  /** `type=status reason`, in order. */
  readonly conditions: readonly string[];
  /** `phase resyncStatus`, in order. */
  readonly tables?: readonly string[];
}

const UNVERIFIED = 'Verified=Unknown Progressing';
const LOOKED_AT = [UNVERIFIED, 'Drifted=False NoDriftDetected'];
const ACCEPTED = ['SpecAccepted=True Valid', ...LOOKED_AT];
/** Before both databases were looked at. */
const ACCEPTED_UNSEEN = ['SpecAccepted=True Valid', UNVERIFIED];
const STREAMING = 'Replicating=True Streaming';

const USERS = table('public.users');
const BUMPED = [table('public.users', { generation: { table: 1, mirror: 0 } })];

export const CASES: readonly StatusCase[] = [
  {
    name: 'before the first pass',
    view: view({
      passedSpecHash: undefined,
      plan: undefined,
      slot: undefined,
      records: [],
      stream: undefined,
    }),
    state: 'PENDING',
    conditions: ['Ready=False Progressing', 'Replicating=Unknown Progressing', ...ACCEPTED_UNSEEN],
    tables: ['Pending none', 'Pending none'],
  },
  {
    name: 'streaming, and nothing copied yet',
    view: view({
      records: FIRST_COPY.map(({ source }) =>
        record(`${source.schema}."${source.name}"`, { phase: 'Pending' }, NEVER_COPIED),
      ),
    }),
    state: 'PENDING',
    conditions: ['Ready=False Progressing', STREAMING, ...ACCEPTED],
    tables: ['Pending none', 'Pending none'],
  },
  {
    name: 'the first copies',
    view: view({ records: FIRST_COPY, runs: copying() }),
    state: 'SNAPSHOTTING',
    conditions: ['Ready=False InitialCopy', STREAMING, 'Reconciling=True Progressing', ...ACCEPTED],
    tables: ['Copying none', 'Pending none'],
  },
  {
    name: 'all is well',
    view: view(),
    state: 'RUNNING',
    conditions: ['Ready=True ReconciliationSucceeded', STREAMING, ...ACCEPTED],
    tables: ['Live none', 'Live completed'],
  },
  {
    name: 'a resync',
    view: view({ records: RESYNC, runs: copying({ strategy: 'swap' }) }),
    state: 'RESYNCING',
    conditions: [
      'Ready=False ResyncInProgress',
      STREAMING,
      'Reconciling=True ResyncInProgress',
      ...ACCEPTED,
    ],
    tables: ['Copying in_progress', 'Live completed'],
  },
  {
    name: 'a resync whose pace is known and that is held up',
    view: view({
      records: RESYNC,
      runs: copying({ rowsPerSecond: 60, secondsLeft: 7, waitsFor: 'pid 4711', tries: 2 }),
    }),
    state: 'RESYNCING',
    conditions: [
      'Ready=False ResyncInProgress',
      STREAMING,
      'Reconciling=True ResyncInProgress',
      ...ACCEPTED,
    ],
    tables: ['Copying in_progress', 'Live completed'],
  },
  {
    name: 'a resync that waits for its turn',
    view: view({
      mirror: mirror(BUMPED, SPEC),
      records: LIVE,
    }),
    state: 'RESYNCING',
    conditions: ['Ready=False ResyncInProgress', STREAMING, ...ACCEPTED],
    tables: ['Live in_progress'],
  },
  {
    name: 'a resync that failed',
    view: view({
      mirror: mirror(BUMPED, SPEC),
      failures: new Map([['public.users', { ...FAILURE, attempts: 3 }]]),
    }),
    state: 'RUNNING',
    conditions: ['Ready=False ConstraintViolated', STREAMING, ...ACCEPTED],
    tables: ['Live failed'],
  },
  {
    name: 'a table that failed while the others stream',
    view: view({ records: FAILED_TABLE }),
    state: 'RUNNING',
    conditions: ['Ready=False ConstraintViolated', STREAMING, ...ACCEPTED],
    tables: ['Failed none', 'Live completed'],
  },
  {
    name: 'a table that failed, and replays what was kept for it: no resync',
    view: view({ records: FAILED_TABLE, runs: copying({ step: 'CatchingUp' }) }),
    state: 'RUNNING',
    conditions: [
      'Ready=False ConstraintViolated',
      STREAMING,
      'Reconciling=True Progressing',
      ...ACCEPTED,
    ],
    tables: ['Failed none', 'Live completed'],
  },
  {
    name: 'a table that only a human can help',
    view: view({ failures: new Map([['public.users', { ...FAILURE, code: 'SpoolFull' }]]) }),
    state: 'RUNNING',
    conditions: ['Ready=False SpoolFull', STREAMING, 'Stalled=True SpoolFull', ...ACCEPTED],
  },
  {
    name: 'suspended',
    view: view({ mirror: mirror(TABLES, { ...SPEC, suspend: true }), stream: undefined }),
    state: 'SUSPENDED',
    conditions: ['Ready=False Suspended', 'Replicating=False Suspended', ...ACCEPTED],
  },
  {
    name: 'suspended before anything else, whatever failed',
    view: view({
      mirror: mirror(TABLES, { ...SPEC, suspend: true }),
      plan: undefined,
      slot: undefined,
      records: [],
      stream: undefined,
      failure: DOWN,
    }),
    state: 'SUSPENDED',
    conditions: ['Ready=False Suspended', 'Replicating=False Suspended', ...ACCEPTED_UNSEEN],
  },
  {
    name: 'no server',
    view: view({ plan: undefined, slot: undefined, records: [], stream: undefined, failure: DOWN }),
    state: 'FAILED',
    conditions: [
      'Ready=False ConnectionFailed',
      'Replicating=False ConnectionFailed',
      ...ACCEPTED_UNSEEN,
    ],
  },
  {
    name: 'an error that only the file can mend',
    view: view({
      stream: undefined,
      failure: new MirrorError('IdentityChanged', 'another cluster'),
    }),
    state: 'FAILED',
    conditions: [
      'Ready=False IdentityChanged',
      'Replicating=False IdentityChanged',
      'Stalled=True IdentityChanged',
      ...ACCEPTED,
    ],
  },
  {
    name: 'a refusal of the whole mirror',
    view: view({
      plan: planMirror(mirror(), observed({ source: { walLevel: 'replica' } })),
      stream: undefined,
    }),
    state: 'FAILED',
    conditions: [
      'Ready=False WalLevelNotLogical',
      'Replicating=False WalLevelNotLogical',
      ...ACCEPTED,
    ],
  },
  {
    name: 'a newer file that is refused',
    view: view({
      problems: [{ reason: 'SchemaInvalid', text: 'shop.yaml:3:1 unknown key sorce' }],
    }),
    state: 'RUNNING',
    conditions: [
      'Ready=False SchemaInvalid',
      STREAMING,
      'Stalled=True SchemaInvalid',
      'SpecAccepted=False SchemaInvalid',
      ...LOOKED_AT,
    ],
  },
  {
    name: 'a counter that went back',
    view: view({
      mirror: mirror(TABLES, SPEC),
      plan: planMirror(
        mirror(BUMPED),
        observed({
          tables: {
            'public.users': {
              record: record(
                'public.users',
                { phase: 'Live' },
                { observed: { table: 2, mirror: 0 } },
              ),
            },
          },
        }),
      ),
    }),
    state: 'RUNNING',
    conditions: [
      'Ready=True ReconciliationSucceeded',
      STREAMING,
      ...ACCEPTED,
      'ResyncGenerationBehind=True GenerationReverted',
    ],
  },
  {
    name: 'steps that are still to be carried out',
    view: view({
      plan: planMirror(mirror(), observed({ slot: undefined, mirrorRecord: undefined })),
    }),
    state: 'RUNNING',
    conditions: ['Ready=False Progressing', STREAMING, 'Reconciling=True Progressing', ...ACCEPTED],
  },
  {
    name: 'a resync that waits for its maintenance window',
    view: view({
      mirror: mirror(BUMPED, SPEC),
      plan: {
        ...EMPTY_PLAN,
        steps: planMirror(mirror(BUMPED), observed()).steps.map((step) => ({
          ...step,
          heldUntil: '2026-11-28T00:00:00.000Z',
        })),
      },
    }),
    state: 'RUNNING',
    conditions: [
      'Ready=False OutsideMaintenanceWindow',
      STREAMING,
      'Reconciling=True OutsideMaintenanceWindow',
      ...ACCEPTED,
    ],
    tables: ['Live in_progress'],
  },
  {
    name: 'a file that is missing and not yet removed',
    view: view({
      presence: { kind: 'missing', message: 'shop.yaml is gone', isGraceRunning: true },
    }),
    state: 'RUNNING',
    conditions: ['Ready=False RemovalPending', STREAMING, ...ACCEPTED],
  },
  {
    name: 'a directory that cannot be read',
    view: view({ presence: { kind: 'missing', message: 'no answer', isGraceRunning: false } }),
    state: 'RUNNING',
    conditions: ['Ready=False SpecMissing', STREAMING, ...ACCEPTED],
  },
  {
    name: 'a table that is no longer in the file',
    view: view({ leaving: [USERS.source] }),
    state: 'RUNNING',
    conditions: ['Ready=False RemovalPending', STREAMING, ...ACCEPTED],
  },
  {
    name: 'a file that was removed',
    view: view({ presence: { kind: 'removed' }, stream: undefined }),
    state: 'TERMINATING',
    conditions: [
      'Ready=False Terminating',
      'Replicating=False Terminating',
      'Reconciling=True Terminating',
      ...ACCEPTED,
    ],
  },
  {
    name: 'a file that was removed while the source is down',
    view: view({
      presence: { kind: 'removed' },
      plan: undefined,
      slot: undefined,
      stream: undefined,
      failure: DOWN,
    }),
    state: 'TERMINATING',
    conditions: [
      'Ready=False Terminating',
      'Replicating=False Terminating',
      'Reconciling=True Terminating',
      ...ACCEPTED_UNSEEN,
    ],
  },
  {
    name: 'a file that looks cut off',
    view: view({ problems: [{ reason: 'Unsettled', text: 'shop.yaml:9:1: it ends early' }] }),
    state: 'RUNNING',
    conditions: ['Ready=False Unsettled', STREAMING, 'SpecAccepted=False Unsettled', ...LOOKED_AT],
  },
  {
    name: 'a name that two files have',
    view: view({ problems: [{ reason: 'DuplicateName', text: 'b.yaml has it too' }] }),
    state: 'RUNNING',
    conditions: [
      'Ready=False DuplicateName',
      STREAMING,
      'Stalled=True DuplicateName',
      'SpecAccepted=False DuplicateName',
      ...LOOKED_AT,
    ],
  },
  {
    name: 'a slot that is lost',
    view: view({ plan: planMirror(mirror(), observed({ slot: undefined })), stream: undefined }),
    state: 'FAILED',
    conditions: [
      'Ready=False SlotLost',
      'Replicating=False SlotLost',
      'Stalled=True SlotLost',
      ...ACCEPTED,
    ],
  },
  {
    name: 'a slot that this destination knows nothing of: a human edits the file',
    view: view({
      plan: planMirror(mirror(), observed({ mirrorRecord: undefined, ledger: { tables: [] } })),
      stream: undefined,
    }),
    state: 'FAILED',
    conditions: [
      'Ready=False SlotUnknown',
      'Replicating=False SlotUnknown',
      'Stalled=True SlotUnknown',
      ...ACCEPTED,
    ],
  },
  {
    name: 'a slot that the next pass makes anew',
    view: view({
      mirror: mirror(TABLES, { ...SPEC, onSlotLoss: 'Resync' }),
      plan: undefined,
      stream: undefined,
      failure: new MirrorError('SlotLost', 'slot bunny_shop is gone'),
    }),
    state: 'FAILED',
    conditions: ['Ready=False SlotLost', 'Replicating=False SlotLost', ...ACCEPTED_UNSEEN],
  },
  {
    name: 'an index that somebody dropped',
    view: view({
      plan: planMirror(
        mirror(),
        observed({
          tables: {
            'public.users': { sourceShape: shape('public.users', { indexes: [NOTE_INDEX] }) },
          },
        }),
      ),
    }),
    state: 'RUNNING',
    conditions: [
      'Ready=False Progressing',
      STREAMING,
      'Reconciling=True Progressing',
      'SpecAccepted=True Valid',
      UNVERIFIED,
      'Drifted=True DriftDetected',
    ],
  },
];
