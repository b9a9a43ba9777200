import type { Status } from '../../src/status/status.ts';

/** Of the condition of that type. */
export function reasonOf({ status }: Status, type: string): string | undefined {
  return status.conditions.find((condition) => condition.type === type)?.reason;
}
