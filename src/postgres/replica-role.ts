import { MirrorError } from '../core/errors.ts';
import type { Session } from './session.ts';

/**
 * Makes a session write as a replica: foreign keys are not checked again and ordinary triggers do not
 * fire, since the source has done both. Throws ReplicationRoleDenied.
 */
export async function writeAsReplica(session: Session): Promise<void> {
  try {
    await session.query('set session_replication_role = replica');
  } catch (error) {
    if (error instanceof MirrorError && error.code === 'PermissionDenied')
      throw new MirrorError(
        'ReplicationRoleDenied',
        'the destination role may not set session_replication_role',
        {
          cause: error,
        },
      );
    throw error;
  }
}
