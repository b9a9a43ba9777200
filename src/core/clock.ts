/** Time as a parameter, so that back-off and debounce are tested without waiting. */
export interface Clock {
  /** Wall clock, for what people read. */
  now(): Date;
  /** Never goes back; only differences mean something. */
  monotonicMs(): number;
  /**
   * Resolves early, without an error, when one of the signals aborts. Several at once rather than
   * AbortSignal.any: on Node 20 each of those stays with a signal that lives as long as the process.
   */
  sleep(ms: number, ...signals: readonly (AbortSignal | undefined)[]): Promise<void>;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  sleep: async (ms, ...signals) =>
    new Promise((resolve) => {
      if (signals.some((signal) => signal?.aborted === true)) {
        resolve();
        return;
      }
      const done = (): void => {
        clearTimeout(timer);
        for (const signal of signals) signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      for (const signal of signals) signal?.addEventListener('abort', done, { once: true });
    }),
};
