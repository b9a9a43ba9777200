/** From numbers to text. Pure: what was measured comes in, a table comes out. */
import Table from 'cli-table3';

export type Unit = 'rows/s' | 'tx/s' | 'ms' | 's' | 'MB' | '%';

/** One thing that was measured, once for each run. */
export interface Figure {
  readonly label: string;
  readonly unit: Unit;
  readonly values: readonly number[];
  /** The anchor's values of the same runs, in the same unit. */
  readonly anchor?: readonly number[];
}

export interface Section {
  readonly title: string;
  readonly figures: readonly Figure[];
  /** What must be known to read the figures, a line each. */
  readonly remarks: readonly string[];
  /** Only where a figure has a limit. */
  readonly verdict?: Verdict;
}

export interface Verdict {
  readonly passed: boolean;
  readonly text: string;
}

export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

/** Nearest rank: always one of the values. `share` is 0.99 for p99. Throws when there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
  if (value === undefined) throw new Error('nothing was measured');
  return value;
}

/** The median of an even number of values is the mean of the middle two. */
export function spreadOf(values: readonly number[]): Spread {
  const [lower, upper] = [
    percentile(values, 0.5),
    -percentile(
      values.map((one) => -one),
      0.5,
    ),
  ];
  return { min: percentile(values, 0), median: (lower + upper) / 2, max: percentile(values, 1) };
}

/** Run by run: only figures of one run were taken under the same load of the machine. */
export function ratiosOf(values: readonly number[], anchor: readonly number[]): number[] {
  return values.flatMap((value, run) => {
    const base = anchor[run];
    return base === undefined || base === 0 ? [] : [value / base];
  });
}

const DECIMALS: Readonly<Record<Unit, number>> = {
  'rows/s': 0,
  'tx/s': 0,
  ms: 1,
  s: 2,
  MB: 0,
  '%': 0,
};

/** With thousands separated, as `1,234,567`. */
export function formatNumber(value: number, decimals: number): string {
  return value.toLocaleString('en-US', {
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  });
}

const HEAD = ['', 'UNIT', 'MIN', 'MEDIAN', 'MAX', 'TO ANCHOR', '(MIN TO MAX)'];
const NO_RULES = ['top', 'bottom', 'left', 'right', 'mid'].flatMap((side) => [
  side,
  `${side}-mid`,
  `${side}-left`,
  `${side}-right`,
]);

/** A title, the table, the verdict, the remarks; ends with a newline. */
export function renderSection({ title, figures, remarks, verdict }: Section): string {
  const table = new Table({
    head: HEAD,
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right'],
    chars: { ...Object.fromEntries(NO_RULES.map((name) => [name, ''])), middle: '  ' },
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  table.push(...figures.map(cellsOf));
  const lines = table
    .toString()
    .split('\n')
    .map((line) => `  ${line}`.trimEnd());
  const notes = remarks.map((remark) => `  - ${remark}`);
  const judged = verdict === undefined ? [] : [`  ${verdict.text}`];
  return [title, ...lines, ...judged, ...notes, ''].join('\n');
}

function cellsOf({ label, unit, values, anchor }: Figure): string[] {
  const { min, median, max } = spreadOf(values);
  const numbers = [min, median, max].map((value) => formatNumber(value, DECIMALS[unit]));
  return [label, unit, ...numbers, ...ratioCells(ratiosOf(values, anchor ?? []))];
}

function ratioCells(ratios: readonly number[]): string[] {
  if (ratios.length === 0) return ['', ''];
  const { min, median, max } = spreadOf(ratios);
  return [times(median), `${times(min)} to ${times(max)}`];
}

function times(ratio: number): string {
  return `${formatNumber(ratio, 2)}x`;
}

/** The worst run counts. */
export function atMost(label: string, values: readonly number[], limitMb: number): Verdict {
  const { max } = spreadOf(values);
  const passed = max <= limitMb;
  const text = `${passed ? 'PASS' : 'FAIL'}: ${label} ${formatNumber(max, 0)} MB, at most ${limitMb} MB allowed`;
  return { passed, text };
}
