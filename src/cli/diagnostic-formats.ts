/** What `validate` found, in the forms that people, scripts and GitHub read. Pure. */
import type { ChangeCode } from '../spec/compare-base.ts';
import {
  withHint,
  type Diagnostic,
  type DiagnosticCode,
  type Severity,
} from '../spec/diagnostic.ts';
import { printable } from '../core/printable.ts';
import type { UnreadCode } from './unread-files.ts';

export type ReportCode = DiagnosticCode | ChangeCode | UnreadCode;

export interface Report {
  /** By file and place. */
  readonly diagnostics: readonly Diagnostic<ReportCode>[];
  /** False when the command fails for them: errors, and warnings too when they are taken seriously. */
  readonly isValid: boolean;
  /** How many were looked at. */
  readonly files: number;
  readonly validMirrors: number;
  /** What they were compared with. */
  readonly base?: { readonly revision: string; readonly commit: string };
}

/** One line each, then the totals. */
export function formatText(report: Report): string {
  return [...report.diagnostics.map(textLine), summary(report)].join('\n');
}

/** Workflow commands that GitHub shows beside the lines of a change. Paths are to be those of the repository. */
export function formatGithub(report: Report): string {
  return [...report.diagnostics.map(githubLine), summary(report)].join('\n');
}

/** The form of Terraform's `validate -json`. */
export function formatJson({ diagnostics, isValid, base }: Report): string {
  const report = {
    format_version: '1.0',
    valid: isValid,
    error_count: count(diagnostics, 'error'),
    warning_count: count(diagnostics, 'warning'),
    note_count: count(diagnostics, 'note'),
    ...(base === undefined ? {} : { base }),
    diagnostics,
  };
  return JSON.stringify(report, undefined, 2);
}

function textLine({ file, line, column, severity, ...diagnostic }: Diagnostic<string>): string {
  return `${printable(file)}:${line}:${column}: ${severity}: ${withHint(diagnostic)}`;
}

const GITHUB_COMMANDS: Readonly<Record<Severity, string>> = {
  error: 'error',
  warning: 'warning',
  note: 'notice',
};

/** GitHub shows ten of each for a step, so the summary that follows has the totals. */
function githubLine(diagnostic: Diagnostic<string>): string {
  const { file, line, column, endLine, endColumn, code, severity } = diagnostic;
  const properties = { file, line, col: column, endLine, endColumn, title: code };
  const written = Object.entries(properties)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${escapeProperty(String(value))}`);
  return `::${GITHUB_COMMANDS[severity]} ${written.join(',')}::${escapeData(withHint(diagnostic))}`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

function summary({ diagnostics, isValid, files, validMirrors, base }: Report): string {
  const errors = count(diagnostics, 'error');
  const warnings = plural(count(diagnostics, 'warning'), 'warning');
  const notes = count(diagnostics, 'note');
  const checked = `${plural(files, 'file')}, ${plural(validMirrors, 'valid mirror')}`;
  const found = notes === 0 ? warnings : `${warnings}, ${plural(notes, 'note')}`;
  const compared =
    base === undefined ? '' : `; compared with ${base.revision} (${base.commit.slice(0, 12)})`;
  return isValid
    ? `valid: ${checked}, ${found}${compared}`
    : `invalid: ${plural(errors, 'error')}, ${found} (${checked})${compared}`;
}

function count(diagnostics: readonly Diagnostic<string>[], severity: Severity): number {
  return diagnostics.filter((diagnostic) => diagnostic.severity === severity).length;
}

function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
