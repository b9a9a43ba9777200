/** What `bunnydb check` found, as people and as scripts read it. Pure. */
import type { Mirror } from '../core/mirror.ts';
import { formatTableName } from '../core/table-name.ts';
import { CHECKS, type CheckName } from '../plan/check/check-name.ts';
import type { Check } from '../plan/check/finding.ts';
import type { Paint } from './output.ts';

export interface CheckedMirror {
  readonly mirror: Mirror;
  readonly checks: readonly Check[];
}

const NAME_WIDTH = Math.max(...Object.keys(CHECKS).map((name) => name.length));
const RESULT_WIDTH = 4;

const COLOURS = {
  pass: 'green',
  note: 'cyan',
  warn: 'yellow',
  fail: 'red',
  skip: 'dim',
} as const satisfies Record<Check['result'], string>;

/** A line for each check, below it the fix where there is one; a blank line between two mirrors. */
export function checkText(checked: readonly CheckedMirror[], paint: Paint): string {
  return checked
    .map(({ mirror, checks }) =>
      [
        `Mirror ${mirror.name}: ${summary(checks)}`,
        '',
        ...checks.flatMap((one) => lines(one, paint)),
        '',
      ].join('\n'),
    )
    .join('\n');
}

function lines({ name, result, message, code, fix }: Check, paint: Paint): string[] {
  const mark = paint(COLOURS[result], result.padEnd(RESULT_WIDTH));
  const margin = ' '.repeat(2 + RESULT_WIDTH + 1 + NAME_WIDTH + 1);
  return [
    `  ${mark} ${name.padEnd(NAME_WIDTH)} ${message}${code === undefined ? '' : ` [${code}]`}`,
    ...(fix === undefined ? [] : [`${margin}${paint('bold', 'fix:')} ${fix}`]),
  ];
}

function summary(checks: readonly Check[]): string {
  const named = (result: Check['result']): Set<CheckName> =>
    new Set(checks.filter((one) => one.result === result).map(({ name }) => name));
  const total = new Set(checks.map(({ name }) => name)).size;
  const [fail, warn, skip] = [named('fail').size, named('warn').size, named('skip').size];
  const parts = [
    ...(fail === 0 ? [] : [`${fail} failed`]),
    ...(skip === 0 ? [] : [`${skip} could not be made`]),
    ...(warn === 0 ? [] : [`${warn} to be warned of`]),
  ];
  return parts.length === 0
    ? `all ${total} checks passed`
    : `of ${total} checks ${parts.join(', ')}`;
}

/** A stable form for scripts. */
export function checkJson(checked: readonly CheckedMirror[]): string {
  const mirrors = checked.map(({ mirror, checks }) => ({
    mirror: mirror.name,
    failed: checks.some(({ result }) => result === 'fail'),
    checks: checks.map(({ name, result, table, code, message, fix }) => ({
      check: name,
      side: CHECKS[name].side,
      result,
      table: table === undefined ? null : formatTableName(table.source),
      code: code ?? null,
      message,
      fix: fix ?? null,
    })),
  }));
  return `${JSON.stringify({ mirrors }, null, 2)}\n`;
}
