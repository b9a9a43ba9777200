import type { ObservedServer } from '../core/observed.ts';
import type { Refusal } from './plan.ts';
import { refuse } from './refuse.ts';

const OLDEST_VERSION = 140_000;

/** Why that server cannot be an end of a mirror. */
export function preflightVersion(
  side: 'source' | 'destination',
  server: ObservedServer,
): Refusal[] {
  return server.version < OLDEST_VERSION
    ? [refuse(undefined, 'ServerTooOld', `the ${side} is PostgreSQL ${majorVersion(server)}`)]
    : [];
}

/** `17` of 170004. */
export function majorVersion({ version }: ObservedServer): number {
  return Math.floor(version / 10_000);
}
