/** Whether the daemon has begun its work, for a readiness probe. Pure. */
import type { DaemonView, LoopView } from './daemon-view.ts';

export interface Check {
  readonly isDone: boolean;
  /** One line. */
  readonly text: string;
}

/**
 * Every mirror was tried once or stands by. How that went is not asked: a database that is down is
 * nothing that another process would mend, and one mirror's must not hold up a rollout of all.
 */
export function readinessOf({ directory, mirrors }: DaemonView): Check[] {
  const look =
    directory === undefined
      ? { isDone: false, text: 'directory: not read yet' }
      : { isDone: true, text: 'directory: read' };
  return [look, ...mirrors.map(checkOf)];
}

function checkOf({ name, hasPassed, status }: LoopView): Check {
  if (!hasPassed) return { isDone: false, text: `mirror ${name}: no pass has ended yet` };
  const ready = status?.status.conditions.find(({ type }) => type === 'Ready');
  const now = ready === undefined ? '' : `, Ready is ${ready.status} (${ready.reason})`;
  return { isDone: true, text: `mirror ${name}: first pass done${now}` };
}
