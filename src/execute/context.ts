import type { Log } from '../core/log.ts';
import type { Mirror } from '../core/mirror.ts';
import type { Observed } from '../core/observed.ts';
import type { Owner } from '../postgres/ledger.ts';
import type { Session } from '../postgres/session.ts';

/** What a step works with. Both sessions may write, and none is inside a transaction. */
export interface ExecuteContext {
  readonly mirror: Mirror;
  readonly source: Session;
  readonly destination: Session;
  /** The look that the plan was made from; a step checks again where it matters. */
  readonly observed: Observed;
  /** Under which the mirror is ours: every write to the ledger carries it. */
  readonly owner: Owner;
  readonly log: Log;
}
