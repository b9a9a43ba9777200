/** Which daemon should have a mirror, and what one does about it. Pure. */
import { createHash } from 'node:crypto';
import type { Standing } from '../../postgres/ownership.ts';
import type { StreamView } from '../../status/view.ts';

/** An owner says something every 5 s; one that was silent for so long is paused, or cannot be reached. */
export const SILENT_SECONDS = 20;
/** Who is not next in line leaves those before it so much time. */
const PATIENCE_SECONDS = 4;
/** A mirror stays at least so long where it is. */
const MIN_OWNED_MS = 10_000;
const CAUGHT_UP_SECONDS = 1;

/**
 * Rendezvous hashing: each mirror goes to the daemon with which it hashes highest. Mirrors spread evenly,
 * and when a daemon comes or goes only those move that come to it or were its own.
 */
export function preferredDaemon(mirror: string, daemons: readonly number[]): number | undefined {
  const [best] = daemons
    .map((daemon) => ({ daemon, weight: weightOf(mirror, daemon) }))
    .toSorted((a, b) => Buffer.compare(b.weight, a.weight) || a.daemon - b.daemon);
  return best?.daemon;
}

function weightOf(mirror: string, daemon: number): Buffer {
  return createHash('sha256').update(`${mirror} ${daemon}`).digest();
}

export interface Applicant {
  readonly mirror: string;
  /** Its id. */
  readonly daemon: number;
  /** It stands by, and the others see it. */
  readonly isAnnounced: boolean;
  readonly standing: Standing;
  /** For how long nobody was seen to run the mirror. */
  readonly freeSeconds: number;
}

/** What a daemon does that does not run the mirror: nothing, take it, or end who has it and is silent. */
export function nextMove(applicant: Applicant): 'wait' | 'take' | 'end-owner' {
  const { standing, freeSeconds } = applicant;
  const isNext = isNextInLine(applicant);
  if (standing.owner === undefined)
    return isNext || freeSeconds >= PATIENCE_SECONDS ? 'take' : 'wait';
  const patience = isNext ? SILENT_SECONDS : SILENT_SECONDS + PATIENCE_SECONDS;
  return (standing.owner.silentSeconds ?? 0) >= patience ? 'end-owner' : 'wait';
}

/** Before those who stand by; one that is not announced comes after all of them. */
function isNextInLine({ mirror, daemon, isAnnounced, standing }: Applicant): boolean {
  if (!isAnnounced) return standing.standbys.length === 0;
  return preferredDaemon(mirror, [daemon, ...standing.standbys]) === daemon;
}

export interface Holding {
  readonly mirror: string;
  readonly daemon: number;
  readonly standbys: readonly number[];
  readonly ownedMs: number;
}

/** Whether another daemon should have what this one has, and it is not too early to say. */
export function isMisplaced({ mirror, daemon, standbys, ownedMs }: Holding): boolean {
  return ownedMs >= MIN_OWNED_MS && preferredDaemon(mirror, [daemon, ...standbys]) !== daemon;
}

export interface Rest {
  /** Steps of the last plan, and copies and comparisons that run. */
  readonly work: number;
  readonly hasFailed: boolean;
  readonly isPresent: boolean;
  readonly stream: Pick<StreamView, 'lagSeconds' | 'silentSeconds'> | undefined;
}

/** Nothing is under way that another daemon would have to begin again. */
export function isAtRest({ work, hasFailed, isPresent, stream }: Rest): boolean {
  return (
    work === 0 &&
    !hasFailed &&
    isPresent &&
    stream !== undefined &&
    stream.silentSeconds === undefined &&
    stream.lagSeconds < CAUGHT_UP_SECONDS
  );
}
