/**
 * Text -> YamlFile. Strict on purpose: whatever two YAML programs may read differently, or what an
 * edit of one line could change in two places, is refused with the place and the way out.
 */
import {
  CST,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  Lexer,
  LineCounter,
  parseAllDocuments,
  visit,
  type Document,
  type ErrorCode as YamlCode,
  type Node,
  type Pair,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import type { Diagnostic, DiagnosticCode, Place } from './diagnostic.ts';
import { homesOfField, KINDS } from './schemas.ts';
import { identityOf, mirrorName, placeOf, YamlFile, type Identity } from './yaml-file.ts';

/** `file` is missing when the text could not be read as one YAML document. */
export interface ParseResult {
  readonly file?: YamlFile;
  /** There without `file` too, as far as can be told. */
  readonly identity?: Identity | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** A mirror file is six levels deep. The parser calls itself for each level and kills the process at some thousands. */
const MAX_DEPTH = 100;

/** After these the rest are echoes of the first. */
const MAX_SYNTAX_ERRORS = 20;

/** Nobody reads more about one file, and each costs a search for its place. */
const MAX_REFUSED = 100;

/** Our words for the parser's, which may quote the file, and with it a password. */
const SYNTAX_MESSAGES: Partial<Record<YamlCode, readonly [message: string, hint?: string]>> = {
  BAD_INDENT: [
    'the indentation is wrong',
    'fields of one mapping begin in the same column; a bracket that was opened must be closed',
  ],
  BAD_DQ_ESCAPE: [
    'this escape is not known in a double-quoted text',
    'use single quotes to keep backslashes',
  ],
  BAD_SCALAR_START: ['a text cannot begin with this character', 'put the text in quotes'],
  BLOCK_AS_IMPLICIT_KEY: [
    'two fields on one line',
    'put each field on its own line, below the one before; put a text that holds ": " in quotes',
  ],
  MISSING_CHAR: [
    'a character is missing here',
    'look for a wrong indentation, a missing colon or a quote that is not closed',
  ],
  MULTILINE_IMPLICIT_KEY: [
    'a field name must be on one line, followed by a colon',
    'a colon needs a space behind it',
  ],
  NON_STRING_KEY: [
    'a field name must be text',
    'put it in quotes; a template such as {{ name }} must be filled in before',
  ],
  TAG_RESOLVE_FAILED: ['tags (!name) are not supported', 'remove the tag'],
  UNEXPECTED_TOKEN: [
    'this does not belong here',
    'check the indentation of this line and the one above',
  ],
};

/** Reads the text of one file. Never throws. */
export function parseFile(path: string, text: string): ParseResult {
  const lines = new LineCounter();
  if (isTooDeep(text))
    return failed({ path, code: 'YamlSyntax', message: 'the file is nested too deeply' });
  const documents = parseAllDocuments(text.replace(/^\uFEFF/, ''), {
    prettyErrors: false,
    strict: true,
    // By us, in refusedNodes: the parser compares each key with all others.
    uniqueKeys: false,
    stringKeys: true,
    version: '1.2',
    schema: 'core',
    merge: false,
    resolveKnownTags: false,
    lineCounter: lines,
  });
  const conflicts = documents.some(({ errors }) => errors.length > 0)
    ? mergeConflicts(path, text)
    : [];
  if (conflicts.length > 0) return { diagnostics: conflicts };
  // A `---` at the end begins nothing.
  const [document, second] = documents.slice(0, documents.findLastIndex(isWritten) + 1);
  if (document === undefined)
    return failed({
      path,
      code: 'EmptyFile',
      message: 'the file is empty',
      hint: 'delete the file to remove a mirror',
    });
  if (second !== undefined)
    return failed({
      path,
      code: 'MultipleDocuments',
      message: 'a file holds one document, here a second one begins',
      hint: 'move it to a file of its own',
      place: placeAt(lines, second.range[0]),
    });
  return readDocument(path, document, lines);
}

function readDocument(path: string, document: Document.Parsed, lines: LineCounter): ParseResult {
  const mirror = mirrorName(document);
  const about = { file: path, ...(mirror === undefined ? {} : { mirror }) };
  const syntax = syntaxErrors(document, lines).map((found) => ({ ...found, ...about }));
  const refused = refusedNodes(document, lines).map((found) => ({ ...found, ...about }));
  const diagnostics = [...syntax, ...refused];
  const unusable = diagnostics.some(({ code }) =>
    ['YamlSyntax', 'TabIndentation', 'AliasRefused'].includes(code),
  );
  const identity = identityOf(document);
  return unusable
    ? { identity, diagnostics }
    : { file: new YamlFile(path, document, lines), identity, diagnostics };
}

type Found = Omit<Diagnostic, 'file' | 'mirror'>;

function syntaxErrors(document: Document.Parsed, lines: LineCounter): Found[] {
  const seenLines = new Set<number>();
  const found: Found[] = [];
  const all = [...document.errors, ...document.warnings];
  const tabs = all.filter(({ code }) => code === 'TAB_AS_INDENT');
  // A tab makes the parser stumble over its neighbours too.
  for (const { code, pos } of tabs.length > 0 ? tabs : all) {
    const place = placeAt(lines, pos[0]);
    if (seenLines.has(place.line) || found.length >= MAX_SYNTAX_ERRORS) continue;
    seenLines.add(place.line);
    found.push({ severity: 'error', ...place, ...explainSyntax(code) });
  }
  return found;
}

function explainSyntax(yamlCode: YamlCode): {
  code: DiagnosticCode;
  message: string;
  hint?: string;
} {
  if (yamlCode === 'TAB_AS_INDENT')
    return {
      code: 'TabIndentation',
      message: 'a tab is used for indentation',
      hint: 'YAML allows only spaces there',
    };
  const [message, hint] = SYNTAX_MESSAGES[yamlCode] ?? [`this is not valid YAML (${yamlCode})`];
  return { code: 'YamlSyntax', message, ...(hint === undefined ? {} : { hint }) };
}

/** Valid YAML that we do not take, and numbers that other programs read differently. The first of each kind. */
function refusedNodes(document: Document.Parsed, lines: LineCounter): Found[] {
  const found = new Map<DiagnosticCode, Found[]>();
  // All nodes are looked at, however many are refused: one alias makes a file unusable.
  const tell = (one: Found): void => {
    const alike = found.get(one.code) ?? [];
    if (alike.length < MAX_REFUSED) found.set(one.code, [...alike, one]);
  };
  visit(document, (_, node, path) => {
    if (isMap(node)) repeatedKeys(node, lines).forEach(tell);
    if (isPair(node) && isScalar(node.key) && node.key.value === '<<')
      tell({
        severity: 'error',
        code: 'MergeKeyRefused',
        message: 'merge keys (<<) are not supported',
        hint: 'write the fields out; connections can be shared through a Peer',
        ...placeOf(node.key, lines),
      });
    if (isAlias(node) || (isNode(node) && node.anchor !== undefined))
      tell({
        severity: 'error',
        code: 'AliasRefused',
        // Not by its name: that may be a password that begins with * or &.
        message: `${isAlias(node) ? 'aliases (*name)' : 'anchors (&name)'} are not supported`,
        hint: 'write the value out, so that an edit changes one thing',
        ...placeOf(node, lines),
      });
    if (isScalar(node) && /^[-+]?0\d+$/.test(node.source ?? '') && typeof node.value === 'number')
      tell({
        severity: 'warning',
        code: 'AmbiguousNumber',
        ...explainNumber(node, path),
        ...placeOf(node, lines),
      });
  });
  return [...found.values()].flat();
}

function repeatedKeys(map: YAMLMap, lines: LineCounter): Found[] {
  const seen = new Set<unknown>();
  return map.items.flatMap(({ key }) => {
    const name = isScalar(key) ? key.value : undefined;
    if (!isScalar(key) || !seen.has(name)) {
      seen.add(name);
      return [];
    }
    return {
      severity: 'error',
      code: 'DuplicateKey',
      message: 'this field is written twice',
      hint: 'keep one of the two',
      ...placeAt(lines, key.range?.[0] ?? 0),
    };
  });
}

/** Quoted only in the place of a known field: elsewhere it may be a password. */
function explainNumber(
  { source, value }: Scalar,
  path: readonly (Document | Node | Pair)[],
): { message: string; hint: string } {
  const keys = path.flatMap((above) =>
    isPair(above) && isScalar(above.key) && typeof above.key.value === 'string'
      ? [above.key.value]
      : [],
  );
  const isKnown = KINDS.some((kind) => homesOfField(kind, keys.at(-1) ?? '').length > 0);
  if (!isKnown || keys.includes('password'))
    return {
      message:
        'a number that begins with 0 is a decimal one here; other YAML programs read an octal number',
      hint: 'leave out the 0 in front',
    };
  return {
    message: `${source} is read as ${String(value)}; other YAML programs read an octal number`,
    hint: `write ${String(value)}`,
  };
}

function isWritten({ contents, errors }: Document.Parsed): boolean {
  const isBlank = contents === null || (isScalar(contents) && contents.value === null);
  return errors.length > 0 || !isBlank;
}

/** What git leaves where two commits touched one line. All other errors are echoes of these. */
function mergeConflicts(path: string, text: string): Diagnostic[] {
  return text.split('\n').flatMap((line, index) =>
    line.startsWith('<<<<<<< ')
      ? failed({
          path,
          code: 'YamlSyntax',
          message: 'a merge conflict is left here',
          hint: 'keep one of the two versions, without the lines <<<<<<<, ======= and >>>>>>>',
          place: { line: index + 1, column: 1 },
        }).diagnostics
      : [],
  );
}

/** Counts nesting from the tokens, without calling itself: brackets that are open, and indicators on one line. */
function isTooDeep(text: string): boolean {
  // The rule, and told without looking at each token: there are not enough of them.
  if ((text.match(/[[{?-]/g)?.length ?? 0) <= MAX_DEPTH) return false;
  let open = 0;
  let onLine = 0;
  for (const lexeme of new Lexer().lex(text)) {
    const type = CST.tokenType(lexeme);
    if (type === 'newline') onLine = 0;
    if (type === 'flow-seq-start' || type === 'flow-map-start') open += 1;
    if (type === 'flow-seq-end' || type === 'flow-map-end') open -= 1;
    if (type === 'seq-item-ind' || type === 'explicit-key-ind') onLine += 1;
    if (open + onLine > MAX_DEPTH) return true;
  }
  return false;
}

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

interface Failure {
  readonly path: string;
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly hint?: string;
  readonly place?: Place;
}

function failed({ path, code, message, hint, place }: Failure): ParseResult {
  const diagnostic: Diagnostic = {
    severity: 'error',
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    file: path,
    ...(place ?? { line: 1, column: 1 }),
  };
  return { diagnostics: [diagnostic] };
}
