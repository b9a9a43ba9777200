/** Against slips that make the time grow with the square: a limit that a slow machine keeps, in time of the CPU. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { describeDiagnostic } from '../../src/spec/diagnostic.ts';
import { readSnapshot } from '../../src/spec/snapshot.ts';
import { DESTINATION_PEER, SOURCE_PEER } from './files.ts';
import { commitAll, git, makeDirectory, runValidate, writeFiles } from './validate-stage.ts';

const FILES = 500;
const MAX_CPU_SECONDS = 2;

interface Mirror {
  readonly name: string;
  readonly source?: string;
  readonly destination?: string;
  readonly schema: string;
  readonly count?: number;
}

function mirror({ name, source = 'from', destination = 'to', schema, count = 10 }: Mirror): string {
  const tables = Array.from(
    { length: count },
    (_, index) => `    - source: ${schema}.table_${index}\n      resyncGeneration: 1\n`,
  );
  return `apiVersion: bunnydb/v1
kind: Mirror
metadata: {name: ${name}}
spec:
  source: ${source}
  destination: ${destination}
  tables:
${tables.join('')}`;
}

type Files = Record<string, string>;

function many(of: (index: number) => Mirror): Files {
  const numbers = Array.from({ length: FILES }, (_, index) => index);
  return {
    'from.yaml': SOURCE_PEER,
    'to.yaml': DESTINATION_PEER,
    ...Object.fromEntries(numbers.map((index) => [`m${index}.yaml`, mirror(of(index))])),
  };
}

const end = (index: number): string => `{host: h${index}, database: d, user: u}`;

const CASES: readonly [name: string, files: Files, expected: RegExp][] = [
  [
    'valid ones',
    many((index) => ({ name: `m${index}`, schema: `s${index}` })),
    /^valid: 502 files, 500 valid mirrors/m,
  ],
  [
    'all writing the same ten tables',
    many((index) => ({ name: `m${index}`, schema: 's' })),
    /^invalid: 5000 errors/m,
  ],
  [
    'all of one name',
    many((index) => ({ name: 'm', schema: `s${index}` })),
    /^invalid: 500 errors/m,
  ],
  [
    'one after the other, a long way without a loop',
    many((index) => ({
      name: `m${index}`,
      schema: 's',
      source: end(index),
      destination: end(index + 1),
    })),
    /^valid: 502 files, 500 valid mirrors/m,
  ],
  [
    'two of three thousand tables, all written twice',
    {
      'from.yaml': SOURCE_PEER,
      'to.yaml': DESTINATION_PEER,
      'a.yaml': mirror({ name: 'a', schema: 's', count: 3000 }),
      'b.yaml': mirror({ name: 'b', schema: 's', count: 3000 }),
    },
    /^invalid: 6000 errors/m,
  ],
];

for (const [name, files, expected] of CASES)
  test(`500 files, or as much in a few: ${name}`, async (t) => {
    const dir = makeDirectory(t);
    writeFiles(dir, files);
    const before = process.cpuUsage();
    const { text } = await runValidate(dir, []);
    const { user, system } = process.cpuUsage(before);
    const seconds = (user + system) / 1e6;
    assert.match(text, expected);
    t.diagnostic(`${seconds.toFixed(2)} s of the CPU`);
    assert.ok(seconds < MAX_CPU_SECONDS, `${seconds} s of the CPU`);
  });

const LONG: readonly [name: string, text: string, expected: RegExp][] = [
  ['unknown fields', lines((index) => `f${index}: 1`), /: there is more: only 100 errors/],
  ['fields written twice', lines(() => 'a: 1'), /: this field is written twice/],
  ['anchors', lines((index) => `f${index}: &a`), /: anchors \(&name\) are not supported/],
  ['flow', `  {${lines((index) => `f${index}: 1,`)}}`, /: there is more: only 100 errors/],
  [
    'annotations',
    `  tables: [{source: a.b}]\nmetadata:\n  name: m\n  annotations:\n${lines((index) => `  f${index}: x`)}`,
    /: metadata.annotations must be a mapping of at most 100 fields/,
  ],
];

function lines(of: (index: number) => string): string {
  let text = '';
  for (let index = 0; text.length < 250_000; index += 1) text += `  ${of(index)}\n`;
  return text;
}

for (const [name, text, expected] of LONG)
  test(`one file as long as it may be: ${name}`, (t) => {
    const content = Buffer.from(`apiVersion: bunnydb/v1\nkind: Mirror\nspec:\n${text}`);
    const before = process.cpuUsage();
    const { diagnostics } = readSnapshot([{ path: 'a.yaml', content }]);
    const { user, system } = process.cpuUsage(before);
    const seconds = (user + system) / 1e6;
    assert.match(diagnostics.map(describeDiagnostic).join('\n'), expected);
    assert.ok(diagnostics.length <= 250, `${diagnostics.length}`);
    t.diagnostic(`${seconds.toFixed(2)} s of the CPU`);
    assert.ok(seconds < MAX_CPU_SECONDS, `${seconds} s of the CPU`);
  });

test('500 files against a revision where each was otherwise', async (t) => {
  const dir = makeDirectory(t);
  const files = many((index) => ({ name: `m${index}`, schema: `s${index}` }));
  git(dir, 'init', '--quiet', '--initial-branch=main');
  writeFiles(dir, files);
  commitAll(dir);
  for (const [path, text] of Object.entries(files))
    writeFiles(dir, { [path]: text.replace('resyncGeneration: 1', 'resyncGeneration: 0') });
  const before = process.cpuUsage();
  const { text } = await runValidate(dir, [], { base: 'main' });
  const { user, system } = process.cpuUsage(before);
  const seconds = (user + system) / 1e6;
  assert.match(text, /^valid: 502 files, 500 valid mirrors, 500 warnings; compared with main/m);
  t.diagnostic(`${seconds.toFixed(2)} s of the CPU`);
  assert.ok(seconds < 2 * MAX_CPU_SECONDS, `${seconds} s of the CPU`);
});
