/**
 * Sets single fields in the text of a mirror file. Pure, and by offsets: whatever is not edited stays as
 * it was written, byte for byte. Printing the parsed document anew would reflow it.
 */
import { isDeepStrictEqual } from 'node:util';
import { isCollection, isMap, isPair, isScalar, type Node, type Pair, type YAMLMap } from 'yaml';
import { MirrorError } from '../core/errors.ts';
import { formatFieldPath, type FieldPath } from './field-path.ts';
import { parseFile } from './parse.ts';
import type { YamlFile } from './yaml-file.ts';

/** One field and its new value. */
export interface FieldEdit {
  /** The mapping that has it, or is to get it: `spec`, or `spec.tables[n]`. */
  readonly of: FieldPath;
  readonly field: string;
  /** As the schema allows it; undefined takes the field out. */
  readonly to: number | boolean | string | undefined;
}

/** Text to put in the place of what is between two offsets. */
interface Replacement {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/**
 * Returns the text with the fields set; one that is missing becomes the last entry of its mapping.
 * `text` is a valid mirror file. Throws InvalidSpec when a field cannot be set without touching
 * anything else: the message says which, the hint what to write by hand.
 */
export function setFields(path: string, text: string, edits: readonly FieldEdit[]): string {
  const file = parseFile(path, text).file;
  if (file === undefined) throw new Error(`${path} was not checked`);
  // Offsets count behind a byte order mark.
  const mark = text.startsWith('\uFEFF') ? '\uFEFF' : '';
  const body = text.slice(mark.length);
  let edited = body;
  // From the end, so that offsets hold; where a table's line and the mirror's meet, the mirror's comes last.
  const inOrder = edits.toSorted((a, b) => a.of.length - b.of.length);
  const replacements = inOrder.flatMap((edit) => replacementFor(file, body, edit));
  for (const { from, to, text: part } of replacements.sort((a, b) => b.from - a.from))
    edited = edited.slice(0, from) + part + edited.slice(to);
  const result = mark + edited;
  const now = parseFile(path, result);
  const isRight = now.diagnostics.every(({ severity }) => severity !== 'error');
  if (!isRight || !isDeepStrictEqual(now.file?.data, withFields(file, edits)))
    throw byHand(file, edits);
  return result;
}

function replacementFor(file: YamlFile, text: string, edit: FieldEdit): Replacement[] {
  const map = file.nodeAt(edit.of);
  if (!isMap(map)) throw byHand(file, [edit]);
  const pair = map.items.find(({ key }) => isScalar(key) && key.value === edit.field);
  if (edit.to === undefined)
    return pair === undefined ? [] : [removal(file, text, { map, pair, edit })];
  const written = file.nodeAt([...edit.of, edit.field]);
  if (isScalar(written) && written.range)
    return [{ from: written.range[0], to: written.range[1], text: asYaml(edit.to) }];
  const last = map.items.at(-1);
  if (written !== undefined || last === undefined) throw byHand(file, [edit]);
  return [map.flow === true ? insideBraces(map, last, edit) : ownLine(text, map, edit)];
}

/** Texts in quotes: what they hold may look like something else. */
function asYaml(value: FieldEdit['to']): string {
  return JSON.stringify(value);
}

/** The whole line of a field that has one to itself. */
function removal(
  file: YamlFile,
  text: string,
  { map, pair, edit }: { readonly map: YAMLMap; readonly pair: Pair; readonly edit: FieldEdit },
): Replacement {
  const start = (pair.key as Node).range?.[0] ?? 0;
  const from = text.lastIndexOf('\n', start - 1) + 1;
  if (map.flow === true || text.slice(from, start).trim() !== '') throw byHand(file, [edit]);
  return { from, to: behindLine(text, endOf(pair)), text: '' };
}

/** `{source: a.b}`: behind the last value, so that a comma behind it goes on being one. */
function insideBraces(map: YAMLMap, last: Pair, { field, to }: FieldEdit): Replacement {
  const at = endOf(last);
  // A file that is JSON stays JSON.
  const isQuoted = map.items.every(({ key }) => isScalar(key) && key.type === 'QUOTE_DOUBLE');
  const key = isQuoted ? `"${field}"` : field;
  return { from: at, to: at, text: `, ${key}: ${asYaml(to)}` };
}

/** A line below the last entry and the comments that belong to it, in the column of the other fields. */
function ownLine(text: string, map: YAMLMap, { field, to }: FieldEdit): Replacement {
  const start = map.range?.[0] ?? 0;
  const column = start - (text.lastIndexOf('\n', start - 1) + 1);
  const last = map.items.at(-1);
  const end = last === undefined ? start : endOf(last);
  const at = behindComments(text, behindLine(text, end), column);
  const line = `${' '.repeat(column)}${field}: ${asYaml(to)}`;
  const lineEnd = text[text.lastIndexOf('\n', at - 1) - 1] === '\r' ? '\r\n' : '\n';
  const isLast = at === text.length && !text.endsWith('\n');
  return { from: at, to: at, text: isLast ? lineEnd + line : line + lineEnd };
}

/** Where the next line begins, or the end of the text. A block scalar ends where a line begins. */
function behindLine(text: string, offset: number): number {
  if (text[offset - 1] === '\n') return offset;
  const lineEnd = text.indexOf('\n', offset);
  return lineEnd < 0 ? text.length : lineEnd + 1;
}

/** Behind the comment lines that begin in that column or further right: they are about what is above. */
function behindComments(text: string, offset: number, column: number): number {
  let at = offset;
  for (;;) {
    const comment = /^ *(?=#)/.exec(text.slice(at, behindLine(text, at + 1)));
    if (comment === null || comment[0].length < column) return at;
    at = behindLine(text, at + 1);
  }
}

/** Where the last thing that was written of an entry ends, comments left out. */
function endOf({ key, value }: Pair): number {
  const node = (value ?? key) as Node;
  const last: unknown = isCollection(node) && node.flow !== true ? node.items.at(-1) : undefined;
  if (isPair(last)) return endOf(last);
  if (last !== undefined) return endOf({ key: node, value: last } as Pair);
  return node.range?.[1] ?? 0;
}

function withFields({ data }: YamlFile, edits: readonly FieldEdit[]): unknown {
  const expected = structuredClone(data);
  for (const { of, field, to } of edits) {
    const holder = of.reduce<unknown>(
      (value, part) => (value as Record<string | number, unknown>)[part],
      expected,
    ) as Record<string, unknown>;
    if (to === undefined) delete holder[field];
    else holder[field] = to;
  }
  return expected;
}

function byHand(file: YamlFile, edits: readonly FieldEdit[]): MirrorError {
  const places = edits.map(({ of, field }) => `${file.path}:${file.place([...of, field]).line}`);
  const fields = edits.map(({ of, field, to }) => {
    const path = formatFieldPath([...of, field]);
    return to === undefined ? `no ${path}` : `${path}: ${asYaml(to)}`;
  });
  return new MirrorError(
    'InvalidSpec',
    `${places.join(', ')}: the field cannot be set there without changing something else; the file is as it was`,
    { hint: `Write it by hand: ${fields.join(', ')}.` },
  );
}
