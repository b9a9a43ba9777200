/** A plan as people read it: the diff, then a line for each step, with what it locks. Pure. */
import {
  closingLine,
  describeNotice,
  describeRefusal,
  describeStepOf,
  type Description,
} from '../plan/describe.ts';
import { describeLock, locksOf } from '../plan/locks.ts';
import type { Step } from '../plan/plan.ts';
import { describeDiagnostic } from '../spec/diagnostic.ts';
import type { Paint } from './output.ts';
import type { PlanLook, PlanReport } from './plan-look.ts';

/** Without a terminal nothing is painted; what a colour says the symbol says too. */
export function planText({ looks, failures, invalid }: PlanReport, paint: Paint): string {
  const blocks = [
    ...looks.map((look) => mirrorText(look, paint)),
    ...failures.map(({ mirror, error: { code, message, hint } }) =>
      block(`Mirror ${mirror}`, [
        entry({ symbol: 'x', text: `${code}: ${message}\n${hint}` }, paint),
      ]),
    ),
    ...(invalid.length === 0
      ? []
      : [
          block(
            'Invalid files',
            invalid.map((found) => entry({ symbol: 'x', text: describeDiagnostic(found) }, paint)),
          ),
        ]),
  ];
  return blocks.join('\n');
}

function block(title: string, lines: readonly string[]): string {
  return `${[title, '', ...lines].join('\n')}\n`;
}

/** What is under way is planned as after an interruption, which it is not while a daemon is at it. */
function mirrorText({ plan, diff, isRun }: PlanLook, paint: Paint): string {
  const entries = [
    ...plan.steps.map((step) => stepEntry(step, { isRun, paint })),
    ...plan.refusals.map((refusal) => entry(describeRefusal(refusal), paint)),
    ...plan.notices.map((notice) => entry(describeNotice(notice), paint)),
  ];
  return block(`Mirror ${plan.mirror}`, [
    ...(diff === '' ? [] : [paintDiff(diff, paint)]),
    ...entries,
    ...(entries.length > 0 ? [''] : []),
    closingLine(plan),
    ...(isRun && plan.steps.length > 0
      ? [`A daemon runs this mirror, and may be at work on it: bunnydb status ${plan.mirror}`]
      : []),
  ]);
}

function stepEntry(
  step: Step,
  { isRun, paint }: { readonly isRun: boolean; readonly paint: Paint },
): string {
  const locks = locksOf(step).map((lock) => margin(paint('dim', describeLock(lock))));
  return [entry(describeStepOf(step, { isRun }), paint), ...locks].join('\n');
}

const SYMBOL_WIDTH = 3;

function entry({ symbol, text }: Description, paint: Paint): string {
  const [first = '', ...rest] = text.split('\n');
  const mark = paint(COLOURS[symbol], symbol.padStart(SYMBOL_WIDTH));
  return [`  ${mark} ${first}`, ...rest.map(margin)].join('\n');
}

function margin(text: string): string {
  return ' '.repeat(2 + SYMBOL_WIDTH + 1) + text;
}

const COLOURS = {
  '+': 'green',
  '~': 'yellow',
  '-/+': 'magenta',
  '-': 'red',
  '!': 'cyan',
  x: 'red',
} as const satisfies Record<Description['symbol'], string>;

/** By the first letter of a line; the lines that name the pages have no colour. */
function paintDiff(diff: string, paint: Paint): string {
  const painted = diff.split('\n').map((line) => {
    if (line.startsWith('--- ') || line.startsWith('+++ ')) return paint('bold', line);
    if (line.startsWith('@@')) return paint('cyan', line);
    if (line.startsWith('-')) return paint('red', line);
    return line.startsWith('+') ? paint('green', line) : line;
  });
  return painted.join('\n');
}
