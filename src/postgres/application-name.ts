/** What a session calls itself at the server: `bunnydb:<mirror>:<role>`. Pure. */
import { createHash } from 'node:crypto';

/** What a session is for. */
export type SessionRole =
  | 'walsender'
  | 'snapshot'
  | 'writer'
  | 'copier'
  | 'replayer'
  | 'verifier'
  /** The owner's, at the source, beside the stream. */
  | 'source'
  | 'observer'
  | 'owner'
  | 'standby';

/** The server cuts it there. */
const MAX_BYTES = 63;
const HASH_LENGTH = 6;

/** A mirror's name that has no room is cut, with a hash of the whole: whose session it is and what for must stay readable. */
export function applicationName(mirror: string, role: SessionRole): string {
  const whole = `bunnydb:${mirror}:${role}`;
  if (whole.length <= MAX_BYTES) return whole;
  const hash = createHash('sha256').update(mirror).digest('hex').slice(0, HASH_LENGTH);
  const room = MAX_BYTES - `bunnydb:~${hash}:${role}`.length;
  return `bunnydb:${mirror.slice(0, room)}~${hash}:${role}`;
}
