/** What a log line may say of an error: its words, and nothing of the rows it is about. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatabaseError } from 'pg';
import { classify, MirrorError } from '../../src/core/errors.ts';
import { loggedError } from '../../src/core/log.ts';

const CANARY = 'canary-7391';

function databaseError(code: string, message: string): DatabaseError {
  return Object.assign(new DatabaseError(message, 100, 'error'), {
    code,
    severity: 'ERROR',
    detail: `Failing row contains (1, ${CANARY}).`,
    where: `COPY a, line 1, column note: "${CANARY}"`,
    internalQuery: `select '${CANARY}'`,
    hint: CANARY,
    schema: 'public',
    table: 'a',
    constraint: 'a_pkey',
    client: { password: CANARY },
  });
}

test('a driver’s error is its code, message and stack; the row in its other fields is not there', () => {
  const error = databaseError('23505', 'duplicate key value violates unique constraint "a_pkey"');
  const logged = loggedError(error);
  assert.equal(JSON.stringify(logged).includes(CANARY), false);
  assert.deepEqual(
    { ...logged, stack: undefined },
    {
      type: 'error',
      code: '23505',
      message: 'duplicate key value violates unique constraint "a_pkey"',
      stack: undefined,
    },
  );
  assert.match(logged.stack ?? '', /^ +at .*log\.test\.ts/);
});

test('so is what caused an error, however deep', () => {
  const cause = databaseError('23514', 'new row for relation "a" violates check constraint "c"');
  const outer = new Error('outer', { cause: new MirrorError('Unexpected', 'middle', { cause }) });
  const logged = loggedError(outer);
  assert.equal(logged.cause?.code, 'Unexpected');
  assert.equal(logged.cause?.cause?.code, '23514');
  assert.equal(JSON.stringify(logged).includes(CANARY), false);
});

test('words that quote the refused value lose it, in the message, the stack and each cause', () => {
  for (const code of ['22P02', '22003', '22007', '42601']) {
    const raw = databaseError(code, `invalid input syntax for type integer: "${CANARY}\nnext"`);
    for (const error of [raw, classify(raw, 'a batch'), new Error('outer', { cause: raw })])
      assert.equal(JSON.stringify(loggedError(error)).includes(CANARY), false, code);
  }
});

test('addresses that were tried are told, one by one', () => {
  const tried = ['::1', '127.0.0.1'].map((address) =>
    Object.assign(new Error(`connect ECONNREFUSED ${address}:5432`), { code: 'ECONNREFUSED' }),
  );
  const error = Object.assign(new AggregateError(tried), { code: 'ECONNREFUSED' });
  assert.deepEqual(
    loggedError(error).errors?.map(({ message }) => message),
    ['connect ECONNREFUSED ::1:5432', 'connect ECONNREFUSED 127.0.0.1:5432'],
  );
});

test('a ring of causes ends, and what is no error is a text', () => {
  const ring = new Error('ring');
  ring.cause = ring;
  assert.ok(JSON.stringify(loggedError(ring)).length < 10_000);
  assert.deepEqual(loggedError('plain'), { type: 'string', message: 'plain' });
});
