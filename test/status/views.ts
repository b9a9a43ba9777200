/** A mirror's view, as the daemon has it: two tables, all well; each test names what is otherwise. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { MirrorError } from '../../src/core/errors.ts';
import type { Lsn } from '../../src/core/lsn.ts';
import type { TableRecord } from '../../src/core/table-state.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import { renderStatus } from '../../src/status/status-file.ts';
import type { Status } from '../../src/status/status.ts';
import type { MirrorView, RunView, StreamView } from '../../src/status/view.ts';
import { FAILURE, mirror, observed, record, run, SLOT, table } from '../plan/fixtures.ts';

const schemaUrl = new URL('../../schemas/status.schema.json', import.meta.url);
const SCHEMA = JSON.parse(readFileSync(schemaUrl, 'utf8')) as Schema;
export const validate = new Ajv2020({ strict: true, allErrors: true }).compile(SCHEMA);

interface Schema {
  readonly properties: {
    readonly status: {
      readonly properties: {
        readonly conditions: {
          readonly items: { readonly properties: { readonly type: { readonly enum: string[] } } };
        };
      };
    };
  };
}

const { conditions } = SCHEMA.properties.status.properties;
export const typesInSchema = conditions.items.properties.type.enum;

/** The file has all of the status, and the schema takes it. */
export function assertValid(status: Status): void {
  const written: unknown = parse(renderStatus(status));
  assert.deepEqual(written, JSON.parse(JSON.stringify(status)), 'the file says all of it');
  assert.ok(validate(written), JSON.stringify(validate.errors, undefined, 2));
}

export const NOW = new Date('2026-11-22T20:01:02.345Z');
export const LATER = new Date('2026-11-22T20:05:00.000Z');
export const STREAM: StreamView = {
  appliedLsn: 0x1_0000_0020n as Lsn,
  lagBytes: 128,
  lagSeconds: 0.12345,
};
export const EMPTY_PLAN = planMirror(mirror(), observed());
export const DOWN = new MirrorError('ConnectionFailed', 'db:5432/shop: no answer');
export const SPEC = { specHash: `sha256:${'0'.repeat(64)}` };

export const TABLES = [
  table('public.users'),
  table('public."a.b"', { generation: { table: 3, mirror: 0 } }),
];
export const LIVE: readonly TableRecord[] = [
  record('public.users'),
  record('public."a.b"', { phase: 'Live' }, { observed: { table: 3, mirror: 0 } }),
];

/** Two tables, Live, streaming, nothing to do; a case names what is otherwise. */
export function view(more: Partial<MirrorView> = {}): MirrorView {
  return {
    mirror: mirror(TABLES, SPEC),
    passedSpecHash: SPEC.specHash,
    plan: EMPTY_PLAN,
    slot: SLOT,
    records: LIVE,
    runs: new Map(),
    failures: new Map(),
    stream: STREAM,
    failure: undefined,
    problems: [],
    presence: { kind: 'present' },
    leaving: [],
    ...more,
  };
}

export function copying(more: Partial<RunView> = {}): ReadonlyMap<string, RunView> {
  const running: RunView = {
    strategy: 'truncate',
    step: 'Copying',
    startedAt: NOW.toISOString(),
    rowsCopied: 120,
    rowsTotal: 500,
    bytesCopied: 4096,
    ...more,
  };
  return new Map([['public.users', running]]);
}

export const COPYING = { phase: 'Copying', run: run() } as const;
export const NEVER_COPIED = { observed: undefined };
export const FIRST_COPY = [
  record('public.users', COPYING, NEVER_COPIED),
  record('public."a.b"', { phase: 'Pending' }, NEVER_COPIED),
];
export const RESYNC = [record('public.users', COPYING), ...LIVE.slice(1)];
export const FAILED_TABLE = [
  record('public.users', {
    phase: 'Failed',
    failure: FAILURE,
    resume: 'replay',
    run: undefined,
    snapshot: undefined,
  }),
  ...LIVE.slice(1),
];

/** `type=status reason`, in order. */
export function sketch({ status: { conditions } }: Status): string[] {
  return conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`);
}
