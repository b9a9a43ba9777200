/** Prometheus' text format as values by series. Throws for a line that is neither a series nor a comment. */
export function readSeries(text: string): Map<string, number> {
  const series = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (line === '' || /^# (?:HELP|TYPE) [a-z0-9_:]+ \S/.test(line)) continue;
    const [, name, value] = /^([a-z0-9_:]+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
    const number = value === 'Nan' ? Number.NaN : Number(value);
    if (name === undefined || (Number.isNaN(number) && value !== 'Nan'))
      throw new Error(`no series: ${line}`);
    if (series.has(name)) throw new Error(`told twice: ${name}`);
    series.set(name, number);
  }
  return series;
}
