import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import type { ValidateOptions } from '../../src/cli/validate.ts';
import { DESTINATION_PEER, mirrorText, SOURCE_PEER } from './files.ts';
import { makeDirectory, programWith, runValidate, writeFiles } from './validate-stage.ts';

const TABLES = '  tables:\n    - source: public.users\n';

async function run(
  t: TestContext,
  text: string,
  output: ValidateOptions['output'],
): Promise<{ code: number; text: string }> {
  const dir = makeDirectory(t);
  writeFiles(dir, { 'from.yaml': SOURCE_PEER, 'to.yaml': DESTINATION_PEER, 'a,b.yaml': text });
  const outcome = await runValidate(dir, [], { output });
  assert.equal(outcome.errors, '');
  return { code: outcome.code, text: outcome.text };
}

const BAD = mirrorText(
  `  suspend: maybe\n  resyncGeneration: 010\n${TABLES}      colour: "100%"\n`,
);

test('text: every error with its place, and the totals', async (t) => {
  assert.deepEqual(await run(t, BAD, 'text'), {
    code: 3,
    text: `D/a,b.yaml:8:12: error: spec.suspend must be true or false, not text
D/a,b.yaml:9:21: warning: 010 is read as 10; other YAML programs read an octal number (write 10)
D/a,b.yaml:12:7: error: spec.tables[0].colour is not a known field (known fields here: source, destination, excludeColumns, resyncGeneration, resyncStrategy)
invalid: 2 errors, 1 warning (3 files, 0 valid mirrors)
`,
  });
});

test('text: valid files', async (t) => {
  assert.deepEqual(await run(t, mirrorText(TABLES), 'text'), {
    code: 0,
    text: 'valid: 3 files, 1 valid mirror, 0 warnings\n',
  });
});

test('a warning alone is valid', async (t) => {
  const { code } = await run(t, mirrorText(`  resyncGeneration: 010\n${TABLES}`), 'text');
  assert.equal(code, 0);
});

test('a warning alone fails when warnings are taken seriously', async (t) => {
  const dir = makeDirectory(t);
  writeFiles(dir, {
    'from.yaml': SOURCE_PEER,
    'to.yaml': DESTINATION_PEER,
    'a.yaml': mirrorText(`  resyncGeneration: 010\n${TABLES}`),
  });
  const { code, text } = await runValidate(dir, [], { strict: true });
  assert.equal(code, 3);
  assert.match(text, /^invalid: 0 errors, 1 warning \(3 files, 1 valid mirror\)$/m);
});

test('json', async (t) => {
  const { code, text } = await run(t, BAD, 'json');
  const report = JSON.parse(text) as { diagnostics: object[] };
  assert.equal(code, 3);
  assert.equal(report.diagnostics.length, 3);
  assert.deepEqual(
    { ...report, diagnostics: report.diagnostics[0] },
    {
      format_version: '1.0',
      valid: false,
      error_count: 2,
      warning_count: 1,
      note_count: 0,
      diagnostics: {
        severity: 'error',
        code: 'WrongType',
        message: 'spec.suspend must be true or false, not text',
        file: 'D/a,b.yaml',
        line: 8,
        column: 12,
        endLine: 8,
        endColumn: 17,
        mirror: 'shop',
      },
    },
  );
});

test('github: escaped, with the totals', async (t) => {
  const row = '{source: "public.100%\\n"}';
  assert.deepEqual(await run(t, mirrorText(`  tables: [${row}, ${row}]\n`), 'github'), {
    code: 3,
    text: `::error file=D/a%2Cb.yaml,line=8,col=48,endLine=8,endColumn=63,title=DuplicateTable::public.100%25\\u{a} is the source of spec.tables[0] already (a table can be in a mirror once; use a second mirror)
invalid: 1 error, 0 warnings (3 files, 0 valid mirrors)
`,
  });
});

test('a path that is not there is an error, in the same form', async (t) => {
  const dir = makeDirectory(t);
  const { code, text } = await runValidate(dir, ['nowhere.d']);
  assert.equal(code, 3);
  assert.match(text, /^D\/nowhere\.d:1:1: error: cannot read it: it does not exist\n/);
});

test('the command line: github by itself under its Actions, and what it does not take', async (t) => {
  const dir = makeDirectory(t);
  writeFiles(dir, { 'a.yaml': BAD });
  const codes: number[] = [];
  const printed: string[] = [];
  const run = async (...args: string[]): Promise<unknown> => {
    const program = programWith(
      (code) => codes.push(code),
      (text) => printed.push(text),
    ).configureOutput({ writeErr: () => undefined });
    for (const command of program.commands) command.configureOutput({ writeErr: () => undefined });
    return program.parseAsync(['validate', ...args], { from: 'user' });
  };
  await run('--dir', dir);
  await run(dir, '-o', 'text', '--strict');
  assert.deepEqual(codes, [3, 3]);
  assert.match(printed[0] ?? '', /^::error file=/);
  assert.match(printed[1] ?? '', /^\S+a.yaml:8:12: error: /);
  for (const wrong of [
    ['--base', '--help'],
    ['--base='],
    ['-o', 'xml'],
    ['--bass', 'main'],
    ['-'],
    [''],
  ])
    await assert.rejects(run(...wrong), /CommanderError|option/);
  assert.equal(printed.length, 2);
});
