/** What the screen and the checks read of a status file; the whole of it is in schemas/status.schema.json. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';

export interface MirrorStatus {
  readonly state: string;
  readonly conditions: readonly Condition[];
  readonly lag?: { readonly bytes: number; readonly seconds: number; readonly appliedLsn: string };
  readonly tables: readonly TableStatus[];
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

export interface TableStatus {
  readonly source: string;
  readonly destination: string;
  readonly phase: 'Pending' | 'Copying' | 'CatchingUp' | 'Live' | 'Failed';
  readonly resyncStatus: string;
  readonly resyncGeneration: { readonly desired: number; readonly observed?: number };
  readonly resync?: {
    readonly strategy: string;
    readonly step: string;
    readonly rowsCopied?: number;
    readonly rowsTotal?: number;
    readonly percent?: number;
    readonly waitsFor?: string;
  };
  readonly verification?: { readonly result: 'Match' | 'Mismatch'; readonly rows: number };
  readonly error?: { readonly code: string; readonly message: string; readonly hint: string };
}

/** Undefined until the daemon has written the file for the first time. */
export async function readStatus(file: string): Promise<MirrorStatus | undefined> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : (parse(text) as { status: MirrorStatus }).status;
}

/** Every table streams and was found to be like its source, and no resync that the file asks for is still to be made. */
export function isSettled(status: MirrorStatus | undefined): boolean {
  return (
    status !== undefined &&
    status.tables.length > 0 &&
    status.tables.every(
      ({ phase, verification, resyncGeneration: { desired, observed } }) =>
        phase === 'Live' &&
        observed !== undefined &&
        observed >= desired &&
        verification?.result === 'Match',
    )
  );
}
