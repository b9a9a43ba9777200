/** Takes a mirror, stands by for it, ends the sessions of a daemon that lost it. See sql/ownership.ts. */
import { MirrorError } from '../core/errors.ts';
import * as sql from '../sql/ownership.ts';
import { applicationName, type SessionRole } from './application-name.ts';
import type { Owner } from './ledger.ts';
import type { Row, Session } from './session.ts';

/** A standby looks every second or two; one that was silent for so long is not counted on. */
const STANDBY_SECONDS = 10;

/** How a mirror's ownership is, as seen from one session. */
export interface Standing {
  /** The session that runs the mirror; undefined while nobody does. */
  readonly owner:
    | {
        readonly pid: number;
        /** Its id; undefined when it did not say. */
        readonly daemon: number | undefined;
        /** For how long it has said nothing; undefined while it works, and where we may not see it. */
        readonly silentSeconds: number | undefined;
      }
    | undefined;
  /** Ids of the other daemons that stand by, and said something lately. */
  readonly standbys: readonly number[];
}

/** Tries the mirror's advisory lock; it is held as long as the session lives. */
export async function tryLockMirror(session: Session, mirror: string): Promise<boolean> {
  const [row] = await session.query(sql.TRY_LOCK_MIRROR, [mirror]);
  return row?.['locked'] === 't';
}

/** Whether some daemon runs the mirror now, or stands by to. */
export async function isMirrorLocked(session: Session, mirror: string): Promise<boolean> {
  const [row] = await session.query(sql.SELECT_MIRROR_LOCKED, [mirror]);
  return row?.['locked'] === 't';
}

/** Says whose session this is, as long as it lives. */
export async function signSession(session: Session, daemon: number): Promise<void> {
  await session.query(sql.SIGN_SESSION, [daemon]);
}

/** Tells the owner and the others that this session's daemon would take the mirror. */
export async function announceStandby(session: Session, mirror: string): Promise<void> {
  await session.query(sql.ANNOUNCE_STANDBY, [mirror]);
}

export async function withdrawStandby(session: Session, mirror: string): Promise<void> {
  await session.query(sql.WITHDRAW_STANDBY, [mirror]);
}

export async function readStanding(
  session: Session,
  mirror: string,
  standbySeconds = STANDBY_SECONDS,
): Promise<Standing> {
  const values = [mirror, standbySeconds, namesOf(mirror, WORKERS)];
  const [row] = await session.query(sql.SELECT_STANDING, values, 'standing');
  const pid = row?.['pid'] ?? undefined;
  const daemon = row?.['daemon'] ?? undefined;
  const silent = row?.['silent_seconds'] ?? undefined;
  return {
    owner:
      pid === undefined
        ? undefined
        : {
            pid: Number(pid),
            daemon: daemon === undefined ? undefined : Number(daemon),
            silentSeconds: silent === undefined ? undefined : Number(silent),
          },
    standbys: idsIn(row),
  };
}

/** For the owner; a trivial query, by which the standbys see that it is alive. */
export async function readStandbys(
  session: Session,
  mirror: string,
  standbySeconds = STANDBY_SECONDS,
): Promise<number[]> {
  const [row] = await session.query(sql.SELECT_STANDBYS, [mirror, standbySeconds], 'standbys');
  return idsIn(row);
}

function idsIn(row: Row | undefined): number[] {
  return (row?.['standbys'] ?? '').split(' ').filter(Boolean).map(Number);
}

/** The session that was a standby's is the owner's from now on, for people who look. */
export async function nameSession(
  session: Session,
  mirror: string,
  role: SessionRole,
): Promise<void> {
  await session.query(sql.NAME_SESSION, [applicationName(mirror, role)]);
}

/** Lets go of the mirror and tells who stands by. Nothing of it may be under way any more. */
export async function giveUpMirror(session: Session, mirror: string): Promise<void> {
  await session.query(sql.GIVE_UP_MIRROR, [mirror]);
}

/** A session of this very daemon that it has closed, and that has not noticed yet. */
export async function endOwnSession(
  session: Session,
  mirror: string,
  daemon: number,
): Promise<void> {
  // Its name is the standby's until a moment after it has the lock.
  const names = namesOf(mirror, ['owner', 'standby']);
  await session.query(sql.END_OWN_OWNER, [mirror, daemon, namesOf(mirror, WORKERS), names]);
}

/** False when it spoke meanwhile or is gone already. Throws PermissionDenied when it is another role's. */
export async function endSilentOwner(
  session: Session,
  mirror: string,
  silentSeconds: number,
): Promise<boolean> {
  const values = [mirror, silentSeconds, namesOf(mirror, WORKERS)];
  const [row] = await session.query(sql.END_SILENT_OWNER, values);
  return row?.['ended'] === 't';
}

/** What an owner has at the destination beside the session with the lock. */
export const WORKERS: readonly SessionRole[] = ['writer', 'copier', 'replayer', 'verifier'];
/** And at the source. Observers only look, and may be a human's. */
export const READERS: readonly SessionRole[] = ['walsender', 'snapshot', 'verifier', 'source'];

/** Ends the mirror's sessions with these roles, whosever they are. Returns how many; they are gone then. */
export async function endSessions(
  session: Session,
  mirror: string,
  roles: readonly SessionRole[],
): Promise<number> {
  return (await session.query(sql.END_SESSIONS, [namesOf(mirror, roles)])).length;
}

/** Names are made of letters, digits and what needs no quotes in an array. */
function namesOf(mirror: string, roles: readonly SessionRole[]): string {
  return `{${roles.map((role) => applicationName(mirror, role)).join(',')}}`;
}

/** Throws NotOwner when the mirror was taken over. A look, not a lock: see takeOver for what makes it enough. */
export async function assertOwner(session: Session, owner: Owner): Promise<void> {
  const { rowCount } = await session.run(sql.SELECT_OWNED, [owner.mirror, owner.epoch]);
  if (rowCount !== 1)
    throw new MirrorError('NotOwner', `another daemon took over mirror ${owner.mirror}`);
}
