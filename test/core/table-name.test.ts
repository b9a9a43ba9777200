import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatTableName,
  MAX_IDENTIFIER_BYTES,
  parseTableName,
  sameTable,
} from '../../src/core/table-name.ts';

interface Written {
  readonly text: string;
  readonly schema: string;
  readonly name: string;
  /** How we write it, where that is not how it was written. */
  readonly formatted?: string;
}

const READ: readonly Written[] = [
  { text: 'public.users', schema: 'public', name: 'users' },
  { text: 'Public.Users', schema: 'Public', name: 'Users' },
  { text: '"public"."users"', schema: 'public', name: 'users', formatted: 'public.users' },
  { text: 'public."a.b"', schema: 'public', name: 'a.b' },
  { text: '"a.b"."c.d"', schema: 'a.b', name: 'c.d' },
  { text: 'public."say ""hi"""', schema: 'public', name: 'say "hi"' },
  { text: '""""."""."', schema: '"', name: '".' },
  { text: 'public.with space', schema: 'public', name: 'with space' },
  {
    text: 'public."with space"',
    schema: 'public',
    name: 'with space',
    formatted: 'public.with space',
  },
  { text: "public.o'brien", schema: 'public', name: "o'brien" },
  { text: 'schéma.таблица', schema: 'schéma', name: 'таблица' },
  { text: 'public.🐇', schema: 'public', name: '🐇' },
  { text: 'public.$1', schema: 'public', name: '$1' },
];

for (const { text, schema, name, formatted = text } of READ)
  test(`${text} is read and written`, () => {
    const parsed = parseTableName(text);
    assert.deepEqual(parsed, { schema, name });
    assert.equal(formatTableName({ schema, name }), formatted);
    assert.deepEqual(parseTableName(formatted), { schema, name });
  });

const REFUSED = [
  '',
  '.',
  'users',
  'public.',
  '.users',
  'a.b.c',
  'public."users',
  'public.users"',
  'public.us"ers',
  '"".users',
  'public.""',
  'public."a"b"',
  '"public".users.',
];

for (const text of REFUSED)
  test(`${JSON.stringify(text)} is no table name`, () => {
    assert.equal(parseTableName(text), undefined);
  });

test('a part has room for 63 bytes, not characters', () => {
  const ascii = 'x'.repeat(MAX_IDENTIFIER_BYTES);
  const twoBytes = `${'é'.repeat(31)}x`;
  for (const part of [ascii, twoBytes]) {
    assert.deepEqual(parseTableName(`s.${part}`), { schema: 's', name: part });
    assert.deepEqual(parseTableName(`${part}.t`), { schema: part, name: 't' });
    assert.equal(parseTableName(`s.${part}x`), undefined);
    assert.equal(parseTableName(`${part}x.t`), undefined);
  }
  // Quotes that only escape do not count.
  assert.deepEqual(parseTableName(`s."${'""'.repeat(63)}"`), { schema: 's', name: '"'.repeat(63) });
});

test('every pair of parts comes back from its written form, and no two share one', () => {
  const parts = ['a', 'A', '.', '"', '""', '."', '".', 'a.b', 'a"b', ' ', '\\', "'", 'ä', '\n'];
  const written = new Set<string>();
  for (const schema of parts) {
    for (const name of parts) {
      const text = formatTableName({ schema, name });
      assert.deepEqual(parseTableName(text), { schema, name });
      written.add(text);
    }
  }
  assert.equal(written.size, parts.length ** 2);
});

test('names are the same when both parts are, case counting', () => {
  const users = { schema: 'public', name: 'users' };
  assert.ok(sameTable(users, { ...users }));
  assert.ok(!sameTable(users, { ...users, name: 'Users' }));
  assert.ok(!sameTable(users, { ...users, schema: 'app' }));
});
