/** Where a table's changes go, by its state (DESIGN 4.1). Pure, and the only place that decides it. */
import type { TableState } from '../core/table-state.ts';
import { unreachable } from '../core/unreachable.ts';

export interface Route {
  /** To the live table. */
  readonly live: boolean;
  /** To the table's spool. */
  readonly spool: boolean;
}

const DROP: Route = { live: false, spool: false };
const LIVE: Route = { live: true, spool: false };
const SPOOL: Route = { live: false, spool: true };
const BOTH: Route = { live: true, spool: true };

export function routeOf(state: TableState): Route {
  switch (state.phase) {
    case 'Pending':
      // The copy that follows will hold them.
      return DROP;
    case 'Copying':
      return state.run.strategy === 'swap' ? BOTH : SPOOL;
    case 'CatchingUp':
      return state.run?.strategy === 'swap' ? BOTH : SPOOL;
    case 'Live':
      return LIVE;
    case 'Failed':
      return routeOfFailed(state);
    default:
      return unreachable(state);
  }
}

function routeOfFailed(state: Extract<TableState, { phase: 'Failed' }>): Route {
  const fed = state.run?.strategy === 'swap';
  // A copy starts again from an empty target and a new snapshot: what comes until then is in it.
  if (state.resume === 'copy') return fed ? LIVE : DROP;
  // Its spool was given up: only a copy helps, and that one will hold what comes until then.
  if (state.failure.code === 'SpoolFull') return fed ? LIVE : DROP;
  return fed ? BOTH : SPOOL;
}
