import type { SpecProblem } from '../core/intent.ts';
import { printable } from '../core/printable.ts';

/** Each thing that can be wrong with a file, and the reason that condition SpecAccepted gives for it. */
export const DIAGNOSTIC_REASONS = {
  Unreadable: 'SchemaInvalid',
  Unsettled: 'Unsettled',
  TooLarge: 'SchemaInvalid',
  NotUtf8: 'SchemaInvalid',
  EmptyFile: 'SchemaInvalid',
  YamlSyntax: 'SchemaInvalid',
  TabIndentation: 'SchemaInvalid',
  DuplicateKey: 'SchemaInvalid',
  MultipleDocuments: 'SchemaInvalid',
  AliasRefused: 'SchemaInvalid',
  MergeKeyRefused: 'SchemaInvalid',
  AmbiguousNumber: 'SchemaInvalid',
  MissingField: 'SchemaInvalid',
  UnknownField: 'SchemaInvalid',
  UnknownKind: 'SchemaInvalid',
  UnknownVersion: 'SchemaInvalid',
  WrongType: 'SchemaInvalid',
  InvalidValue: 'SchemaInvalid',
  LiteralPassword: 'SchemaInvalid',
  DuplicateName: 'DuplicateName',
  UnknownPeer: 'SemanticInvalid',
  InvalidPeer: 'SemanticInvalid',
  InvalidTableName: 'SemanticInvalid',
  NameTooLong: 'SemanticInvalid',
  ReservedSchema: 'SemanticInvalid',
  IncompleteCertificate: 'SemanticInvalid',
  DuplicateTable: 'SemanticInvalid',
  DestinationConflict: 'SemanticInvalid',
  Loop: 'SemanticInvalid',
  PublicationConflict: 'SemanticInvalid',
  NotSupported: 'SemanticInvalid',
} as const satisfies Record<string, SpecProblem['reason']>;

export type DiagnosticCode = keyof typeof DIAGNOSTIC_REASONS;

/** A stretch of a file. Lines and columns count from 1; the end is the place just behind it. */
export interface Place {
  readonly line: number;
  readonly column: number;
  readonly endLine?: number;
  readonly endColumn?: number;
}

/** A `note` is only good to know: what a change of a file that is right will do. */
export type Severity = 'error' | 'warning' | 'note';

/** One thing to say about one place of one file. `message` never holds a password; withHint makes it one line. */
export interface Diagnostic<Code extends string = DiagnosticCode> extends Place {
  readonly severity: Severity;
  readonly code: Code;
  readonly message: string;
  /** What to write instead. */
  readonly hint?: string;
  /** The path as it was given. */
  readonly file: string;
  /** The mirror that the file is about, when its name could be read. */
  readonly mirror?: string;
}

/** Sorts by file, then by place: the order in which people work through them. */
export function byPlace(a: Diagnostic<string>, b: Diagnostic<string>): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

/** True when one of them is an error, so that the file cannot be used. */
export function hasErrors(diagnostics: readonly Diagnostic<string>[]): boolean {
  return diagnostics.some(({ severity }) => severity === 'error');
}

/** What is wrong and the way out, on one line, without the place. */
export function withHint({ message, hint }: Pick<Diagnostic, 'message' | 'hint'>): string {
  return printable(hint === undefined ? message : `${message} (${hint})`);
}

/** One line that editors and terminals make a link of: `file:line:column: message (hint)`. */
export function describeDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column } = diagnostic;
  return `${printable(file)}:${line}:${column}: ${withHint(diagnostic)}`;
}
