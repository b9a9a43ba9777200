import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { DESTINATION_PEER, mirrorText, SOURCE_PEER } from './files.ts';
import { commitAll, git, makeDirectory, runValidate, writeFiles } from './validate-stage.ts';

const PEERS = { 'env/m/from.yaml': SOURCE_PEER, 'env/m/to.yaml': DESTINATION_PEER };
const SHOP = mirrorText('  resyncGeneration: 2\n  tables:\n    - source: public.users\n');

interface Sarif {
  readonly version: string;
  readonly runs: readonly {
    readonly tool: { readonly driver: { readonly rules: readonly { readonly id: string }[] } };
    readonly results: readonly {
      readonly ruleId: string;
      readonly ruleIndex: number;
      readonly level: string;
      readonly message: { readonly text: string };
      readonly locations: readonly object[];
    }[];
  }[];
}

test('sarif: each result with its rule, its level and its place in the repository', async (t) => {
  const dir = makeDirectory(t);
  git(dir, 'init', '--quiet', '--initial-branch=main');
  writeFiles(dir, {
    ...PEERS,
    'env/m/a b#ü.yaml': SHOP,
    'env/m/gone.yaml': SHOP.replace('shop', 'gone').replace('public', 'p'),
  });
  commitAll(dir);
  writeFiles(dir, {
    'env/m/gone.yaml': undefined,
    'env/m/a b#ü.yaml': SHOP.replace(': 2', ': 03'),
    'env/m/to.yaml': DESTINATION_PEER.replace('user', 'usr'),
  });
  const bad = await runValidate(dir, ['env/m'], { output: 'sarif' });
  assert.equal(bad.code, 3);
  const [run] = (JSON.parse(bad.text) as Sarif).runs;
  assert.deepEqual(
    run?.results.map(({ ruleId, level }) => [ruleId, level]),
    [
      ['InvalidPeer', 'error'],
      ['AmbiguousNumber', 'warning'],
      ['MissingField', 'error'],
      ['UnknownField', 'error'],
    ],
  );

  writeFiles(dir, PEERS);
  const { code, text } = await runValidate(dir, ['env/m'], { output: 'sarif', base: 'main' });
  assert.equal(code, 0);
  const { runs, ...log } = JSON.parse(text) as Sarif;
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const [only] = runs;
  const rules = only?.tool.driver.rules ?? [];
  assert.deepEqual(log, {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
  });
  assert.deepEqual(only, {
    tool: { driver: { name: 'bunnydb', version, rules } },
    columnKind: 'utf16CodeUnits',
    results: [
      {
        ruleId: 'AmbiguousNumber',
        ruleIndex: rules.findIndex(({ id }) => id === 'AmbiguousNumber'),
        level: 'warning',
        message: { text: '03 is read as 3; other YAML programs read an octal number (write 3)' },
        locations: [place('env/m/a%20b%23%C3%BC.yaml', [8, 21, 8, 23])],
      },
      {
        ruleId: 'CopiedAgain',
        ruleIndex: rules.findIndex(({ id }) => id === 'CopiedAgain'),
        level: 'note',
        message: { text: 'every table will be copied again: resyncGeneration goes from 2 to 3' },
        locations: [place('env/m/a%20b%23%C3%BC.yaml', [8, 21, 8, 23])],
      },
      {
        ruleId: 'MirrorRemoved',
        ruleIndex: rules.findIndex(({ id }) => id === 'MirrorRemoved'),
        level: 'warning',
        message: {
          text: 'mirror gone is removed: slot bunny_gone and publication bunny_gone will be dropped at the source, nothing at the destination (deletionPolicy is Retain)',
        },
        locations: [place('env/m/gone.yaml', [1, 1])],
      },
    ],
  });
  for (const { id, ...rule } of rules) {
    assert.match(id, /^[A-Z][A-Za-z0-9]+$/);
    assert.deepEqual(Object.keys(rule), ['shortDescription']);
  }
  assert.equal(new Set(rules.map(({ id }) => id)).size, rules.length);
});

function place(
  uri: string,
  [startLine, startColumn, endLine, endColumn]: readonly number[],
): object {
  const end = endLine === undefined ? {} : { endLine, endColumn };
  return {
    physicalLocation: { artifactLocation: { uri }, region: { startLine, startColumn, ...end } },
  };
}

test('sarif of valid files has a run without results; a file in no repository has a whole URI', async (t) => {
  const dir = makeDirectory(t);
  writeFiles(dir, { 'a b.yaml': '' });
  const { code, text } = await runValidate(dir, [], { output: 'sarif' });
  assert.equal(code, 3);
  assert.match(text, /"uri": "file:\/\/D\/a%20b.yaml"/);
  writeFiles(dir, { 'a b.yaml': SOURCE_PEER });
  const valid = await runValidate(dir, [], { output: 'sarif' });
  assert.equal(valid.code, 0);
  assert.deepEqual((JSON.parse(valid.text) as Sarif).runs[0]?.results, []);
});

test('github: paths are those of the repository, notes are notices, totals come last', async (t) => {
  const dir = makeDirectory(t);
  git(dir, 'init', '--quiet', '--initial-branch=main');
  writeFiles(dir, { ...PEERS, 'env/m/shop.yaml': SHOP });
  commitAll(dir);
  writeFiles(dir, {
    'env/m/shop.yaml': SHOP.replace(': 2', ': 1').replace('public.users', 'public.items'),
  });
  const { text } = await runValidate(dir, ['env/m/shop.yaml'], { output: 'github', base: 'main' });
  assert.equal(
    text.replace(/\([0-9a-f]{12}\)/, '(commit)'),
    `::warning file=env/m/shop.yaml,line=8,col=21,endLine=8,endColumn=22,title=CounterLowered::spec.resyncGeneration went down from 2 to 1: that copies nothing (counters only go up: keep 2, or write 3 to copy again)
::warning file=env/m/shop.yaml,line=9,col=3,endLine=9,endColumn=9,title=TableRemoved::public.users is not mirrored any more; public.users keeps its rows
::notice file=env/m/shop.yaml,line=10,col=15,endLine=10,endColumn=27,title=TableAdded::public.items is new: it will be copied and then followed
valid: 1 file, 1 valid mirror, 2 warnings, 1 note; compared with main (commit)
`,
  );
});
