/** A field is set, and every other byte is as it was. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { parse } from 'yaml';
import { MirrorError } from '../../src/core/errors.ts';
import type { MirrorDocument } from '../../src/spec/document.ts';
import { setFields, type FieldEdit } from '../../src/spec/edit.ts';
import { mirrorText, snapshotOf } from './files.ts';

const COUNTER = 'resyncGeneration';
const FIRST: FieldEdit = { of: ['spec', 'tables', 0], field: COUNTER, to: 4 };
const SECOND: FieldEdit = { of: ['spec', 'tables', 1], field: COUNTER, to: 10 };
const WHOLE: FieldEdit = { of: ['spec'], field: COUNTER, to: 2 };

interface Case {
  readonly name: string;
  /** Below spec, after source and destination. `⟦old→new⟧` marks what is edited. */
  readonly lines: string;
  readonly edits?: readonly FieldEdit[];
}

const CASES: readonly Case[] = [
  {
    name: 'a counter with a comment behind it',
    lines: '  tables:\n    - source: a.b\n      resyncGeneration: ⟦3→4⟧   # why\n',
  },
  {
    name: 'a counter before other fields, odd spaces, a tab before the comment',
    lines:
      '  tables:\n  -   resyncGeneration:    ⟦3→4⟧\t# why\t3\n      source:   "a.b"  \n      excludeColumns: [ x,y ]\n',
  },
  {
    name: 'the same text in comments, names and other tables',
    lines: `  # resyncGeneration: 3
  publication: 'resyncGeneration: 3'
  resyncGeneration: 3
  tables:
    # - source: a.b
    #   resyncGeneration: 3
    - source: a.b # resyncGeneration: 3
      resyncGeneration: ⟦3→4⟧ # resyncGeneration: 3
    - source: b.b
      resyncGeneration: 3
`,
  },
  {
    name: 'two of three, of other lengths',
    lines:
      '  tables:\n    - {source: a.b, resyncGeneration: ⟦999→4⟧}\n    - source: b.b\n      resyncGeneration: ⟦9→10⟧\n    - source: c.c\n      resyncGeneration: 9\n',
    edits: [FIRST, SECOND],
  },
  {
    name: 'two that are missing side by side',
    lines:
      '  tables:\n    - source: a.b\n⟦→      resyncGeneration: 4\n⟧    - source: b.b\n⟦→      resyncGeneration: 10\n⟧    - source: c.c\n',
    edits: [SECOND, FIRST],
  },
  {
    name: 'the mirror’s own counter',
    lines:
      '  resyncGeneration: ⟦1→2⟧ # all\n  tables:\n    - source: a.b\n      resyncGeneration: 1\n',
    edits: [WHOLE],
  },
  {
    name: 'the mirror’s own counter, missing, below its last table and above a last remark',
    lines:
      '  tables:\n    - source: a.b\n      excludeColumns: [x]\n⟦→  resyncGeneration: 2\n⟧# the end\n',
    edits: [WHOLE],
  },
  {
    name: 'a flow mapping',
    lines: '  tables:\n    - {source: a.b⟦→, resyncGeneration: 4⟧} # one line\n',
  },
  {
    name: 'a flow mapping with a comma and spaces at its end',
    lines: '  tables: [ { source: a.b⟦→, resyncGeneration: 4⟧ , } , { source: b.b } ]\n',
  },
  {
    name: 'a flow mapping over several lines that ends in a list and a comment',
    lines:
      '  tables:\n    - {\n        source: a.b,\n        excludeColumns: [x, # }\n          y]⟦→, resyncGeneration: 4⟧ # }\n      }\n',
  },
  {
    name: 'a flow mapping that is JSON',
    lines: '  tables: [{"source":"a.b"⟦→, "resyncGeneration": 4⟧}]\n',
  },
  {
    name: 'a comment behind the last entry, and one in its column',
    lines:
      '  tables:\n    - source: a.b # the big one\n      # is copied at night\n⟦→      resyncGeneration: 4\n⟧    # the next\n    - source: b.b\n',
  },
  {
    name: 'a nested list at the end, with its own comments',
    lines:
      '  tables:\n    - source: a.b\n      excludeColumns:\n        - x # secret\n        # - y\n⟦→      resyncGeneration: 4\n⟧\n    - source: b.b\n',
  },
  {
    name: 'a nested list in the column of its field',
    lines:
      '  tables:\n    - source: a.b\n      excludeColumns:\n      - x\n⟦→      resyncGeneration: 4\n⟧    - source: b.b\n',
  },
  {
    name: 'a block scalar at the end',
    lines:
      '  tables:\n    - source: a.b\n      destination: >-\n        c.d\n⟦→      resyncGeneration: 4\n⟧    - source: b.b\n',
  },
  {
    name: 'a block scalar in a list at the end of the file',
    lines:
      '  tables:\n    - source: a.b\n      excludeColumns:\n        - |-\n          x y\n⟦→      resyncGeneration: 4\n⟧',
  },
  {
    name: 'a text over two lines at the end',
    lines:
      '  tables:\n    - source: a.b\n      destination: "c.d\\\n        e"\n⟦→      resyncGeneration: 4\n⟧',
  },
  {
    name: 'a dash on a line of its own',
    lines:
      '  tables:\n    -\n     # here\n     source: a.b\n⟦→     resyncGeneration: 4\n⟧    - source: b.b\n',
  },
  {
    name: 'a key that says that it is one',
    lines: '  tables:\n    - ? source\n      : a.b\n⟦→      resyncGeneration: 4\n⟧',
  },
  {
    name: 'the last table and the mirror, both missing, at the end of the file',
    lines: '  tables:\n    - source: a.b⟦→\n      resyncGeneration: 4⟧⟦→\n  resyncGeneration: 2⟧',
    edits: [FIRST, WHOLE],
  },
  {
    name: 'no new line at the end: there is none afterwards',
    lines: '  tables:\n    - source: a.b⟦→\n      resyncGeneration: 4⟧',
  },
  {
    name: 'no new line at the end, behind a comment',
    lines: '  tables:\n    - source: a.b # the\n      # end⟦→\n      resyncGeneration: 4⟧',
  },
  {
    name: 'a counter at the very end',
    lines: '  tables:\n    - source: a.b\n      resyncGeneration: ⟦3→4⟧',
  },
  {
    name: 'a document end below the last entry',
    lines: '  tables:\n    - source: a.b\n⟦→      resyncGeneration: 4\n⟧...\n# the end\n',
  },
  {
    name: 'a counter written in another way of writing numbers',
    lines: '  tables:\n    - source: a.b\n      resyncGeneration: ⟦0x3→4⟧\n',
  },
  {
    name: 'letters of more than one byte before it',
    lines: '  # 🐰 größer\n  tables:\n    - source: "ü.🐇"\n      resyncGeneration: ⟦3→4⟧ # 🐰\n',
  },
];

