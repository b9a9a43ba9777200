/** Worlds of a lost slot and of another source. */
import type { Mirror } from '../../src/core/mirror.ts';
import { mirror, SLOT, table, type World } from './fixtures.ts';

/** The mirror's counter raised, as a human does to say: copy everything again. */
export function bumped(more: Partial<Mirror> = {}): Mirror {
  const generation = { table: 0, mirror: 1 };
  return mirror([table('public.users', { generation })], { resyncGeneration: 1, ...more });
}

export const OTHER_CLUSTER: World = { source: { systemIdentifier: '9' }, slot: undefined };
export const LATER = { source: { timeline: 2 } };
export const LOST = { ...SLOT, walStatus: 'lost' };
