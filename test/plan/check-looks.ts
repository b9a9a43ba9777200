/** Looks for `check`, and that it says of a world what the plan does. */
import assert from 'node:assert/strict';
import type { Mirror } from '../../src/core/mirror.ts';
import type { Observed } from '../../src/core/observed.ts';
import { formatTableName } from '../../src/core/table-name.ts';
import type {
  CheckLook,
  DestinationRights,
  SourceFacts,
  SourceRoom,
} from '../../src/plan/check/check-look.ts';
import { CHECKS } from '../../src/plan/check/check-name.ts';
import { checkMirror } from '../../src/plan/check/checks.ts';
import type { Check } from '../../src/plan/check/finding.ts';
import type { Refusal } from '../../src/plan/plan.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';

const ROOM: SourceRoom = {
  slots: { used: 1, max: 10 },
  walSenders: { used: 1, max: 10 },
  maxSlotWalKeepSize: '-1',
  inRecovery: false,
};

const RIGHTS: DestinationRights = {
  inRecovery: false,
  replicaRole: true,
  ledger: 'writable',
  schemas: new Map([['public', true]]),
};

export interface Around {
  readonly room?: Partial<SourceRoom>;
  readonly rights?: Partial<DestinationRights>;
}

/** Both sides there, with everything that the planner does not ask for but what `around` names. */
export function lookAt(observed: Observed, around: Around = {}): CheckLook {
  const facts: SourceFacts = {
    server: observed.source,
    publication: observed.publication,
    slot: observed.slot,
    shapes: observed.tables.map((table) => table.sourceShape),
    room: { ...ROOM, ...around.room },
  };
  return {
    source: { is: 'there', facts },
    destination: {
      is: 'there',
      facts: {
        server: observed.destination,
        ledger: observed.ledger,
        shapes: observed.tables.map((table) => table.destinationShape),
        rights: { ...RIGHTS, ...around.rights },
      },
    },
    observed,
  };
}

export function failures(checks: readonly Check[]): Check[] {
  return checks.filter(({ result }) => result === 'fail');
}

/** What the plan refuses fails, under some name and with its own words, and nothing else does; one side alone invents nothing. */
export function assertCheckAgrees(mirror: Mirror, observed: Observed): void {
  const { refusals } = planMirror({ ...mirror, suspend: false }, observed);
  const look = lookAt(observed);
  const checks = checkMirror(mirror, look);
  const wanted = refusals.map(wordsOfRefusal).toSorted();
  assert.deepEqual(failures(checks).map(wordsOf).toSorted(), wanted);
  assert.deepEqual(
    [...new Set(checks.map(({ name }) => name))],
    Object.keys(CHECKS),
    'each check is told, in their order',
  );
  for (const side of ['source', 'destination'] as const) {
    const error = new Error('not looked at');
    const alone = checkMirror(mirror, {
      ...look,
      [side]: { is: 'unreachable', error },
      observed: undefined,
    });
    const invented = failures(alone)
      .filter(({ name }) => name !== `${side}-connection`)
      .map(wordsOf)
      .filter((words) => !wanted.includes(words));
    assert.deepEqual(invented, []);
  }
}

function wordsOf({ table, code, message, fix }: Check): string {
  return [table && formatTableName(table.source), code, message, fix].join(' | ');
}

function wordsOfRefusal({ table, error: { code, message, hint } }: Refusal): string {
  return [table && formatTableName(table.source), code, message, hint].join(' | ');
}
