import type { ResyncStrategy } from '../../src/core/mirror.ts';

/** What holds for a resync holds for each. */
export const STRATEGIES: readonly ResyncStrategy[] = ['truncate', 'swap'];
