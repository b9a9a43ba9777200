/** Amounts as people read them. Pure. */

const UNITS = [
  { name: 'd', seconds: 86_400 },
  { name: 'h', seconds: 3_600 },
  { name: 'm', seconds: 60 },
  { name: 's', seconds: 1 },
] as const;

/** `45 s`, `1 m 20 s`, `2 h 5 m`: the two largest units. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const first = UNITS.findIndex((unit) => whole >= unit.seconds);
  const shown = first < 0 ? UNITS.slice(-1) : UNITS.slice(first, first + 2);
  let rest = whole;
  const parts = shown.map((unit) => {
    const count = Math.floor(rest / unit.seconds);
    rest %= unit.seconds;
    return { text: `${count} ${unit.name}`, count };
  });
  return parts
    .filter(({ count }, index) => index === 0 || count > 0)
    .map(({ text }) => text)
    .join(' ');
}

/** `950 rows/s`, `1.2k rows/s`, `120k rows/s`, `3.4M rows/s`. */
export function formatRate(rowsPerSecond: number): string {
  const [divisor, letter] =
    rowsPerSecond < 999.5 ? [1, ''] : rowsPerSecond < 999_500 ? [1_000, 'k'] : [1_000_000, 'M'];
  const value = rowsPerSecond / divisor;
  const digits = letter !== '' && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)}${letter} rows/s`;
}

/** The time of day where the reader is, and the date when it is another one than now. Takes ISO 8601. */
export function formatTime(iso: string, now: Date): string {
  const then = new Date(iso);
  const time = [then.getHours(), then.getMinutes(), then.getSeconds()].map(twoDigits).join(':');
  if (then.toDateString() === now.toDateString()) return time;
  return `${then.getFullYear()}-${twoDigits(then.getMonth() + 1)}-${twoDigits(then.getDate())} ${time}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}