const MARKED = /⟦([^→]*)→([^⟧]*)⟧/g;

/** The text before and after, from one that marks what is edited. */
function beforeAndAfter(marked: string): readonly [before: string, after: string] {
  return [marked.replaceAll(MARKED, '$1'), marked.replaceAll(MARKED, '$2')];
}

function isValid(text: string): boolean {
  return snapshotOf({ 'a.yaml': text }).mirrors.length === 1;
}

const VARIANTS: Readonly<Record<string, (text: string) => string>> = {
  'as it is': (text) => text,
  'with CRLF': (text) => text.replaceAll('\n', '\r\n'),
  'with a byte order mark': (text) => `\uFEFF${text}`,
};

for (const { name, lines, edits = [FIRST] } of CASES)
  for (const [variant, vary] of Object.entries(VARIANTS))
    test(`${name}, ${variant}`, () => {
      const [before, after] = beforeAndAfter(vary(mirrorText(lines)));
      assert.ok(isValid(before), before);
      assert.equal(setFields('a.yaml', before, edits), after);
      assert.ok(isValid(after), after);
    });

test('only the lines around it decide about the line ending', () => {
  const text = mirrorText('  tables:\r\n    - source: a.b\n    - source: b.b\r\n');
  const edited = setFields('a.yaml', text, [FIRST, SECOND]);
  assert.match(
    edited,
    /a\.b\n {6}resyncGeneration: 4\n {4}- source: b\.b\r\n {6}resyncGeneration: 10\r\n$/,
  );
});

