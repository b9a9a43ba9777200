/** Where a table's changes go, by its state (DESIGN 4.1). Pure, and the only place that decides it. */
import type { TableState } from '../core/table-state.ts';
import { unreachable } from '../core/unreachable.ts';

export interface Route {
  /** To the live table. */
  readonly live: boolean;
  /** To the table's spool. */
  readonly spool: boolean;
}

export function routeOf(state: TableState): Route {
  switch (state.phase) {
    case 'Pending':
      // The copy that follows will hold them.
      return { live: false, spool: false };
    case 'Copying':
    case 'CatchingUp':
      return { live: state.fed === true, spool: true };
    case 'Live':
      return { live: true, spool: false };
    case 'Failed':
      return { live: state.fed === true, spool: keepsSpool(state) };
    default:
      return unreachable(state);
  }
}

/**
 * A copy starts again from an empty target and a new snapshot: what comes until then is in it. A spool
 * that was given up is of no use either: only a copy helps.
 */
function keepsSpool({ resume, failure }: Extract<TableState, { phase: 'Failed' }>): boolean {
  return resume === 'replay' && failure.code !== 'SpoolFull';
}
