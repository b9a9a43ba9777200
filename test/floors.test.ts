/**
 * Draws the house: imports go down only. An arrow that goes up, or sideways to a neighbour of the
 * same floor, fails here; so do the few habits that no linter rule covers.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { basename, join, posix, relative, sep } from 'node:path';
import { test } from 'node:test';

/** From the roof down. Folders on one line are neighbours and do not know each other. */
const FLOORS: readonly (readonly string[])[] = [
  ['main.ts'],
  ['cli'],
  ['daemon'],
  ['status'],
  ['execute'],
  ['observe', 'copy', 'stream'],
  ['plan', 'spec'],
  ['postgres'],
  ['sql'],
  ['core'],
];

/** Decisions and texts: nothing in them can reach a disk, a network or a database. */
const PURE_FOLDERS = ['plan', 'sql'];
const IMPURE_IMPORT = /^(?:pg|pg-.*|pino|chokidar)$|^node:(?!assert|crypto|util$)/;

const MAX_LINES = 400;
const FORBIDDEN_NAMES = ['utils', 'helpers', 'common', 'types', 'index'];
const SOURCE = join(import.meta.dirname, '..', 'src');

interface SourceFile {
  /** Relative to src/, with slashes. */
  readonly path: string;
  readonly text: string;
}

test('imports go down only', async () => {
  const files = await readSource();
  assert.ok(files.some(({ text }) => importsIn(text).length > 0));
  assert.deepEqual(files.flatMap(badArrows), []);
});

test('an arrow that goes up or sideways is found', () => {
  const arrowsFrom = (path: string, text: string): string[] => badArrows({ path, text });
  const up = `import { reconcile } from '../daemon/reconcile.ts';`;
  assert.deepEqual(arrowsFrom('plan/drift.ts', up), [
    'plan/drift.ts -> daemon/reconcile.ts goes up',
  ]);
  const sideways = `import type {\n  Range,\n} from '../copy/ranges.ts';`;
  assert.deepEqual(arrowsFrom('observe/tables.ts', sideways), [
    'observe/tables.ts -> copy/ranges.ts goes sideways',
  ]);
  assert.deepEqual(arrowsFrom('core/clock.ts', `export * from '../main.ts';`), [
    'core/clock.ts -> main.ts goes up',
  ]);
  assert.deepEqual(arrowsFrom('status/file.ts', `await import('../cli/run.ts');`), [
    'status/file.ts -> cli/run.ts goes up',
  ]);
  assert.deepEqual(arrowsFrom('core/new.ts', `import '../attic/box.ts';`), [
    'core/new.ts -> attic/box.ts leads out of the house',
  ]);
  assert.deepEqual(arrowsFrom('attic/box.ts', ''), ['attic/box.ts is on no floor']);
  assert.deepEqual(arrowsFrom('plan/plan.ts', `import pg from 'pg';`), [
    'plan/plan.ts must stay pure, and imports pg',
  ]);
  assert.deepEqual(arrowsFrom('plan/plan.ts', `import { open } from '../postgres/session.ts';`), [
    'plan/plan.ts must stay pure, and imports postgres/session.ts',
  ]);
  const fine = `import { a } from './ranges.ts'; import { b } from '../core/lsn.ts'; import pg from 'pg';`;
  assert.deepEqual(arrowsFrom('copy/copy.ts', fine), []);
});

test('no file is too long, has a name that says nothing, prints, or exports a default', async () => {
  const files = await readSource();
  assert.deepEqual(files.flatMap(badHabits), []);
});

test('each bad habit is found', () => {
  const long = '// …\n'.repeat(MAX_LINES + 1);
  assert.deepEqual(badHabits({ path: 'core/lsn.ts', text: long }), ['core/lsn.ts has 401 lines']);
  assert.equal(badHabits({ path: 'core/utils.ts', text: '' }).length, 1);
  assert.equal(badHabits({ path: 'core/helpers/lsn.ts', text: '' }).length, 1);
  assert.equal(badHabits({ path: 'core/lsn.ts', text: `console.log('x');` }).length, 1);
  assert.equal(badHabits({ path: 'core/lsn.ts', text: 'export default 1;' }).length, 1);
  assert.equal(badHabits({ path: 'core/lsn.ts', text: 'export { a as default };' }).length, 1);
});

async function readSource(): Promise<SourceFile[]> {
  const entries = await readdir(SOURCE, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  assert.ok(paths.length > 0, 'src/ has no files');
  return Promise.all(
    paths.map(async (path) => ({
      path: relative(SOURCE, path).replaceAll(sep, '/'),
      text: await readFile(path, 'utf8'),
    })),
  );
}

/** What a file imports: static, dynamic, type-only and re-exports alike. */
function importsIn(text: string): string[] {
  const pattern = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/g;
  return [...text.matchAll(pattern)].flatMap(([, specifier]) => specifier ?? []);
}

function badArrows({ path, text }: SourceFile): string[] {
  const from = floorOf(path);
  if (from === undefined) return [`${path} is on no floor`];
  return importsIn(text).flatMap((specifier) => {
    const local = specifier.startsWith('.');
    const to = local ? posix.join(posix.dirname(path), specifier) : specifier;
    const fault = impurity(path, to, local) ?? (local ? direction(path, to) : undefined);
    return fault === undefined ? [] : [fault];
  });
}

function direction(path: string, to: string): string | undefined {
  const [from, target] = [floorOf(path), floorOf(to)];
  if (from === undefined || target === undefined) return `${path} -> ${to} leads out of the house`;
  if (folderOf(path) === folderOf(to) || target > from) return undefined;
  return `${path} -> ${to} goes ${target === from ? 'sideways' : 'up'}`;
}

function impurity(path: string, to: string, local: boolean): string | undefined {
  const impure = local ? folderOf(to) === 'postgres' : IMPURE_IMPORT.test(to);
  return impure && PURE_FOLDERS.includes(folderOf(path))
    ? `${path} must stay pure, and imports ${to}`
    : undefined;
}

/** 0 is the roof. Undefined for what is on no floor. */
function floorOf(path: string): number | undefined {
  const floor = FLOORS.findIndex((folders) => folders.includes(folderOf(path)));
  return floor === -1 ? undefined : floor;
}

/** The part of the house: a folder of src/, or a file directly in it. */
function folderOf(path: string): string {
  return path.split('/')[0] ?? path;
}

function badHabits({ path, text }: SourceFile): string[] {
  const lines = text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
  const names = path.split('/').map((part) => basename(part, '.ts'));
  const vague = names.filter((name) => FORBIDDEN_NAMES.includes(name));
  return [
    ...(lines > MAX_LINES ? [`${path} has ${lines} lines`] : []),
    ...vague.map((name) => `${path} is called ${name}, which says nothing`),
    ...(/\bconsole\./.test(text) ? [`${path} prints with console`] : []),
    ...(/^\s*export\s+(?:default\b|\{[^}]*\bas\s+default\b)/m.test(text)
      ? [`${path} has a default export`]
      : []),
  ];
}
