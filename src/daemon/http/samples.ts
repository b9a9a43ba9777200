/** What /metrics tells of this moment: from plain data to the values of every gauge. Pure. */
import type { TablePhase } from '../../core/table-state.ts';
import type { Condition } from '../../status/conditions.ts';
import type { TableStatus } from '../../status/table-status.ts';
import type { DaemonView, LoopView } from './daemon-view.ts';

interface Gauge {
  readonly help: string;
  readonly labels: readonly string[];
}

/** By name, without the prefix. */
export const GAUGES = {
  directory_last_good_look_timestamp_seconds: {
    help: 'When the directory of the mirror files was last read, in seconds since 1970.',
    labels: [],
  },
  files: {
    help: 'Files in the directory of the mirror files, by whether they have errors.',
    labels: ['state'],
  },
  owner: {
    help: '1 while this daemon runs the mirror, 0 while it stands by or has no connection.',
    labels: ['mirror'],
  },
  suspended: { help: '1 while the mirror file says suspend: true.', labels: ['mirror'] },
  condition: {
    help: '1 for the status that a condition has, 0 for the others; as in the status file.',
    labels: ['mirror', 'type', 'status'],
  },
  replication_lag_bytes: {
    help: 'WAL between what the source has sent and what is applied. Not there while nothing streams.',
    labels: ['mirror'],
  },
  replication_lag_seconds: {
    help: 'Age of the oldest commit that is not applied. Not there while nothing streams.',
    labels: ['mirror'],
  },
  slot_retained_wal_bytes: {
    help: 'WAL that the slot keeps on the source, as of the last pass.',
    labels: ['mirror'],
  },
  slot_wal_status: {
    help: '1 for the wal_status that the slot has (pg_replication_slots), as of the last pass; one that is gone is lost.',
    labels: ['mirror', 'status'],
  },
  resync_generation: {
    help: "Resync counters: what the file asks for and what was done. Without a table: the mirror's own.",
    labels: ['mirror', 'table', 'which'],
  },
  table_phase: {
    help: '1 for the phase that a table is in, 0 for the others.',
    labels: ['mirror', 'table', 'phase'],
  },
  spool_bytes: {
    help: 'What the changes that are kept for a table take at the destination, as of the last pass.',
    labels: ['mirror', 'table'],
  },
} as const satisfies Record<string, Gauge>;

export type GaugeName = keyof typeof GAUGES;

export interface Sample {
  readonly name: GaugeName;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const CONDITION_STATUSES: readonly Condition['status'][] = ['True', 'False', 'Unknown'];
const PHASES: readonly TablePhase[] = ['Pending', 'Copying', 'CatchingUp', 'Live', 'Failed'];
const WAL_STATUSES = ['reserved', 'extended', 'unreserved', 'lost'];

/** A series for each thing that is there now, and for nothing else: what was removed is gone. */
export function samplesOf({ directory, mirrors }: DaemonView): Sample[] {
  const ofDirectory: Sample[] =
    directory === undefined
      ? []
      : [
          sample(
            'directory_last_good_look_timestamp_seconds',
            directory.lastGoodLook.getTime() / 1000,
          ),
          sample('files', directory.validFiles, { state: 'valid' }),
          sample('files', directory.invalidFiles, { state: 'invalid' }),
        ];
  return [...ofDirectory, ...mirrors.flatMap(ofMirror)];
}

function ofMirror(view: LoopView): Sample[] {
  const mirror = view.name;
  const base = [
    sample('owner', Number(view.isOwner), { mirror }),
    sample('suspended', Number(view.isSuspended), { mirror }),
  ];
  if (view.status === undefined) return base;
  const { conditions, lag, source, resyncGeneration, tables } = view.status.status;
  // A slot that is gone has no wal_status, and an alert for its loss must not miss the worst one.
  const isGone = source === undefined && conditions.some(({ reason }) => reason === 'SlotLost');
  const walStatus = isGone ? 'lost' : source?.walStatus;
  return [
    ...base,
    ...conditions.flatMap(({ type, status }) =>
      oneOf('condition', { label: 'status', is: status, of: CONDITION_STATUSES }, { mirror, type }),
    ),
    ...known('replication_lag_bytes', lag?.bytes, { mirror }),
    ...known('replication_lag_seconds', lag?.seconds, { mirror }),
    ...known('slot_retained_wal_bytes', source?.retainedBytes, { mirror }),
    ...(walStatus === undefined
      ? []
      : oneOf('slot_wal_status', { label: 'status', is: walStatus, of: WAL_STATUSES }, { mirror })),
    ...generations(resyncGeneration, { mirror }),
    ...tables.flatMap((table) => ofTable(view, table)),
  ];
}

function ofTable({ name, spoolBytes }: LoopView, table: TableStatus): Sample[] {
  const labels = { mirror: name, table: table.source };
  return [
    ...oneOf('table_phase', { label: 'phase', is: table.phase, of: PHASES }, labels),
    ...generations(table.resyncGeneration, labels),
    // It may have ended since the last pass.
    sample('spool_bytes', table.phase === 'Live' ? 0 : (spoolBytes.get(table.source) ?? 0), labels),
  ];
}

function generations(
  counter: { readonly desired: number; readonly observed?: number } | undefined,
  labels: Sample['labels'],
): Sample[] {
  return [
    ...known('resync_generation', counter?.desired, { ...labels, which: 'desired' }),
    ...known('resync_generation', counter?.observed, { ...labels, which: 'observed' }),
  ];
}

/** A series for each value that it could have, 1 for the one that it has. */
function oneOf(
  name: GaugeName,
  {
    label,
    is,
    of,
  }: { readonly label: string; readonly is: string; readonly of: readonly string[] },
  labels: Sample['labels'],
): Sample[] {
  return of.map((value) => sample(name, Number(value === is), { ...labels, [label]: value }));
}

function known(name: GaugeName, value: number | undefined, labels: Sample['labels']): Sample[] {
  return value === undefined ? [] : [sample(name, value, labels)];
}

function sample(name: GaugeName, value: number, labels: Sample['labels'] = {}): Sample {
  return { name, labels, value };
}
