/** excludeColumns that cannot be: what is refused before anything is emptied, and what a copy drops with the values. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TableShape } from '../../src/core/observed.ts';
import type { TableRecord } from '../../src/core/table-state.ts';
import { planMirror } from '../../src/plan/plan-mirror.ts';
import {
  column,
  foreignKey,
  mirror,
  NOTE_INDEX,
  observed,
  PRIMARY_KEY,
  record,
  shape,
  table,
  UNIQUE_NOTE,
} from './fixtures.ts';

const TEXT_NOTE = column('note', { type: 'text' });
const ANEW = mirror([table('public.users', { excludeColumns: ['note'] })]);

/** What is refused, and what is told, of a file that leaves out `note` anew. */
function judged(
  source: Partial<TableShape>,
  actual: Partial<TableShape>,
  more: Partial<TableRecord> = { excludeColumns: [] },
): { refused: string[]; told: string[] } {
  const world = observed({
    tables: {
      'public.users': {
        sourceShape: shape('public.users', source),
        destinationShape: shape('public.users', actual),
        record: record('public.users', undefined, more),
      },
    },
  });
  const plan = planMirror(ANEW, world);
  return {
    refused: plan.refusals.map(({ error }) => `${error.code}: ${error.message}`),
    told: plan.notices
      .filter(({ reason }) => reason === 'ShapeDiffers')
      .map(({ message }) => message),
  };
}

test('what needs the column goes where the source has it too, and is refused where only the destination has', () => {
  const check = { ...UNIQUE_NOTE, name: 'known', kind: 'check', definition: 'CHECK (x)' } as const;
  const parts = {
    columns: [column('id', { notNull: true }), { ...TEXT_NOTE, defaultExpression: "'none'" }],
    constraints: [PRIMARY_KEY, UNIQUE_NOTE, check],
    indexes: [{ ...NOTE_INDEX, name: 'only', unique: true }, NOTE_INDEX],
    foreignKeys: [foreignKey('public.users')],
  };
  assert.deepEqual(judged(parts, parts), {
    refused: [],
    told: [
      'constraint note_fkey',
      'constraint users_note_key',
      'constraint known',
      'index only',
    ].map((part) => `public.users: a resync drops ${part}, which needs note, and that is left out`),
  });
  const refused = ['note_fkey', 'users_note_key', 'known'].map((name) => `constraint ${name}`);
  assert.deepEqual(judged({}, parts), {
    refused: [...refused, 'index only'].map(
      (part) =>
        `InvalidSpec: column note of public.users cannot be left out: ${part}, which only the destination has, needs it`,
    ),
    told: [],
  });
  // The last copy went without it, and it did no harm.
  assert.deepEqual(judged({}, parts, { excludeColumns: ['note'] }).refused, []);
  // Nor do they where the column is NULL, but for a check, of which nobody knows.
  const columns = [column('id', { notNull: true }), TEXT_NOTE];
  assert.equal(judged({}, { ...parts, columns }).refused.length, 1);
  const strictly = { ...UNIQUE_NOTE, definition: 'UNIQUE NULLS NOT DISTINCT (note)' };
  const lower = { ...NOTE_INDEX, unique: true, definition: 'USING btree (lower(note))' };
  assert.equal(
    judged({}, { columns, constraints: [strictly], indexes: [lower] }).refused.length,
    2,
  );
});

test('a first copy drops nothing that it was not told to replace', () => {
  const defaulted = {
    columns: [column('id', { notNull: true }), { ...TEXT_NOTE, defaultExpression: "'x'" }],
    constraints: [PRIMARY_KEY, UNIQUE_NOTE],
  };
  const world = observed({
    tables: {
      'public.users': {
        sourceShape: shape('public.users', defaulted),
        destinationShape: shape('public.users', defaulted),
        hasRows: false,
        record: undefined,
      },
    },
  });
  const [refusal] = planMirror(ANEW, world).refusals;
  assert.match(refusal?.error.message ?? '', /constraint users_note_key needs it/);
  assert.match(refusal?.error.hint ?? '', /or bump its resyncGeneration/);
});

test('a column of a domain that takes no NULL is refused before anything is emptied', () => {
  const columns = [column('id', { notNull: true }), { ...TEXT_NOTE, strictDomain: true } as const];
  assert.match(
    judged({}, { columns }).refused.join(),
    /its type text is a domain that is NOT NULL/,
  );
  assert.deepEqual(judged({}, { columns }, { excludeColumns: ['note'] }).refused, []);
});

test('an excluded column that is gone while another one came: asked about, whatever the counter says', () => {
  const id = column('id', { notNull: true });
  const refusals = (excludeColumns: string[], columns: string[]): string[] => {
    const file = table('public.users', { excludeColumns, generation: { table: 1, mirror: 0 } });
    const world = observed({
      tables: {
        'public.users': {
          sourceShape: shape('public.users', {
            columns: [id, ...columns.map((name) => column(name))],
          }),
          destinationShape: shape('public.users', { columns: [id, column('secret')] }),
          record: record('public.users', undefined, { excludeColumns: ['secret'] }),
        },
      },
    });
    return planMirror(mirror([file]), world).refusals.map(({ error }) => error.message);
  };
  const [refused] = refusals(['secret'], ['pw']);
  assert.match(refused ?? '', /names secret, which the source has no more, while .* lacks its pw/);
  assert.deepEqual(refusals(['secret', 'pw'], ['pw']), []);
  assert.deepEqual(refusals(['pw'], ['pw']), []);
  assert.deepEqual(refusals([], ['pw']), []);
  assert.deepEqual(refusals(['secret'], []), []);
});

test('a key of a column that comes back waits for the copy that brings its values', () => {
  const steps = (more: Partial<TableRecord>): string[] => {
    const world = observed({
      tables: {
        'public.users': {
          sourceShape: shape('public.users', {
            constraints: [PRIMARY_KEY, UNIQUE_NOTE],
            foreignKeys: [foreignKey('public.users')],
          }),
          record: record('public.users', undefined, more),
        },
      },
    });
    return planMirror(mirror(), world).steps.map(({ kind }) => kind);
  };
  assert.deepEqual(steps({ excludeColumns: [] }), ['create-constraint', 'add-foreign-key']);
  assert.deepEqual(steps({ excludeColumns: ['note'] }), ['copy-table']);
  assert.deepEqual(steps({ excludeColumns: [], staleColumns: ['note'] }), ['copy-table']);
});
