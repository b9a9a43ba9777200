/** Where the source's WAL is, and how it came there from the timeline that the ledger knows. */
import { parseLsn, type Lsn } from '../core/lsn.ts';
import type { Mirror } from '../core/mirror.ts';
import type { MirrorRecord, ObservedServer, ObservedWal } from '../core/observed.ts';
import { readTimelineHistory } from '../postgres/replication.ts';
import type { Session } from '../postgres/session.ts';
import { observeWalLsn } from './server.ts';

/** To be called after the ledger was read. The history is asked for only after a failover. */
export async function observeWal(
  mirror: Mirror,
  session: Session,
  known: { readonly server: ObservedServer; readonly record: MirrorRecord | undefined },
): Promise<ObservedWal> {
  const { server, record } = known;
  const before = record?.sourceTimeline;
  // A server that is further back has no history of what came after it.
  const isPromoted = before !== undefined && server.timeline > before;
  return {
    lsn: record === undefined ? undefined : await observeWalLsn(session),
    timelineEnd: isPromoted
      ? timelineEnd(await readTimelineHistory(mirror, server.timeline), before)
      : undefined,
  };
}

/** A line of a history file: a timeline, where it ended, why. Others are comments. */
const HISTORY_LINE = /^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/;

/** Where that timeline ended; undefined when it is none of the history's. */
export function timelineEnd(history: string, timeline: number): Lsn | undefined {
  for (const line of history.split('\n')) {
    const [, id, lsn] = HISTORY_LINE.exec(line) ?? [];
    if (lsn !== undefined && Number(id) === timeline) return parseLsn(lsn);
  }
  return undefined;
}