test('what cannot be edited alone is refused, with what to write by hand', () => {
  const refused = (lines: string, edits: readonly FieldEdit[], hint: string): void =>
    assert.throws(
      () => setFields('shop.yaml', mirrorText(lines), edits),
      (error: unknown) => {
        assert.ok(error instanceof MirrorError);
        assert.equal(error.code, 'InvalidSpec');
        assert.match(error.message, /^shop\.yaml:9, .*the field cannot be set|^shop\.yaml:10: the/);
        assert.equal(error.hint, hint);
        return true;
      },
    );
  // A key without a value has no place for one.
  refused(
    '  tables:\n    - source: a.b\n      ? resyncGeneration\n',
    [FIRST],
    'Write it by hand: spec.tables[0].resyncGeneration: 4.',
  );
  // Put in twice it would be a field that is there twice: the edited text is read again.
  const twice = 'spec.tables[0].resyncGeneration: 4, spec.tables[0].resyncGeneration: 4';
  refused('  tables:\n    - source: a.b\n', [FIRST, FIRST], `Write it by hand: ${twice}.`);
});

/** Numbers that look random and are the same in each run. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface RandomTable {
  readonly text: string;
  /** As written; undefined when it is missing. */
  readonly counter: string | undefined;
}

/** A table as people write them, in one of many ways. */
function randomTable(random: (below: number) => number, index: number): RandomTable {
  const pick = (...texts: readonly string[]): string => texts[random(texts.length)] ?? '';
  const comment = (): string => pick('', '', ' # resyncGeneration: 7', '\t# why', '   ');
  const source = pick(`s.t${index}`, `"s.t${index}"`, `'s.t${index}'`);
  const more = pick('', `destination: d.t${index}`, `excludeColumns: [a, "b"]`);
  const counter = random(2) === 0 ? String(random(1_000)) : undefined;
  const key = pick('resyncGeneration: ', '"resyncGeneration":  ');
  const written = counter === undefined ? '' : `${key}${counter}`;
  const fields = [`source: ${source}`, ...[more, written].filter((text) => text !== '')];
  if (random(2) === 1) fields.reverse();
  const above = pick('', '\n', '    # above\n');
  if (random(3) === 0)
    return {
      text: `${above}    - {${fields.join(pick(', ', ',', ' ,  '))}}${comment()}\n`,
      counter,
    };
  const hasList = random(3) === 0 && more !== 'excludeColumns: [a, "b"]';
  const list = hasList ? `      excludeColumns:${comment()}\n        - a${comment()}\n` : '';
  const below = pick('', '', '      # below\n', '\n', '    # next\n', '  # far left\n');
  const block = fields.map((field) => `${field}${comment()}`).join('\n      ');
  return { text: `${above}    - ${block}\n${list}${below}`, counter };
}

/** Puts the old counter back in the place of a new one that is nowhere else in the text, or takes it out. */
function undo(text: string, value: number, counter: string | undefined): string {
  if (counter !== undefined) return text.replace(String(value), counter);
  const entry = `resyncGeneration: ${value}`;
  return text
    .replace(`, ${entry}`, '')
    .replace(new RegExp(`(^|\n) *${entry}\r?\n`), '$1')
    .replace(new RegExp(`\r?\n *${entry}$`), '');
}

test('in many files every counter can be bumped, and undone by hand it is the same file', () => {
  for (let seed = 1; seed <= 500; seed += 1) {
    const random = randomFrom(seed);
    const tables = Array.from({ length: 1 + random(5) }, (_, index) => randomTable(random, index));
    const own = random(2) === 0 ? String(random(50)) : undefined;
    const ownLine = own === undefined ? '' : `  resyncGeneration: ${own} # resyncGeneration: 1\n`;
    let before = mirrorText(`${ownLine}  tables:\n${tables.map(({ text }) => text).join('')}`);
    if (random(3) === 0) before = before.replaceAll('\n', '\r\n');
    if (random(3) === 0) before = before.trimEnd();
    if (random(4) === 0) before = `\uFEFF${before}`;
    const edits = [
      ...tables.map((_, index) => ({
        of: ['spec', 'tables', index],
        field: COUNTER,
        to: 5_000 + index,
      })),
      { of: ['spec'], field: COUNTER, to: 9_000 },
    ].filter(() => random(2) === 0);
    const after = setFields('a.yaml', before, edits);
    assert.ok(isValid(after), after);
    const { spec } = parse(after.replace(/^\uFEFF/, '')) as MirrorDocument;
    let undone = after;
    for (const { of, to } of edits) {
      const table = of.length === 1 ? undefined : Number(of[2]);
      const [now, counter] =
        table === undefined
          ? [spec.resyncGeneration, own]
          : [spec.tables[table]?.resyncGeneration, tables[table]?.counter];
      assert.equal(now, to);
      undone = undo(undone, to, counter);
    }
    assert.equal(undone, before);
  }
});
