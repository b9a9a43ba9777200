import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  classify,
  driverCode,
  ERROR_RULES,
  type ErrorCode,
  MirrorError,
} from '../../src/core/errors.ts';

const RULES = Object.entries(ERROR_RULES).map(([code, rule]) => ({
  code: code as ErrorCode,
  when: ('when' in rule ? rule.when : []) as readonly string[],
  ...rule,
}));

/** As a driver throws it. */
function driverError(code: string, message = 'it broke', more: object = {}): Error {
  return Object.assign(new Error(message), { code, ...more });
}

test('each driver code belongs to one rule', () => {
  const all = RULES.flatMap(({ when }) => when);
  assert.ok(all.length > 30);
  assert.deepEqual(
    all.filter((code, index) => all.indexOf(code) !== index),
    [],
  );
});

for (const { code, when } of RULES) {
  for (const thrown of when)
    test(`${thrown} is ${code}`, () => {
      const cause = driverError(thrown);
      const error = classify(cause, 'copying');
      assert.equal(error.code, code);
      assert.equal(error.retry, ERROR_RULES[code].retry);
      assert.equal(error.hint, ERROR_RULES[code].hint);
      assert.equal(error.message, 'copying: it broke');
      assert.equal(error.cause, cause);
    });
}

test('every rule has a sentence that says what to do', () => {
  for (const { code, hint } of RULES) assert.match(hint, /^[A-Z].{15,}[.]$/, code);
});

const UNKNOWN: readonly {
  readonly name: string;
  readonly thrown: unknown;
  readonly message: string;
}[] = [
  { name: 'an unknown SQLSTATE', thrown: driverError('XX000', 'internal'), message: 'internal' },
  { name: 'an error without a code', thrown: new Error('oops'), message: 'oops' },
  {
    name: 'a code that is no text',
    thrown: Object.assign(new Error('n'), { code: 23505 }),
    message: 'n',
  },
  { name: 'a string', thrown: 'just text', message: 'just text' },
  { name: 'undefined', thrown: undefined, message: 'undefined' },
  {
    name: 'an object that only looks like an error',
    thrown: { code: '23505' },
    message: '[object Object]',
  },
];

for (const { name, thrown, message } of UNKNOWN)
  test(`${name} is Unexpected, and tried again`, () => {
    const error = classify(thrown);
    assert.equal(error.code, 'Unexpected');
    assert.equal(error.retry, 'backoff');
    assert.equal(error.message, message);
  });

test('our own error stays what it is', () => {
  const own = new MirrorError('SpoolFull', 'too much', { hint: 'bump it' });
  assert.equal(classify(own, 'doing something'), own);
  assert.equal(own.retry, 'when-spec-changes');
  assert.equal(own.hint, 'bump it');
});

test('an error of many connects has no message of its own: its code says what it was', () => {
  const refused = new AggregateError([driverError('ECONNREFUSED'), driverError('ECONNREFUSED')]);
  const error = classify(Object.assign(refused, { code: 'ECONNREFUSED' }), 'db:5432/shop');
  assert.equal(error.code, 'ConnectionFailed');
  assert.equal(error.message, 'db:5432/shop: ECONNREFUSED');
});

test('a message is one line', () => {
  assert.equal(classify(new Error('a\n  b\r\n\tc')).message, 'a b c');
});

const ROW = 'jane@example.org';

/** Messages as PostgreSQL 18 prints them. */
const LEAKY = [
  {
    sqlstate: '23505',
    message: 'duplicate key value violates unique constraint "users_email_key"',
    keeps: 'users_email_key',
  },
  {
    sqlstate: '23514',
    message: 'new row for relation "users" violates check constraint "ok"',
    keeps: 'users',
  },
  {
    sqlstate: '22P02',
    message: `invalid input syntax for type integer: "${ROW}"`,
    keeps: 'type integer',
  },
  { sqlstate: '22P02', message: `invalid input value for enum mood: "${ROW}"`, keeps: 'enum mood' },
  {
    sqlstate: '22P02',
    message: `invalid input syntax for type integer: "a "quoted" ${ROW}"`,
    keeps: 'type integer',
  },
  {
    sqlstate: '22003',
    message: `value "${ROW}" is out of range for type integer`,
    keeps: 'out of range for type integer',
  },
  {
    sqlstate: '22007',
    message: `invalid input syntax for type date: "${ROW}"`,
    keeps: 'type date',
  },
  {
    sqlstate: '22008',
    message: `date/time field value out of range: "${ROW}"`,
    keeps: 'out of range',
  },
  {
    sqlstate: '22001',
    message: 'value too long for type character varying(3)',
    keeps: 'character varying(3)',
  },
  {
    sqlstate: '22021',
    message: 'invalid byte sequence for encoding "UTF8": 0xe9',
    keeps: '"UTF8"',
  },
] as const;

for (const { sqlstate, message, keeps } of LEAKY)
  test(`what is reported of ${sqlstate} "${keeps}" holds no row`, () => {
    const error = classify(
      driverError(sqlstate, message, {
        detail: `Failing row contains (1, ${ROW}).`,
        where: `COPY users, line 1, column email: "${ROW}"`,
        internalQuery: `select '${ROW}'`,
      }),
      'public.users',
    );
    const reported = { code: error.code, message: error.message, hint: error.hint };
    assert.ok(!JSON.stringify(reported).includes(ROW), JSON.stringify(reported));
    assert.ok(!JSON.stringify(error).includes(ROW));
    // What a log prints: messages and stacks, down to the first cause.
    for (let each: unknown = error; each instanceof Error; each = each.cause)
      assert.ok(!`${each.message} ${each.stack}`.includes(ROW), each.stack);
    assert.equal(driverCode(error.cause), sqlstate);
    assert.ok(error.message.includes(keeps), error.message);
  });

test('driverCode is the code of an error, and only a text', () => {
  assert.equal(driverCode(driverError('40P01')), '40P01');
  assert.equal(driverCode(new Error('none')), undefined);
  assert.equal(driverCode(Object.assign(new Error('n'), { code: 7 })), undefined);
  assert.equal(driverCode({ code: '40P01' }), undefined);
});
