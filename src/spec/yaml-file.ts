import { isMap, isScalar, isSeq, LineCounter, type Document, type Node, type Pair } from 'yaml';
import type { Diagnostic, DiagnosticCode, Place } from './diagnostic.ts';
import type { Kind } from './document.ts';
import type { FieldPath } from './field-path.ts';

/** What a rule says about a field; the file adds where that is. */
export interface Finding {
  readonly code: DiagnosticCode;
  readonly path: FieldPath;
  /** The field's key is meant, not its value: an unknown key, a key that has no value. */
  readonly atKey?: boolean;
  readonly message: string;
  readonly hint?: string | undefined;
}

/** One parsed file: its data, and the way back from a field to its line and column. */
export class YamlFile {
  readonly path: string;
  readonly data: unknown;
  readonly mirror: string | undefined;
  readonly identity: Identity | undefined;
  readonly #document: Document.Parsed;
  readonly #lines: LineCounter;

  constructor(path: string, document: Document.Parsed, lines: LineCounter) {
    this.path = path;
    this.#document = document;
    this.#lines = lines;
    this.data = document.toJS();
    this.mirror = mirrorName(document);
    this.identity = identityOf(document);
  }

  /** Turns a finding into a diagnostic with its place. */
  report(finding: Finding): Diagnostic {
    return {
      severity: 'error',
      code: finding.code,
      message: finding.message,
      ...(finding.hint === undefined ? {} : { hint: finding.hint }),
      file: this.path,
      ...this.place(finding.path, finding.atKey),
      ...(this.mirror === undefined ? {} : { mirror: this.mirror }),
    };
  }

  /** What is written for a field; undefined when it is not there. Ranges are offsets behind a byte order mark. */
  nodeAt(path: FieldPath): Node | null | undefined {
    let node: Node | null = this.#document.contents;
    for (const part of path) {
      const found = step(node, part);
      if (found === undefined) return undefined;
      [, node] = found;
    }
    return node;
  }

  /** The place of a field, or of the nearest field around it that was written. */
  place(path: FieldPath, atKey = false): Place {
    let node: Node | null = this.#document.contents;
    let key: Node | undefined;
    for (const part of path) {
      const found = step(node, part);
      if (found === undefined) return placeOf(node ?? key, this.#lines);
      [key, node] = found;
    }
    const wanted = atKey || isBlank(node) ? (key ?? node) : node;
    return placeOf(wanted ?? undefined, this.#lines);
  }
}

/** The place of a node; where it is a whole block, only its beginning. */
export function placeOf(node: Node | undefined, lines: LineCounter): Place {
  const [start, end] = node?.range ?? [0, 0];
  const from = lines.linePos(start);
  const place = { line: Math.max(from.line, 1), column: Math.max(from.col, 1) };
  if (!isScalar(node)) return place;
  const to = lines.linePos(end);
  return { ...place, endLine: to.line, endColumn: to.col };
}

export interface Identity {
  readonly kind: Kind;
  readonly name: string;
}

/** What a document is called, as far as can be told: also one with errors, whose name is taken all the same. */
export function identityOf(document: Document.Parsed): Identity | undefined {
  const [kind, name] = [document.getIn(['kind']), document.getIn(['metadata', 'name'])];
  return (kind === 'Mirror' || kind === 'Peer') && typeof name === 'string'
    ? { kind, name }
    : undefined;
}

/** The mirror that a document is about, as far as can be told: also from a broken one. */
export function mirrorName(document: Document.Parsed): string | undefined {
  if (document.getIn(['kind']) === 'Peer') return undefined;
  const name = document.getIn(['metadata', 'name']);
  return typeof name === 'string' && name !== '' ? name : undefined;
}

function step(
  node: Node | null,
  part: string | number,
): [key: Node | undefined, value: Node | null] | undefined {
  if (isSeq(node)) {
    const item = node.items[Number(part)];
    return item === undefined ? undefined : [undefined, item as Node];
  }
  if (!isMap(node)) return undefined;
  const pair = (node.items as Pair<Node, Node | null>[]).find(
    ({ key }) => isScalar(key) && String(key.value) === String(part),
  );
  return pair === undefined ? undefined : [pair.key, pair.value];
}

function isBlank(node: Node | null): boolean {
  return (
    node === null || (isScalar(node) && node.value === null && node.range?.[0] === node.range?.[1])
  );
}
