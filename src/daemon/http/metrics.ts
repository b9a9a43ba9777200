/** The metrics of one daemon, for Prometheus. Nothing is asked of a database when they are scraped. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { ownVersion } from '../../core/version.ts';
import type { DaemonView, LoopView } from './daemon-view.ts';
import type { EndedPass, Meter } from './meter.ts';
import { GAUGES, samplesOf, type GaugeName, type Sample } from './samples.ts';

const PREFIX = 'bunnydb_';
/** A look at two idle databases takes some 30 ms; one that builds an index, an hour. */
const PASS_BUCKETS_SECONDS = [0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000];
/** The event loop's delay is measured by a timer: often enough to see a stall, seldom enough to be free. */
const EVENT_LOOP_PRECISION_MS = 100;

/** A gauge whose values are all told anew each time: its own book of them would take most of a scrape. */
class SampledGauge extends Gauge {
  samples: Sample[] = [];

  override async get(): ReturnType<Gauge['get']> {
    return { ...(await super.get()), values: this.samples };
  }
}

export class Metrics implements Meter {
  readonly contentType: string;
  readonly #registry = new Registry();
  readonly #gauges: ReadonlyMap<GaugeName, SampledGauge>;
  readonly #passes: Counter;
  readonly #passSeconds: Histogram;
  readonly #rowsCopied: Counter;

  constructor() {
    const registers = [this.#registry];
    this.contentType = this.#registry.contentType;
    this.#gauges = new Map(
      Object.entries(GAUGES).map(([name, { help, labels }]) => [
        name as GaugeName,
        new SampledGauge({ name: PREFIX + name, help, labelNames: labels, registers }),
      ]),
    );
    this.#passes = new Counter({
      name: `${PREFIX}reconcile_total`,
      help: 'Passes of a mirror that have ended.',
      labelNames: ['mirror', 'result'],
      registers,
    });
    this.#passSeconds = new Histogram({
      name: `${PREFIX}reconcile_duration_seconds`,
      help: 'How long a pass took: to look, to plan, and to carry the plan out but for the copies.',
      labelNames: ['mirror'],
      buckets: PASS_BUCKETS_SECONDS,
      registers,
    });
    this.#rowsCopied = new Counter({
      name: `${PREFIX}table_rows_copied_total`,
      help: 'Rows that copies have brought to the destination, those of a copy that was thrown away too.',
      labelNames: ['mirror', 'table'],
      registers,
    });
    new Gauge({
      name: `${PREFIX}build_info`,
      help: 'Always 1; the version is in the label.',
      labelNames: ['version'],
      registers,
    }).set({ version: ownVersion() }, 1);
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_PRECISION_MS,
    });
  }

  passEnded(mirror: string, { result, seconds }: EndedPass): void {
    this.#passes.inc({ mirror, result });
    this.#passSeconds.observe({ mirror }, seconds);
  }

  rowsCopied(mirror: string, table: string, rows: number): void {
    this.#rowsCopied.inc({ mirror, table }, rows);
  }

  /** The text that Prometheus reads. */
  async render(view: DaemonView): Promise<string> {
    await this.#forgetRemoved(view);
    for (const gauge of this.#gauges.values()) gauge.samples = [];
    for (const sample of samplesOf(view)) this.#gauges.get(sample.name)?.samples.push(sample);
    this.#beginAtZero(view);
    return this.#registry.metrics();
  }

  async #forgetRemoved({ mirrors }: DaemonView): Promise<void> {
    const names = new Set(mirrors.filter(hasPasses).map(({ name }) => name));
    for (const { labels } of (await this.#passes.get()).values) {
      if (names.has(String(labels['mirror']))) continue;
      this.#passes.remove(labels);
      this.#passSeconds.remove({ mirror: labels['mirror'] ?? '' });
    }
    const tables = new Set(
      mirrors.flatMap(({ name, status }) =>
        (status?.status.tables ?? []).map(({ source }) => `${name} ${source}`),
      ),
    );
    for (const { labels } of (await this.#rowsCopied.get()).values)
      if (!tables.has(`${labels['mirror']} ${labels['table']}`)) this.#rowsCopied.remove(labels);
  }

  /** A counter that appears with its first event hides that event from rate(). */
  #beginAtZero({ mirrors }: DaemonView): void {
    for (const { name: mirror, status } of mirrors.filter(hasPasses)) {
      for (const result of ['success', 'error']) this.#passes.inc({ mirror, result }, 0);
      for (const { source } of status?.status.tables ?? [])
        this.#rowsCopied.inc({ mirror, table: source }, 0);
    }
  }
}

/** Who stands by looks at who has the mirror, and tells nothing more of it. */
function hasPasses({ isOwner, status }: LoopView): boolean {
  return isOwner || status !== undefined;
}
