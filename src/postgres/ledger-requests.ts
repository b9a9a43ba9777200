/** What is asked of a mirror's owner by way of the ledger. */
import { LISTEN_FOR_REQUESTS, NOTIFY_OWNER, REQUEST_VERIFICATION } from '../sql/ledger.ts';
import type { Session } from './session.ts';

/** Calls back whenever somebody asks the mirror's owner for something; as long as the session lives. */
export async function listenForRequests(
  session: Session,
  mirror: string,
  onRequest: () => void,
): Promise<void> {
  session.client.on('notification', ({ payload }) => {
    if (payload === mirror) onRequest();
  });
  await session.query(LISTEN_FOR_REQUESTS);
}

/** Asks the mirror's owner to compare those tables, by the ledger's ids. */
export async function requestVerification(
  session: Session,
  mirror: string,
  tableIds: readonly string[],
): Promise<void> {
  await session.transaction(async () => {
    for (const id of tableIds) await session.query(REQUEST_VERIFICATION, [id]);
    await session.query(NOTIFY_OWNER, [mirror]);
  });
}
