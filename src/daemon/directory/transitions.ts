/** What is worth a line in the log when the directory was looked at: changes, and never a state. Pure. */
import type { SpecProblem } from '../../core/intent.ts';
import { formatTableName } from '../../core/table-name.ts';
import { describeDiagnostic, type Diagnostic } from '../../spec/diagnostic.ts';
import type { Look } from '../../spec/load.ts';
import type { Decision } from './intents.ts';
import type { KnownMirror } from './known-mirror.ts';

export interface Transition {
  readonly level: 'info' | 'warn';
  readonly fields: { readonly mirror?: string; readonly file?: string; readonly table?: string };
  readonly message: string;
}

/** What was decided, and what that came from. */
export interface Told extends Pick<Decision, 'known' | 'rejected'> {
  readonly look: Look | undefined;
}

export function transitions(before: Told, after: Told): Transition[] {
  return [
    ...directoryLines(before.look, after.look),
    ...[...after.known.values()].flatMap((known) =>
      knownLines(before.known.get(known.mirror.name), known),
    ),
    ...problemLines(before, after),
    ...fileLines(before, after),
  ];
}

function directoryLines(before: Look | undefined, after: Look | undefined): Transition[] {
  const [was, is] = [before, after].map((look) =>
    look?.kind === 'unreadable' ? look.message : undefined,
  );
  if (was === is) return [];
  return is === undefined
    ? [{ level: 'info', fields: {}, message: 'the directory can be read again' }]
    : [{ level: 'warn', fields: {}, message: `${is}; what runs goes on` }];
}

function knownLines(before: KnownMirror | undefined, after: KnownMirror): Transition[] {
  const { name: mirror, file } = after.mirror;
  const lines: Transition[] = [];
  const line = (level: Transition['level'], message: string): void =>
    void lines.push({ level, fields: { mirror, file }, message });
  const was = before?.presence ?? { kind: 'present' };
  const { presence } = after;
  if (presence.kind === 'missing' && (was.kind !== 'missing' || was.message !== presence.message))
    line('warn', presence.message);
  if (presence.kind === 'removed' && was.kind !== 'removed')
    line('warn', 'the removal grace is over: the mirror is removed');
  if (presence.kind === 'present' && was.kind !== 'present') line('info', 'its file is back');
  for (const { table } of after.leaving) {
    if (before?.leaving.some((one) => one.table === table) === true) continue;
    lines.push({
      level: 'info',
      fields: { mirror, table: formatTableName(table.source) },
      message: 'not in the file now; retired when that was so for the whole removal grace',
    });
  }
  return lines;
}

/** Of all mirrors, those that run and those that were not taken. */
function problemLines(before: Told, after: Told): Transition[] {
  const [was, is] = [problemsOf(before), problemsOf(after)];
  const found = [...is].flatMap(([mirror, problems]) =>
    problems
      .filter(({ text }) => was.get(mirror)?.some((one) => one.text === text) !== true)
      .map(({ text }): Transition => ({ level: 'warn', fields: { mirror }, message: text })),
  );
  const mended = [...was.keys()]
    .filter((mirror) => !is.has(mirror) && after.known.get(mirror)?.presence.kind === 'present')
    .map((mirror): Transition => ({
      level: 'info',
      fields: { mirror },
      message: 'its file is valid again',
    }));
  return [...found, ...mended];
}

function problemsOf({ known, rejected }: Told): Map<string, readonly SpecProblem[]> {
  const all = [...known.values()].map(({ mirror, problems }) => [mirror.name, problems] as const);
  return new Map([...all, ...rejected].filter(([, problems]) => problems.length > 0));
}

/** Errors that are no mirror's: of peers, and of files that cannot be made out. */
function fileLines(before: Told, after: Told): Transition[] {
  const told = new Set([...problemsOf(after).values()].flat().map(({ text }) => text));
  const was = new Set(errorsOf(before.look).map(describeDiagnostic));
  return errorsOf(after.look).flatMap((error) => {
    const message = describeDiagnostic(error);
    if (told.has(message) || was.has(message)) return [];
    return [{ level: 'warn', fields: { file: error.file }, message } as const];
  });
}

function errorsOf(look: Look | undefined): Diagnostic[] {
  if (look?.kind !== 'files') return [];
  return look.snapshot.diagnostics.filter(({ severity }) => severity === 'error');
}
