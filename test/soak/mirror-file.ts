/** The mirror's file as it changes in a soak: counters, strategies, suspend. */
import type { TestMirror } from '../mirror/test-mirror.ts';
import { SOAK_TABLES, type SoakTable } from './shop.ts';

export type Strategy = 'truncate' | 'swap';

interface Entry {
  strategy: Strategy;
  generation: number;
}

export class MirrorFile {
  suspended = false;
  readonly #mirror: TestMirror;
  readonly #entries = new Map<string, Entry>();
  #generation = 0;

  constructor(mirror: TestMirror, strategy: Strategy) {
    this.#mirror = mirror;
    for (const { name } of SOAK_TABLES) this.#entries.set(name, { strategy, generation: 0 });
  }

  /** As git would: whole. */
  async write(): Promise<void> {
    await this.#mirror.write({
      suspend: this.suspended,
      resyncGeneration: this.#generation,
      snapshot: { rowsPerPartition: 2_000, maxParallelWorkers: 2, tablesInParallel: 3 },
      tables: SOAK_TABLES.map(({ name }) => {
        const { strategy, generation } = this.#entry(name);
        return {
          source: `public.${name}`,
          resyncStrategy: strategy,
          resyncGeneration: generation,
        };
      }),
    });
  }

  bump({ name }: SoakTable): void {
    this.#entry(name).generation += 1;
  }

  bumpAll(): void {
    this.#generation += 1;
  }

  /** Back by one: cancels a resync that runs, and is nothing but said when none does. */
  unbump({ name }: SoakTable): void {
    const entry = this.#entry(name);
    entry.generation = Math.max(0, entry.generation - 1);
  }

  /** True when these counters of the ledger are not behind the file's. */
  isReached(name: string, table: number, mirror: number): boolean {
    return table >= this.#entry(name).generation && mirror >= this.#generation;
  }

  strategyOf({ name }: SoakTable): Strategy {
    return this.#entry(name).strategy;
  }

  setStrategy({ name }: SoakTable, strategy: Strategy): void {
    this.#entry(name).strategy = strategy;
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Error(`no table ${name}`);
    return entry;
  }
}
