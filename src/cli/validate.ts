import { hasErrors, withHint, type Diagnostic } from '../spec/diagnostic.ts';
import { loadPaths } from '../spec/load.ts';
import type { Snapshot } from '../spec/snapshot.ts';
import { EXIT } from './exit-codes.ts';

export interface ValidateOptions {
  /** Checked when no path is named. */
  readonly dir: string;
  readonly output: 'text' | 'json' | 'github';
}

/**
 * Checks mirror files without any database and prints every error with its place. Paths are files
 * and directories. Returns the exit code: 0 when all are valid (warnings allowed), 3 otherwise.
 */
export async function validate(
  paths: readonly string[],
  options: ValidateOptions,
  io: { readonly stdout: (text: string) => void },
): Promise<number> {
  const snapshot = await loadPaths(paths.length > 0 ? paths : [options.dir]);
  io.stdout(`${FORMATS[options.output](snapshot)}\n`);
  return hasErrors(snapshot.diagnostics) ? EXIT.invalidFiles : EXIT.done;
}

const FORMATS: Readonly<Record<ValidateOptions['output'], (snapshot: Snapshot) => string>> = {
  text: (snapshot) => [...snapshot.diagnostics.map(textLine), summary(snapshot)].join('\n'),
  github: (snapshot) => [...snapshot.diagnostics.map(githubLine), summary(snapshot)].join('\n'),
  json: (snapshot) => JSON.stringify(jsonReport(snapshot), undefined, 2),
};

function textLine({ file, line, column, severity, ...diagnostic }: Diagnostic): string {
  return `${file}:${line}:${column}: ${severity}: ${withHint(diagnostic)}`;
}

/** GitHub shows ten of these for each step, so the summary that follows has the totals. */
function githubLine(diagnostic: Diagnostic): string {
  const { file, line, column, endLine, endColumn, code, severity } = diagnostic;
  const properties = { file, line, col: column, endLine, endColumn, title: code };
  const written = Object.entries(properties)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${escapeProperty(String(value))}`);
  return `::${severity} ${written.join(',')}::${escapeData(withHint(diagnostic))}`;
}

function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

function jsonReport({ diagnostics }: Snapshot): object {
  return {
    format_version: '1.0',
    valid: !hasErrors(diagnostics),
    error_count: count(diagnostics, 'error'),
    warning_count: count(diagnostics, 'warning'),
    diagnostics,
  };
}

function summary({ diagnostics, files, mirrors }: Snapshot): string {
  const errors = count(diagnostics, 'error');
  const warnings = count(diagnostics, 'warning');
  const checked = `${plural(files.length, 'file')}, ${plural(mirrors.length, 'valid mirror')}`;
  const found = [plural(errors, 'error'), plural(warnings, 'warning')].join(', ');
  return errors > 0
    ? `invalid: ${found} (${checked})`
    : `valid: ${checked}, ${plural(warnings, 'warning')}`;
}

function count(diagnostics: readonly Diagnostic[], severity: Diagnostic['severity']): number {
  return diagnostics.filter((diagnostic) => diagnostic.severity === severity).length;
}

function plural(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
